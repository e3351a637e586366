package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/apitest"
)

const portalOrigin = "https://portal.example.com"

// preflight asks as browsers do before a call.
func preflight(t *testing.T, s *apitest.Server, origin, method, path string) *apitest.Response {
	t.Helper()
	return s.Anonymous().Do(t, "OPTIONS", path, nil, apitest.Header("Origin", origin),
		apitest.Header("Access-Control-Request-Method", method),
		apitest.Header("Access-Control-Request-Headers", "authorization,content-type,if-match"))
}

// allowed are the headers that let a page in.
func allowed(header http.Header) []string {
	var names []string
	for name := range header {
		if strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	return names
}

func TestPreflights(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Origins("https://other.example.com:8443", portalOrigin))
	methods := map[string]bool{}
	for _, operation := range apitest.Contract().Operations() {
		methods[operation.Method] = true
		path := pathStep.ReplaceAllStringFunc(operation.Path, func(string) string { return uuid.NewString() })
		response := preflight(t, s, portalOrigin, operation.Method, path)
		require.Equal(t, 204, response.Status, path)
		require.Equal(t, portalOrigin, response.Header.Get("Access-Control-Allow-Origin"), path)
		require.Contains(t, strings.Split(response.Header.Get("Access-Control-Allow-Methods"), ","), operation.Method, path)
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		require.True(t, methods[method], method)
	}
	header := preflight(t, s, portalOrigin, "PATCH", "/v1/portal/profile").Header
	require.Equal(t, "3600", header.Get("Access-Control-Max-Age"))
	require.Empty(t, header.Get("Access-Control-Allow-Credentials"))
	for _, name := range []string{
		"Accept", "Authorization", "Content-Disposition", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
		"If-Range", "Range", "Repr-Digest", "X-Request-Id",
	} {
		require.Contains(t, strings.Split(header.Get("Access-Control-Allow-Headers"), ","), name)
	}
	require.Contains(t, header.Values("Vary"), "Origin")
	require.NotEmpty(t, header.Get("X-Request-Id"))
}

func TestOriginsThatAreNotLetIn(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Origins(portalOrigin))
	for _, origin := range []string{
		"https://evil.example.com", "http://portal.example.com", "https://portal.example.com:8443", "https://portal.example.com.evil.com",
		"https://portalxexample.com", "https://evil-portal.example.com", "https://sub.portal.example.com", "HTTPS://PORTAL.EXAMPLE.COM",
		portalOrigin + "/", portalOrigin + ", https://evil.example.com", "null", "*", "https://*", s.URL,
	} {
		require.Empty(t, allowed(preflight(t, s, origin, "GET", "/v1/portal/profile").Header), origin)
		answer := s.Anonymous().Must(t, 200, "GET", "/healthz", nil, apitest.Header("Origin", origin))
		require.Empty(t, allowed(answer.Header), origin)
		require.Contains(t, answer.Header.Values("Vary"), "Origin", "another origin must not get this answer from a cache")
	}
	require.Empty(t, allowed(s.Anonymous().Must(t, 200, "GET", "/healthz", nil).Header), "nobody asked")
	// Which methods a path has is told as ever.
	options := s.Anonymous().Do(t, "OPTIONS", "/v1/portal/profile", nil, apitest.Header("Origin", portalOrigin))
	require.Equal(t, 204, options.Status)
	require.Contains(t, options.Header.Get("Allow"), "PATCH")
	require.Equal(t, 404, s.Anonymous().Do(t, "OPTIONS", "/v1/nothing", nil).Status)
}

func TestNoOriginUnlessNamed(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	for _, origin := range []string{portalOrigin, s.URL, "null"} {
		require.Empty(t, allowed(preflight(t, s, origin, "GET", "/v1/portal/profile").Header))
		answer := s.Anonymous().Must(t, 200, "GET", "/healthz", nil, apitest.Header("Origin", origin))
		require.Empty(t, allowed(answer.Header))
		require.Empty(t, answer.Header.Values("Vary"))
	}
}

