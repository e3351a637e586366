package api

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
)

// deprecating says on every answer of an operation that the contract calls deprecated since when it is (RFC 9745), when
// it ends (RFC 8594) and where to read what to use instead.
func deprecating(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		operation := requestOf(c.Request().Context()).operation
		if operation == nil || operation.Deprecation == nil {
			return next(c)
		}
		known := operation.Deprecation
		header := c.Response().Header()
		header.Set("Deprecation", "@"+strconv.FormatInt(known.At.Unix(), 10))
		if !known.Sunset.IsZero() {
			header.Set("Sunset", known.Sunset.Format(http.TimeFormat))
		}
		if known.Link != "" {
			// At the last moment: lists set a Link of their own.
			c.Response().Before(func() { header.Add("Link", "<"+known.Link+`>; rel="deprecation"; type="text/html"`) })
		}
		return next(c)
	}
}
