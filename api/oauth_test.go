package api_test

import (
	"context"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

const formType = "application/x-www-form-urlencoded"

// form makes a form of names and values by turns.
func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

func postForm(t *testing.T, s *apitest.Server, path string, values url.Values, with ...apitest.With) *apitest.Response {
	t.Helper()
	with = append([]apitest.With{apitest.Header("Content-Type", formType)}, with...)
	return s.Anonymous().Do(t, "POST", path, values.Encode(), with...)
}

func passwordForm(email, password string, more ...string) url.Values {
	return form(append([]string{"grant_type", "password", "client_id", "staff", "username", email, "password", password}, more...)...)
}

func refreshForm(token string, more ...string) url.Values {
	return form(append([]string{"grant_type", "refresh_token", "client_id", "staff", "refresh_token", token}, more...)...)
}

// granted demands tokens of an answer.
func granted(t *testing.T, response *apitest.Response) openapi.TokenResponse {
	t.Helper()
	require.Equal(t, 200, response.Status, string(response.Body))
	var tokens openapi.TokenResponse
	response.JSON(t, &tokens)
	return tokens
}

// signIn signs an account in that has the password of the tests.
func signIn(t *testing.T, s *apitest.Server, email string, more ...string) openapi.TokenResponse {
	t.Helper()
	return granted(t, postForm(t, s, "/oauth/token", passwordForm(email, apitest.Password, more...)))
}

func refreshed(t *testing.T, s *apitest.Server, token string, more ...string) openapi.TokenResponse {
	t.Helper()
	return granted(t, postForm(t, s, "/oauth/token", refreshForm(token, more...)))
}

// refusedGrant demands an error of RFC 6749.
func refusedGrant(t *testing.T, response *apitest.Response, status int, code string) {
	t.Helper()
	require.Equal(t, status, response.Status, string(response.Body))
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	var refusal openapi.OAuthError
	response.JSON(t, &refusal)
	require.Equal(t, code, refusal.Error, refusal.ErrorDescription)
	require.Regexp(t, `^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,400}$`, refusal.ErrorDescription, "RFC 6749, section 5.2")
}

// TestOAuthErrorsSayWhatIsWrong: there is no list of faults, so that the description names them, as far as it has room.
func TestOAuthErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	viewer := s.Staff(t, access.Viewer)
	description := func(response *apitest.Response, code string) string {
		t.Helper()
		refusedGrant(t, response, 400, code)
		var refusal openapi.OAuthError
		response.JSON(t, &refusal)
		return refusal.ErrorDescription
	}
	const understood, unknown = "The request cannot be understood: ", " is not a parameter of this operation"
	for query, expected := range map[string]string{
		"x=1":                    "x" + unknown + ".",
		"a=1&b=2":                "a" + unknown + "; b" + unknown + ".",
		"a=1&b=2&c=3&d=4&e=5":    "a" + unknown + "; b" + unknown + "; c" + unknown + "; and others.",
		"%C3%A4%22%5C%0A=1":      "?'??" + unknown + ".",
		"=1":                     "=" + unknown + ".",
		"x=%zz":                  "x cannot be decoded.",
		strings.Repeat("y", 1e4): strings.Repeat("y", 50) + "..." + unknown + ".",
	} {
		for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
			require.Equal(t, understood+expected, description(postForm(t, s, path+"?"+query, form()), "invalid_request"), query)
		}
	}
	const may = "The caller may not have these scopes: "
	for scope, expected := range map[string]string{
		"customers:eat":                                          "'customers:eat'",
		"customers:read staff:read x staff:read":                 "'staff:read', 'x'",
		"a b c d e f g":                                          "'a', 'b', 'c', 'd', 'e', ...",
		"customers:read\x00 \"":                                  "'customers:read?x00', '?''",
		strings.Repeat("ä", 100) + " b":                          "'" + strings.Repeat("?", 40) + "...', 'b'",
		strings.Repeat("x", 100) + " " + strings.Repeat("x", 99): "'" + strings.Repeat("x", 40) + "...'",
	} {
		response := postForm(t, s, "/oauth/token", passwordForm(viewer.Email, apitest.Password, "scope", scope))
		require.Equal(t, may+expected+".", description(response, "invalid_scope"), scope)
	}
}