// TestPagesReadEveryAnswer: also refusals, or a page would know of nothing but that something failed.
func TestPagesReadEveryAnswer(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Origins(portalOrigin))
	me := portalUser(t, s, "member")
	from := apitest.Header("Origin", portalOrigin)
	form := func(values string) func() *apitest.Response {
		return func() *apitest.Response {
			return s.Anonymous().Do(t, "POST", "/oauth/token", values, from, apitest.Header("Content-Type", formType))
		}
	}
	_, tag := profileOf(t, me)
	for name, test := range map[string]struct {
		status int
		call   func() *apitest.Response
	}{
		"a read": {200, func() *apitest.Response { return me.Do(t, "GET", "/v1/portal/profile", nil, from) }},
		"nothing new": {304, func() *apitest.Response {
			return me.Do(t, "GET", "/v1/portal/profile", nil, from, apitest.Header("If-None-Match", tag))
		}},
		"a grant":         {200, form(strings.NewReplacer(" ", "%20").Replace("grant_type=password&client_id=portal&username=" + me.Email + "&password=" + apitest.Password))},
		"no grant":        {400, form("grant_type=password&client_id=portal&username=a@example.com&password=b")},
		"malformed":       {400, func() *apitest.Response { return me.Do(t, "GET", "/v1/portal/profile?a=b", nil, from) }},
		"without a token": {401, func() *apitest.Response { return s.Anonymous().Do(t, "GET", "/v1/portal/profile", nil, from) }},
		"forbidden":       {403, func() *apitest.Response { return me.Do(t, "GET", "/v1/customers", nil, from) }},
		"no such path":    {404, func() *apitest.Response { return me.Do(t, "GET", "/v1/nothing", nil, from) }},
		"no such method":  {405, func() *apitest.Response { return me.Do(t, "DELETE", "/v1/portal/profile", nil, from) }},
		"stale": {412, func() *apitest.Response {
			return me.Do(t, "PATCH", "/v1/portal/profile", "{}", from, apitest.Header("If-Match", `"9.a"`))
		}},
		"wrong media": {415, func() *apitest.Response {
			return me.Do(t, "PATCH", "/v1/portal/profile", "{}", from, apitest.Header("Content-Type", "text/plain"))
		}},
		"invalid":      {422, func() *apitest.Response { return me.Do(t, "PATCH", "/v1/portal/profile", `{"a":1}`, from) }},
		"the contract": {200, func() *apitest.Response { return s.Anonymous().Do(t, "GET", "/openapi.json", nil, from) }},
		"an export":    {200, func() *apitest.Response { return me.Do(t, "GET", "/v1/portal/domains.csv", nil, from) }},
	} {
		response := test.call()
		require.Equal(t, test.status, response.Status, "%s: %s", name, response.Body)
		require.Equal(t, portalOrigin, response.Header.Get("Access-Control-Allow-Origin"), name)
		require.Contains(t, response.Header.Values("Vary"), "Origin", name)
		require.Empty(t, response.Header.Get("Access-Control-Allow-Credentials"), name)
		exposed := strings.Split(response.Header.Get("Access-Control-Expose-Headers"), ",")
		require.ElementsMatch(t, []string{
			"ETag", "Location", "Link", "X-Request-Id", "Retry-After", "Content-Disposition", "RateLimit", "RateLimit-Policy",
			"Idempotent-Replayed", "Accept-Ranges", "Content-Range", "Repr-Digest", "Deprecation", "Sunset",
		}, exposed, name)
	}
	export := me.Must(t, 200, "GET", "/v1/portal/domains.csv", nil, from)
	require.ElementsMatch(t, []string{"Accept", "Origin"}, export.Header.Values("Vary"), "it depends on both")

	// What fails on our side, too.
	_, err := s.DB.Exec(t.Context(), "ALTER TABLE identities RENAME TO away")
	require.NoError(t, err)
	failed := me.Must(t, 500, "GET", "/v1/portal/profile", nil, from)
	require.Equal(t, portalOrigin, failed.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "internal", failed.Problem(t).Code)
}
