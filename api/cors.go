package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// preflightAge is how long a browser may go by what a preflight was told.
const preflightAge = time.Hour

// crossOrigin lets pages of these origins call the API from a browser. An origin is let in when it is one of them to the
// letter; no answer names another one, and none names credentials: tokens travel in a header, which a page sends on
// purpose. Preflights are answered here, before anybody asks for a token; problems have the headers like other answers,
// or a page could not tell what is wrong.
func crossOrigin(origins []string) echo.MiddlewareFunc {
	allow := middleware.CORSWithConfig(middleware.CORSConfig{
		Skipper:         isPlainOptions,
		AllowOriginFunc: func(origin string) (bool, error) { return slices.Contains(origins, origin), nil },
		AllowMethods: []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		},
		AllowHeaders: []string{
			"Accept", "Authorization", "Content-Disposition", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
			"If-Range", "Range", "Repr-Digest", requestIDHeader,
		},
		ExposeHeaders: []string{
			"Accept-Ranges", "Content-Disposition", "Content-Range", "Deprecation", "ETag", "Idempotent-Replayed", "Link",
			"Location", "RateLimit", "RateLimit-Policy", "Repr-Digest", "Retry-After", "Sunset", requestIDHeader,
		},
		MaxAge: int(preflightAge.Seconds()),
	})
	return func(next echo.HandlerFunc) echo.HandlerFunc { return allow(varying(next)) }
}

// isPlainOptions tells whether somebody asks which methods a path has, and no browser whether a page may call it.
func isPlainOptions(c echo.Context) bool {
	r := c.Request()
	return r.Method == http.MethodOptions && r.Header.Get(echo.HeaderAccessControlRequestMethod) == ""
}

// varying keeps it said that an answer depends on the origin, also where a handler says on what else it depends.
func varying(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Before(func() {
			header := c.Response().Header()
			if !slices.Contains(header.Values(echo.HeaderVary), echo.HeaderOrigin) {
				header.Add(echo.HeaderVary, echo.HeaderOrigin)
			}
		})
		return next(c)
	}
}
