package api_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/docs"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

func pageNames(t *testing.T) []string {
	t.Helper()
	files, err := fs.Glob(docs.Pages, "*.md")
	require.NoError(t, err)
	require.Contains(t, files, "errors.md")
	return files
}

func TestDocumentationAnswersWithoutAToken(t *testing.T) {
	t.Parallel()
	caller := apitest.New(t).Anonymous()
	const html = "text/html; charset=utf-8"
	type page struct{ media, holds string }
	expected := map[string]page{
		"/docs":                                   {html, `<div id="ui">`},
		"/docs/ui.js":                             {"text/javascript; charset=utf-8", "SwaggerUIBundle"},
		"/docs/page.css":                          {"text/css; charset=utf-8", "font"},
		"/docs/assets/swagger-ui.css":             {"text/css; charset=utf-8", ".swagger-ui"},
		"/docs/assets/swagger-ui-bundle.js":       {"/javascript", "SwaggerUIBundle"},
		"/docs/assets/favicon-32x32.png":          {"image/png", "PNG"},
		"/openapi.yaml":                           {"application/yaml", "openapi: 3.0.3"},
		"/openapi.json":                           {"application/json", `"openapi":"3.0.3"`},
		"/.well-known/oauth-authorization-server": {"application/json", "/docs"},
	}
	for _, file := range pageNames(t) {
		expected["/docs/"+strings.TrimSuffix(file, ".md")] = page{html, "<h1"}
	}
	for path, page := range expected {
		answer := caller.Must(t, 200, "GET", path, nil)
		require.Contains(t, answer.Header.Get("Content-Type"), page.media, path)
		require.Contains(t, string(answer.Body), page.holds, path)
		require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"), path)
		if page.media == html {
			require.Contains(t, answer.Header.Get("Content-Security-Policy"), "default-src 'none'", path)
		}
	}
	require.Equal(t, openapi.Spec, caller.Must(t, 200, "GET", "/openapi.yaml", nil).Body)
	for _, path := range []string{"/docs/nothing", "/docs/errors.md", "/docs/assets/nothing.js", "/docs/docs.go"} {
		require.Equal(t, 404, caller.Do(t, "GET", path, nil).Status, path)
	}
}

// TestTheContractNamesTheInstallation imports it as tools do that do not know from where they have it.
func TestTheContractNamesTheInstallation(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	var contract struct {
		Servers    []struct{ URL string }
		Components struct {
			SecuritySchemes map[string]struct {
				Flows map[string]struct{ TokenURL, RefreshURL string }
			}
		}
	}
	require.NoError(t, json.Unmarshal(s.Anonymous().Must(t, 200, "GET", "/openapi.json", nil).Body, &contract))
	require.Len(t, contract.Servers, 1)
	require.Equal(t, s.URL, contract.Servers[0].URL)
	schemes := contract.Components.SecuritySchemes
	require.Len(t, schemes, 3)
	for name, scheme := range schemes {
		for _, flow := range scheme.Flows {
			require.Equal(t, s.URL+"/oauth/token", flow.TokenURL, name)
		}
	}
	require.Equal(t, s.URL+"/oauth/token", schemes["staff"].Flows["password"].RefreshURL)
}

var (
	htmlTarget = regexp.MustCompile(`(?:href|src)="([^"]+)"`)
	htmlID     = regexp.MustCompile(` id="([^"]+)"`)
)

// TestDocumentationLeadsSomewhere follows every link of the pages as a browser does. No page loads anything from anywhere
// else.
func TestDocumentationLeadsSomewhere(t *testing.T) {
	t.Parallel()
	caller := apitest.New(t).Anonymous()
	pages := []string{"/docs"}
	for _, file := range pageNames(t) {
		pages = append(pages, "/docs/"+strings.TrimSuffix(file, ".md"))
	}
	for _, path := range pages {
		page, err := url.Parse(path)
		require.NoError(t, err)
		for _, found := range htmlTarget.FindAllSubmatch(caller.Must(t, 200, "GET", path, nil).Body, -1) {
			target, err := page.Parse(strings.ReplaceAll(string(found[1]), "&amp;", "&"))
			require.NoError(t, err)
			if target.IsAbs() {
				require.NotContains(t, string(found[0]), "src=", "%s loads %s", path, target)
				continue
			}
			answer := caller.Do(t, "GET", target.RequestURI(), nil)
			require.Equal(t, 200, answer.Status, "%s leads to %s", path, target)
			if target.Fragment != "" {
				require.Contains(t, idsIn(answer.Body), target.Fragment, "%s leads to %s", path, target)
			}
		}
	}
}

