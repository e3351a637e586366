package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/fault"
)

// deprecations is a contract of operations that go on, that are deprecated, and that have an end.
const deprecations = `{
	"openapi": "3.0.3", "info": {"title": "T", "version": "1"},
	"paths": {
		"/going-on": {"get": {"operationId": "a", "security": [], "responses": {"200": {"description": "D"}}}},
		"/deprecated": {"get": {"operationId": "b", "security": [], "responses": {"200": {"description": "D"}},
			"deprecated": true, "x-deprecated-at": "2027-01-31T00:00:00Z"}},
		"/ending": {"get": {"operationId": "c", "security": [],
			"responses": {"200": {"description": "D"}, "404": {"description": "D"}},
			"deprecated": true, "x-deprecated-at": "2027-01-31T00:00:00Z", "x-sunset-at": "2028-02-01T12:00:00+02:00",
			"x-deprecation-link": "/docs/compatibility"}}}}`

func TestAnswersOfWhatIsDeprecatedSaySo(t *testing.T) {
	t.Parallel()
	small, err := contract.Load([]byte(deprecations))
	require.NoError(t, err)
	s := &Server{contract: small, log: slog.New(slog.DiscardHandler)}
	e := echo.New()
	e.HTTPErrorHandler = s.writeError
	e.Use(s.withRequest, deprecating)
	for _, path := range []string{"/going-on", "/deprecated", "/ending"} {
		e.GET(path, func(c echo.Context) error {
			if c.QueryParam("wrong") != "" {
				return fault.NoSuchResource()
			}
			c.Response().Header().Set("Link", `</next>; rel="next"`)
			return c.NoContent(http.StatusOK)
		})
	}
	const next, deprecation = `</next>; rel="next"`, `</docs/compatibility>; rel="deprecation"; type="text/html"`
	for _, c := range []struct {
		path               string
		status             int
		deprecated, sunset string
		links              []string
	}{
		{"/going-on", 200, "", "", []string{next}},
		{"/deprecated", 200, "@1801353600", "", []string{next}},
		{"/ending", 200, "@1801353600", "Tue, 01 Feb 2028 10:00:00 GMT", []string{next, deprecation}},
		{"/ending?wrong=1", 404, "@1801353600", "Tue, 01 Feb 2028 10:00:00 GMT", []string{deprecation}},
		{"/nowhere", 404, "", "", nil},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			answer := httptest.NewRecorder()
			withHead(e).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, c.path, nil))
			require.Equal(t, c.status, answer.Code, c.path)
			require.Equal(t, c.deprecated, answer.Header().Get("Deprecation"), c.path)
			require.Equal(t, c.sunset, answer.Header().Get("Sunset"), c.path)
			require.Equal(t, c.links, answer.Header().Values("Link"), c.path)
		}
	}
}
