package api

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/clientele-api/clientele/docs"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/fault"
)

//go:embed ui
var uiFiles embed.FS

const (
	mediaYAML       = "application/yaml"
	mediaHTML       = "text/html; charset=utf-8"
	mediaCSS        = "text/css; charset=utf-8"
	mediaJavaScript = "text/javascript; charset=utf-8"

	// docsPolicy lets the pages run what this server serves and talk to this server, and nothing else. Swagger UI sets
	// styles from its scripts.
	docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// registerDocs serves the contract, the page that shows it, and the pages for people, and gives their routes. All of it is
// in the program: nothing is loaded from anywhere else.
func (s *Server) registerDocs(e *echo.Echo) ([]string, error) {
	asJSON := sync.OnceValues(func() ([]byte, error) { return s.contract.JSON(s.authority.Issuer()) })
	pages, err := renderedPages()
	if err != nil {
		return nil, err
	}
	open := map[string]echo.HandlerFunc{
		"/":             func(c echo.Context) error { return c.Redirect(http.StatusFound, "/docs") },
		"/openapi.yaml": content(mediaYAML, openapi.Spec),
		"/openapi.json": func(c echo.Context) error {
			body, err := asJSON()
			if err != nil {
				return fmt.Errorf("encoding the contract: %w", err)
			}
			return content(mediaJSON, body)(c)
		},
		"/docs/assets/*": serveAssets(),
		"/docs/:page": func(c echo.Context) error {
			body, found := pages[c.Param("page")]
			if !found {
				return fault.NoSuchResource()
			}
			return content(mediaHTML, body)(c)
		},
	}
	for path, file := range map[string]struct{ media, name string }{
		"/docs":          {mediaHTML, "ui/index.html"},
		"/docs/ui.js":    {mediaJavaScript, "ui/ui.js"},
		"/docs/page.css": {mediaCSS, "ui/page.css"},
		"/docs/link.js":  {mediaJavaScript, "ui/link.js"},
		// What links in mails lead to where no portal is set.
		"/activate": {mediaHTML, "ui/link.html"},
		"/reset":    {mediaHTML, "ui/link.html"},
	} {
		body, err := uiFiles.ReadFile(file.name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file.name, err)
		}
		open[path] = content(file.media, body)
	}
	for path, handler := range open {
		e.GET(path, handler)
	}
	return slices.Collect(maps.Keys(open)), nil
}

// serveAssets serves Swagger UI's own files.
func serveAssets() echo.HandlerFunc {
	assets := http.StripPrefix("/docs/assets", statigz.FileServer(static.FS))
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "public, max-age=3600")
		assets.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}

func content(media string, body []byte) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Content-Security-Policy", docsPolicy)
		return c.Blob(http.StatusOK, media, body)
	}
}

// renderedPages is renderPages, for all servers of a process.
var renderedPages = sync.OnceValues(renderPages)

// renderPages makes a page of HTML of each page for people, by its name without the ending.
func renderPages() (map[string][]byte, error) {
	layout, err := template.ParseFS(uiFiles, "ui/page.html")
	if err != nil {
		return nil, fmt.Errorf("reading the layout of pages: %w", err)
	}
	files, err := fs.Glob(docs.Pages, "*.md")
	if err != nil {
		return nil, fmt.Errorf("listing pages: %w", err)
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(file, ".md")
	}
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(
		parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(pageLinks{}, 0))))
	rendered := map[string][]byte{}
	for i, file := range files {
		source, err := docs.Pages.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		var body, page bytes.Buffer
		ids := parser.WithContext(parser.NewContext(parser.WithIDs(&headingIDs{})))
		if err := markdown.Convert(source, &body, ids); err != nil {
			return nil, fmt.Errorf("rendering %s: %w", file, err)
		}
		err = layout.Execute(&page, map[string]any{
			"Title": names[i], "Pages": names, "Body": template.HTML(body.String()), //nolint:gosec // our own pages
		})
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", file, err)
		}
		rendered[names[i]] = page.Bytes()
	}
	return rendered, nil
}

// headingIDs gives headings the ids that code hosts give them, so that links lead there in both places. They keep the
// underscores of error codes.
type headingIDs struct{}

// Generate makes the id of a heading from its text.
func (*headingIDs) Generate(text []byte, _ ast.NodeKind) []byte {
	return bytes.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, bytes.ToLower(text))
}

// Put is told of ids that are given by hand, which there are none of.
func (*headingIDs) Put([]byte) {}

// pageLinks turns links between the pages as the repository has them, errors.md#not_found, into those of the server,
// which shows pages without the ending.
type pageLinks struct{}

// Transform goes through the links of a page.
func (pageLinks) Transform(page *ast.Document, _ text.Reader, _ parser.Context) {
	_ = ast.Walk(page, func(node ast.Node, entering bool) (ast.WalkStatus, error) { // the function never fails
		if link, ok := node.(*ast.Link); ok && entering {
			file, heading, deep := strings.Cut(string(link.Destination), "#")
			if name, found := strings.CutSuffix(file, ".md"); found && !strings.Contains(name, "/") {
				link.Destination = []byte(name)
				if deep {
					link.Destination = append(link.Destination, "#"+heading...)
				}
			}
		}
		return ast.WalkContinue, nil
	})
}