func refreshRefused(t *testing.T, s *apitest.Server, token string) {
	t.Helper()
	refusedGrant(t, postForm(t, s, "/oauth/token", refreshForm(token)), 400, "invalid_grant")
}

// bearing gives a caller with an access token.
func bearing(s *apitest.Server, token string) *apitest.Caller {
	caller := s.Anonymous()
	caller.Token = token
	return caller
}

func whoIs(t *testing.T, s *apitest.Server, token string) openapi.Me {
	t.Helper()
	var me openapi.Me
	bearing(s, token).Must(t, 200, "GET", "/v1/me", nil).JSON(t, &me)
	return me
}

func TestPasswordGrant(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	operator := s.Staff(t, access.Operator)
	for name, response := range map[string]*apitest.Response{
		"client in the form": postForm(t, s, "/oauth/token", passwordForm(operator.Email, apitest.Password)),
		"client by HTTP Basic": postForm(t, s, "/oauth/token",
			form("grant_type", "password", "username", operator.Email, "password", apitest.Password), basic("staff", "")),
		"client in both": postForm(t, s, "/oauth/token", passwordForm(operator.Email, apitest.Password), basic("staff", "")),
		"email in another case": postForm(t, s, "/oauth/token",
			passwordForm(strings.ToUpper(operator.Email), apitest.Password)),
		"parameters nobody knows": postForm(t, s, "/oauth/token",
			passwordForm(operator.Email, apitest.Password, "resource", "x", "colour", "red")),
		"a scope without a value is none": postForm(t, s, "/oauth/token",
			passwordForm(operator.Email, apitest.Password, "scope", "")),
	} {
		tokens := granted(t, response)
		require.Equal(t, "no-store", response.Header.Get("Cache-Control"), name)
		require.Equal(t, openapi.TokenResponseTokenTypeBearer, tokens.TokenType, name)
		require.EqualValues(t, 600, tokens.ExpiresIn, name)
		require.EqualValues(t, 7*24*3600, tokens.RefreshTokenExpiresIn, name)
		require.ElementsMatch(t, operatorScopes, strings.Fields(tokens.Scope), name)
		me := whoIs(t, s, tokens.AccessToken)
		require.Equal(t, operator.ID, me.Id, name)
		require.Equal(t, "operator", *me.Role, name)
		require.ElementsMatch(t, operatorScopes, me.Scopes, name)
		require.WithinDuration(t, s.Clock.Now().Add(10*time.Minute), me.TokenExpiresAt, time.Minute, name)
	}
	var account openapi.Staff
	admin.Must(t, 200, "GET", "/v1/staff/"+operator.ID.String(), nil).JSON(t, &account)
	require.WithinDuration(t, s.Clock.Now(), *account.LastLoginAt, time.Minute)
	require.EqualValues(t, 1, account.Version, "a sign-in is no change of the account")
}