func idsIn(html []byte) []string {
	var found []string
	for _, id := range htmlID.FindAllSubmatch(html, -1) {
		found = append(found, string(id[1]))
	}
	return found
}

var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestPagesOfTheRepositoryLeadSomewhere follows the links as somebody does who reads them in the repository.
func TestPagesOfTheRepositoryLeadSomewhere(t *testing.T) {
	t.Parallel()
	files := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/import-csv/README.md"}
	for _, file := range pageNames(t) {
		files = append(files, "docs/"+file)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join("..", file))
		require.NoError(t, err)
		for _, found := range markdownLink.FindAllSubmatch(text, -1) {
			path, heading, _ := strings.Cut(string(found[1]), "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := filepath.Join("..", filepath.Dir(file), path)
			if path == "" {
				target = filepath.Join("..", file)
			}
			_, err := os.Stat(target)
			require.NoError(t, err, "%s leads to %s", file, found[1])
			if heading != "" {
				content, err := os.ReadFile(target)
				require.NoError(t, err)
				require.Contains(t, anchors(content), heading, "%s leads to %s", file, found[1])
			}
		}
	}
}

var markdownHeading = regexp.MustCompile(`(?m)^#+ +(.+)$`)

// anchors gives the ids of the headings of a page, as code hosts make them.
func anchors(markdown []byte) []string {
	var found []string
	for _, heading := range markdownHeading.FindAllSubmatch(markdown, -1) {
		kept := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(string(heading[1])), "")
		found = append(found, strings.ReplaceAll(kept, " ", "-"))
	}
	return found
}

var codeHeading = regexp.MustCompile(`(?m)^### (\S+)$`)

// TestEveryCodeIsExplained holds docs/errors.md against the source: the type of a problem leads to a heading there.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	page, err := docs.Pages.ReadFile("errors.md")
	require.NoError(t, err)
	var explained []string
	for _, heading := range codeHeading.FindAllSubmatch(page, -1) {
		explained = append(explained, string(heading[1]))
	}
	slices.Sort(explained)
	require.Equal(t, slices.Compact(slices.Clone(explained)), explained, "no code is explained twice")
	require.Equal(t, codesInSource(t), explained)
}

var scopeRow = regexp.MustCompile("(?m)^\\| `([a-z-]+:[a-z]+)` \\|.*\\| (yes|–) \\| (yes|–) \\| (yes|–) \\|$")

// TestEveryScopeIsExplained holds the table of docs/signing-in.md against what roles have.
func TestEveryScopeIsExplained(t *testing.T) {
	t.Parallel()
	page, err := docs.Pages.ReadFile("signing-in.md")
	require.NoError(t, err)
	var explained []access.Scope
	roles := access.Roles() // as the columns are
	for _, row := range scopeRow.FindAllStringSubmatch(string(page), -1) {
		scope := access.Scope(row[1])
		explained = append(explained, scope)
		for i, role := range roles {
			require.Equal(t, slices.Contains(role.Scopes(), scope), row[2+i] == "yes", "%s of %s", scope, role)
		}
	}
	require.Equal(t, access.Scopes(), explained)
}

var (
	sortedListRow  = regexp.MustCompile("(?m)^\\| `(/v1/[^`]+)` \\| (`[a-z_]+`(?:, `[a-z_]+`)*) \\| `(-?[a-z_]+)` \\|$")
	orderedListRow = regexp.MustCompile("(?m)^\\| `(/v1/[^`]+)` \\| [^|]+ \\|$")
)

