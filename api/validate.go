package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/fault"
)

// maxBody is how large a body may be that is read into memory.
const maxBody = 1 << 20

const (
	mediaJSON       = "application/json"
	mediaMergePatch = "application/merge-patch+json"
	mediaMail       = "message/rfc822"
	mediaCSV        = "text/csv"
	mediaLines      = "application/x-ndjson"
	mediaForm       = "application/x-www-form-urlencoded"
)

// received reads the body of a request, and lets it through when the caller may send what is in it.
func received(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known := requestOf(c.Request().Context())
		if known.operation == nil {
			return next(c)
		}
		var err error
		if known.body, err = receive(c, known.operation); err != nil {
			return err
		}
		if err := admitBody(c, known.operation, known.body); err != nil {
			return err
		}
		return next(c)
	}
}

// validated lets a request through only when it is one that the contract describes.
func (s *Server) validated(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known := requestOf(c.Request().Context())
		if known.operation == nil {
			return next(c)
		}
		path := map[string]string{}
		for i, name := range c.ParamNames() {
			path[name] = c.ParamValues()[i]
		}
		if err := known.operation.CheckRequest(c.Request(), path, known.body); err != nil {
			return err
		}
		return next(c)
	}
}

// receive checks the media type of the body and, where it is JSON, reads it and puts it back for the handler. Forms stay
// as they are, but bounded. What streams is the handler's to judge, as it comes in. What is sent with an action that takes
// nothing is read as well, lest somebody counts on it.
func receive(c echo.Context, operation *contract.Operation) ([]byte, error) {
	r := c.Request()
	switch {
	case operation.Streams():
		return nil, nil
	case len(operation.MediaTypes) == 0 && r.Method == http.MethodPost:
		return readBody(c)
	case len(operation.MediaTypes) == 0:
		return nil, nil
	}
	media, err := mediaType(r, operation)
	if err != nil {
		return nil, err
	}
	body, err := readBody(c)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if operation.TakesJSON() {
		// A merge patch is JSON as well. The generated code knows the one name, in small letters.
		r.Header.Set(echo.HeaderContentType, mediaJSON)
		return body, nil
	}
	if _, err := url.ParseQuery(string(body)); media == mediaForm && err != nil {
		return nil, &fault.Error{Kind: fault.Malformed, Code: "invalid_form", Detail: "The body is not a form.", Cause: err}
	}
	return nil, nil
}

// readBody reads a body to its end, within bounds. Those of time are the server's ReadTimeout, which must go on counting
// when this fails: what is left of the body is read then, to throw it away.
func readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.ContentLength > maxBody {
		return nil, tooLarge(maxBody)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var larger *http.MaxBytesError
	if errors.As(err, &larger) {
		return nil, tooLarge(maxBody)
	}
	if err != nil {
		return nil, fault.BodyIncomplete(err)
	}
	return body, nil
}

func tooLarge(limit int64) error {
	return &fault.Error{
		Kind: fault.TooLarge, Code: "content_too_large", Detail: fmt.Sprintf("The body is larger than %d bytes.", limit),
	}
}

func mediaType(r *http.Request, operation *contract.Operation) (string, error) {
	media, parameters, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	charset := strings.ToLower(parameters["charset"])
	if err == nil && slices.Contains(operation.MediaTypes, media) && (charset == "" || charset == "utf-8") {
		return media, nil
	}
	return "", &fault.Error{
		Kind: fault.UnsupportedMedia, Code: "unsupported_media_type",
		Detail: "The operation takes " + strings.Join(operation.MediaTypes, " or ") + ".",
	}
}