func basic(user, password string) apitest.With {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func TestGrantsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	email := s.Staff(t, access.Viewer).Email
	token := signIn(t, s, email).RefreshToken
	access := signIn(t, s, email).AccessToken
	for name, test := range map[string]struct {
		values url.Values
		with   apitest.With
		code   string
	}{
		"wrong password":            {values: passwordForm(email, "not the password"), code: "invalid_grant"},
		"unknown login":             {values: passwordForm("x"+email, apitest.Password), code: "invalid_grant"},
		"login with a NUL":          {values: passwordForm(email+"\x00", apitest.Password), code: "invalid_grant"},
		"login that is no UTF-8":    {values: passwordForm("\xff\xfe", apitest.Password), code: "invalid_grant"},
		"password with a NUL":       {values: passwordForm(email, apitest.Password+"\x00"), code: "invalid_grant"},
		"password of a page":        {values: passwordForm(email, strings.Repeat("long ", 10_000)), code: "invalid_grant"},
		"no password":               {values: form("grant_type", "password", "client_id", "staff", "username", email), code: "invalid_request"},
		"no login":                  {values: form("grant_type", "password", "client_id", "staff", "password", "x"), code: "invalid_request"},
		"password without a value":  {values: passwordForm(email, ""), code: "invalid_request"},
		"login without a value":     {values: passwordForm("", apitest.Password), code: "invalid_request"},
		"login twice":               {values: passwordForm(email, apitest.Password, "username", email), code: "invalid_request"},
		"grant type twice":          {values: passwordForm(email, apitest.Password, "grant_type", "password"), code: "invalid_request"},
		"no grant type":             {values: form("client_id", "staff"), code: "invalid_request"},
		"another grant type":        {values: form("grant_type", "authorization_code", "client_id", "staff"), code: "unsupported_grant_type"},
		"grant type of programs":    {values: form("grant_type", "client_credentials", "client_id", "staff"), code: "unauthorized_client"},
		"secret of a public client": {values: passwordForm(email, apitest.Password, "client_secret", "secret"), code: "invalid_client"},
		"nothing at all":            {values: url.Values{}, code: "invalid_client"},
		"unknown client":            {values: form("grant_type", "password", "client_id", "portals"), code: "invalid_client"},
		"client with a secret":      {values: form("grant_type", "password"), with: basic("staff", "secret"), code: "invalid_client"},
		"two different clients":     {values: passwordForm(email, apitest.Password), with: basic("other", ""), code: "invalid_client"},
		"a scope there is not":      {values: passwordForm(email, apitest.Password, "scope", "customers:eat"), code: "invalid_scope"},
		"a scope the role has not":  {values: passwordForm(email, apitest.Password, "scope", "customers:read staff:read"), code: "invalid_scope"},
		"a scope with a NUL":        {values: passwordForm(email, apitest.Password, "scope", "customers:read\x00"), code: "invalid_scope"},
		"no refresh token":          {values: form("grant_type", "refresh_token", "client_id", "staff"), code: "invalid_request"},
		"unknown refresh token":     {values: refreshForm("clr_unknown"), code: "invalid_grant"},
		"refresh token with a NUL":  {values: refreshForm(token + "\x00"), code: "invalid_grant"},
		"access token as a refresh": {values: refreshForm(access), code: "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			status := 400
			if test.code == "invalid_client" {
				status = 401
			}
			with := test.with
			if with == nil {
				with = func(*http.Request) {}
			}
			response := postForm(t, s, "/oauth/token", test.values, with)
			refusedGrant(t, response, status, test.code)
			require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
			if status == 401 {
				require.Equal(t, `Basic realm="clientele"`, response.Header.Get("WWW-Authenticate"))
			}
		})
	}
	bearing(s, token).Must(t, 401, "GET", "/v1/me", nil)
	refreshed(t, s, token) // none of this has used it up
}

// TestUnknownLoginIsLikeAWrongPassword: neither the answer nor the time it takes tells whether there is such a login.
func TestUnknownLoginIsLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	email := s.Staff(t, access.Viewer).Email
	attempt := func(email string) *apitest.Response {
		hashed := s.Hasher.Count()
		response := postForm(t, s, "/oauth/token", passwordForm(email, "not the password"))
		require.Equal(t, hashed+1, s.Hasher.Count(), "what takes long is done for everybody alike")
		return response
	}
	known, unknown := attempt(email), attempt("x"+email)
	require.Equal(t, 400, known.Status)
	require.Equal(t, known.Status, unknown.Status)
	require.Equal(t, string(known.Body), string(unknown.Body))
	for _, header := range []http.Header{known.Header, unknown.Header} {
		header.Del("Date")
		header.Del("X-Request-Id")
	}
	require.Equal(t, known.Header, unknown.Header)
}