// TestEveryListIsExplained holds docs/pagination.md against the contract: which lists there are, in which orders, and which of
// them have totals.
func TestEveryListIsExplained(t *testing.T) {
	t.Parallel()
	page, err := docs.Pages.ReadFile("pagination.md")
	require.NoError(t, err)
	explained := map[string][]string{} // the order without sort, then all that there are; none where there is one alone
	for _, row := range sortedListRow.FindAllStringSubmatch(string(page), -1) {
		require.NotContains(t, explained, row[1])
		orders := []string{row[3]}
		for order := range strings.SplitSeq(row[2], ", ") {
			order = strings.Trim(order, "`")
			orders = append(orders, order, "-"+order)
		}
		slices.Sort(orders[1:])
		explained[row[1]] = orders
	}
	for _, row := range orderedListRow.FindAllStringSubmatch(string(page), -1) {
		require.NotContains(t, explained, row[1])
		explained[row[1]] = nil
	}
	lists := map[string][]string{}
	for path, item := range document().Paths.Map() {
		if item.Get == nil || item.Get.Parameters.GetByInAndName("query", "cursor") == nil {
			continue
		}
		var orders []string
		if sort := item.Get.Parameters.GetByInAndName("query", "sort"); sort != nil {
			orders = []string{sort.Schema.Value.Default.(string)}
			for _, order := range sort.Schema.Value.Enum {
				orders = append(orders, order.(string))
			}
			slices.Sort(orders[1:])
		}
		lists[path] = orders
		hasTotal := item.Get.Parameters.GetByInAndName("query", "include_total") != nil
		require.Equal(t, !strings.HasSuffix(path, "/events"), hasTotal, path)
	}
	require.Equal(t, lists, explained)
}

func TestTheTypeOfAProblemLeadsToItsExplanation(t *testing.T) {
	t.Parallel()
	caller := apitest.New(t).Anonymous()
	problem := caller.Do(t, "GET", "/v1/customers", nil).Problem(t)
	target, err := url.Parse(problem.Type)
	require.NoError(t, err)
	page := caller.Must(t, http.StatusOK, "GET", target.Path, nil)
	require.Contains(t, idsIn(page.Body), target.Fragment)
}

// codesInSource collects the codes that the Go source answers with, wherever it writes one down: as the member Code of
// a fault, a field or a blocker, as the first argument of a function that makes a fault, in a table of codes, in a
// variable called code, or as the error of an OAuth answer.
func codesInSource(t *testing.T) []string {
	t.Helper()
	codes := map[string]bool{}
	for _, folder := range []string{".", "../internal"} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err == nil {
				ast.Inspect(file, func(node ast.Node) bool {
					for _, code := range codesAt(node) {
						codes[code] = true
					}
					return true
				})
			}
			return err
		})
		require.NoError(t, err)
	}
	return slices.Sorted(maps.Keys(codes))
}

func codesAt(node ast.Node) []string {
	var found []ast.Expr
	switch node := node.(type) {
	case *ast.CompositeLit:
		oauth := isCalled(node.Type, "OAuthError")
		for _, element := range node.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok && (isCalled(pair.Key, "Code") || oauth && isCalled(pair.Key, "Error")) {
				found = append(found, pair.Value)
			}
		}
	case *ast.CallExpr:
		if len(node.Args) > 0 && (isCalled(node.Fun, "fault") || isCalled(node.Fun, "conflict") ||
			isCalled(node.Fun, "wrong") || isCalled(node.Fun, "refuse")) {
			found = node.Args[:1]
		}
	case *ast.ValueSpec:
		table := slices.ContainsFunc(node.Names, func(name *ast.Ident) bool {
			return name.Name == "codes" || strings.HasSuffix(name.Name, "Codes")
		})
		for _, value := range node.Values {
			literal, ok := value.(*ast.CompositeLit)
			for i := 0; table && ok && i < len(literal.Elts); i++ {
				if pair, ok := literal.Elts[i].(*ast.KeyValueExpr); ok {
					found = append(found, pair.Value)
				}
			}
		}
	case *ast.AssignStmt:
		for i, left := range node.Lhs {
			if isCalled(left, "code") && len(node.Lhs) == len(node.Rhs) {
				found = append(found, node.Rhs[i])
			}
		}
	}
	var codes []string
	for _, expression := range found {
		if literal, ok := expression.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if code, err := strconv.Unquote(literal.Value); err == nil && isCode([]byte(code)) {
				codes = append(codes, code)
			}
		}
	}
	return codes
}

func isCode(text []byte) bool {
	return len(text) > 0 && len(bytes.Trim(text, "abcdefghijklmnopqrstuvwxyz_")) == 0
}

// isCalled tells whether the expression is this name, alone or as the last step of a longer one.
func isCalled(expression ast.Expr, name string) bool {
	switch expression := expression.(type) {
	case *ast.Ident:
		return expression.Name == name
	case *ast.SelectorExpr:
		return expression.Sel.Name == name
	}
	return false
}