func TestScopesAreNarrowed(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	email := s.Staff(t, access.Operator).Email
	narrow := signIn(t, s, email, "scope", "events:read  customers:read customers:read")
	require.Equal(t, "customers:read events:read", narrow.Scope)
	require.Equal(t, []string{"customers:read", "events:read"}, whoIs(t, s, narrow.AccessToken).Scopes)
	bearing(s, narrow.AccessToken).Must(t, 200, "GET", "/v1/customers", nil)
	bearing(s, narrow.AccessToken).Must(t, 403, "POST", "/v1/customers", apitest.Fields{"name": "x"})

	next := refreshed(t, s, narrow.RefreshToken)
	require.Equal(t, narrow.Scope, next.Scope, "a session stays as narrow as it was opened")
	narrower := refreshed(t, s, next.RefreshToken, "scope", "events:read")
	require.Equal(t, "events:read", narrower.Scope)
	refusedGrant(t, postForm(t, s, "/oauth/token", refreshForm(narrower.RefreshToken, "scope", "customers:write")),
		400, "invalid_scope")
	again := refreshed(t, s, narrower.RefreshToken)
	require.Equal(t, narrow.Scope, again.Scope, "a refusal has not used the token up, and narrowing lasts for one token")
}

func TestRefreshTokenIsReplacedByEachUse(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	first := signIn(t, s, s.Staff(t, access.Viewer).Email)
	session := whoIs(t, s, first.AccessToken).SessionId
	current, seen := first, []string{first.RefreshToken}
	for range 3 {
		current = refreshed(t, s, current.RefreshToken)
		require.NotContains(t, seen, current.RefreshToken)
		seen = append(seen, current.RefreshToken)
		require.Equal(t, session, whoIs(t, s, current.AccessToken).SessionId)
	}
	whoIs(t, s, first.AccessToken) // lives on until it expires
}

// TestRefreshTokenOfAnotherClient: there is one client so far; the session is made to be another's.
func TestRefreshTokenOfAnotherClient(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	first := signIn(t, s, s.Staff(t, access.Viewer).Email)
	belongTo := func(client string) {
		_, err := s.DB.Exec(t.Context(), "UPDATE sessions SET client_id = $1", client)
		require.NoError(t, err)
	}
	belongTo("other")
	refreshRefused(t, s, first.RefreshToken)
	belongTo("staff")
	second := refreshed(t, s, first.RefreshToken) // it was not spent
	belongTo("other")
	refreshRefused(t, s, first.RefreshToken)
	belongTo("staff")
	whoIs(t, s, refreshed(t, s, first.RefreshToken).AccessToken) // nor does that count as its second use
	refreshed(t, s, second.RefreshToken)
}

// TestSignInsThatAreTooMany: the queue for hashing has an end.
func TestSignInsThatAreTooMany(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	email := s.Staff(t, access.Viewer).Email
	waiting, leave := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer leave()
	var response *apitest.Response
	for response == nil || response.Status == 200 { // when a place was free just then
		for range 50 * runtime.GOMAXPROCS(0) {
			group.Go(func() { _, _ = s.Hasher.Hash(waiting, "x") })
		}
		response = postForm(t, s, "/oauth/token", passwordForm(email, apitest.Password))
	}
	refusedGrant(t, response, 503, "temporarily_unavailable")
	require.Equal(t, "2", response.Header.Get("Retry-After"))
	leave()
	group.Wait()
	signIn(t, s, email)
}

func TestSpentRefreshTokenMayBeUsedOnceMore(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	first := signIn(t, s, s.Staff(t, access.Viewer).Email)
	tab := refreshed(t, s, first.RefreshToken)
	s.Clock.Advance(29 * time.Second)
	otherTab := refreshed(t, s, first.RefreshToken) // its successor is unused
	tab = refreshed(t, s, tab.RefreshToken)
	otherTab = refreshed(t, s, otherTab.RefreshToken)
	tab = refreshed(t, s, tab.RefreshToken)

	refreshRefused(t, s, first.RefreshToken) // for the third time
	for _, ended := range []openapi.TokenResponse{first, tab, otherTab} {
		refreshRefused(t, s, ended.RefreshToken)
		soonRefused(t, s, ended.AccessToken)
	}
}

func TestReuseOfASpentRefreshTokenEndsTheSession(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	viewer := s.Staff(t, access.Viewer)
	for name, between := range map[string]func(first, second openapi.TokenResponse) openapi.TokenResponse{
		"after its successor was used": func(_, second openapi.TokenResponse) openapi.TokenResponse {
			return refreshed(t, s, second.RefreshToken)
		},
		"after thirty seconds": func(_, second openapi.TokenResponse) openapi.TokenResponse {
			s.Clock.Advance(31 * time.Second)
			return second
		},
		"after it was used once more": func(first, _ openapi.TokenResponse) openapi.TokenResponse {
			return refreshed(t, s, first.RefreshToken)
		},
	} {
		first := signIn(t, s, viewer.Email)
		other := signIn(t, s, viewer.Email)
		second := refreshed(t, s, first.RefreshToken)
		last := between(first, second)
		t.Log(name)
		refreshRefused(t, s, first.RefreshToken)
		refreshRefused(t, s, second.RefreshToken)
		refreshRefused(t, s, last.RefreshToken)
		soonRefused(t, s, first.AccessToken, second.AccessToken, last.AccessToken)
		whoIs(t, s, other.AccessToken) // another session of the same login
		refreshed(t, s, other.RefreshToken)
	}
}

func TestSessionsExpire(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	email := s.Staff(t, access.Viewer).Email
	const day = 24 * time.Hour

	idle := signIn(t, s, email)
	s.Clock.Advance(7*day + time.Second)
	refreshRefused(t, s, idle.RefreshToken)

	busy := signIn(t, s, email)
	opened := s.Clock.Now()
	for range 4 {
		s.Clock.Advance(6 * day)
		busy = refreshed(t, s, busy.RefreshToken)
	}
	left := 30*day - s.Clock.Now().Sub(opened)
	require.InDelta(t, left.Seconds(), busy.RefreshTokenExpiresIn, 60, "no refresh token outlives its session")
	s.Clock.Advance(left)
	refreshRefused(t, s, busy.RefreshToken)
	bearing(s, busy.AccessToken).Must(t, 401, "GET", "/v1/me", nil)
}

func TestRefreshesAtOnce(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	email := s.Staff(t, access.Viewer).Email
	refreshAtOnce := func(token string, times int) (won []openapi.TokenResponse) {
		responses := make([]*apitest.Response, times)
		var group sync.WaitGroup
		for i := range times {
			group.Go(func() { responses[i] = postForm(t, s, "/oauth/token", refreshForm(token)) })
		}
		group.Wait()
		for _, response := range responses {
			if response.Status == 200 {
				won = append(won, granted(t, response))
				continue
			}
			refusedGrant(t, response, 400, "invalid_grant")
		}
		return won
	}

	tabs := refreshAtOnce(signIn(t, s, email).RefreshToken, 2)
	require.Len(t, tabs, 2, "two tabs may wake at the same moment")
	require.NotEqual(t, tabs[0].RefreshToken, tabs[1].RefreshToken)
	for _, tab := range tabs {
		refreshed(t, s, tab.RefreshToken)
	}

	for range 6 {
		crowd := refreshAtOnce(signIn(t, s, email).RefreshToken, 12)
		require.LessOrEqual(t, len(crowd), 2)
		for _, one := range crowd {
			refreshRefused(t, s, one.RefreshToken)
			soonRefused(t, s, one.AccessToken)
		}
	}
}

func TestAuthorizationServerMetadata(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	var metadata openapi.AuthorizationServerMetadata
	s.Anonymous().Must(t, 200, "GET", "/.well-known/oauth-authorization-server", nil).JSON(t, &metadata)
	require.Equal(t, s.URL, metadata.Issuer)
	require.Equal(t, s.URL+"/.well-known/jwks.json", metadata.JwksUri)
	require.ElementsMatch(t, administratorScopes, metadata.ScopesSupported)
	for _, endpoint := range []string{metadata.TokenEndpoint, metadata.RevocationEndpoint} {
		path, found := strings.CutPrefix(endpoint, s.URL)
		require.True(t, found)
		require.True(t, slices.ContainsFunc([]string{"/oauth/token", "/oauth/revoke"}, func(p string) bool { return p == path }))
		refusedGrant(t, postForm(t, s, path, url.Values{}), 401, "invalid_client")
	}
}
