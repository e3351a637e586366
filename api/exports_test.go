package api_test

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/sheets"
)

const domainHeader = "Host,HTTP Ports,Scheme,Customer Name,Origin,Origin Port,Cache Configuration,Redirection," +
	"SSL Expiry Date,TLS Protocol,WAF Configuration"

// readCSV downloads a file and reads its cells, the header first, each as an import would.
func readCSV(t *testing.T, caller *apitest.Caller, at string) [][]string {
	t.Helper()
	response := caller.Must(t, 200, "GET", at, nil)
	require.Equal(t, "text/csv; charset=utf-8", response.Header.Get("Content-Type"))
	require.Equal(t, "Accept", response.Header.Get("Vary"))
	text, marked := bytes.CutPrefix(response.Body, []byte("\xef\xbb\xbf"))
	require.Equal(t, !strings.Contains(at, "bom=false"), marked)
	require.True(t, bytes.HasSuffix(text, []byte("\r\n")))
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	require.NoError(t, err)
	for _, line := range lines {
		for i, cell := range line {
			require.False(t, strings.IndexAny(cell, "=+-@\t\r") == 0, "a spreadsheet would run %q", cell)
			line[i] = sheets.Rearm(cell)
		}
	}
	return lines
}

// column gives the cells of a column below its header.
func column(lines [][]string, i int) []string {
	cells := []string{}
	for _, line := range lines[1:] {
		cells = append(cells, line[i])
	}
	return cells
}

func TestDomainExportCells(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	name := "=HYPERLINK(\"x\"), \u05e9\u05dc\u05d5\u05dd 🦀 / \u202etxt"
	customer := admin.Customer(t, apitest.Fields{"name": name})
	admin.Domain(t, customer.Id, apitest.Fields{
		"host": "żółw.example", "http_ports": []int{80, 8080}, "scheme": "http", "origin": "2001:db8::1", "origin_port": 8443,
		"cache_configuration": json.RawMessage(`{"default_ttl_seconds": 60, "note": "a, \"b\"\nc"}`),
		"redirection":         json.RawMessage(`{"to": "https://example.com", "status": 301}`),
		"ssl_expires_at":      "2027-03-01T02:00:00+02:00", "tls_protocol": "TLSv1.2",
		"waf_configuration": json.RawMessage(`{"mode": "block"}`),
	})
	admin.Domain(t, customer.Id, apitest.Fields{"host": "plain.example"})
	admin.Domain(t, customer.Id, apitest.Fields{"host": "zebra.example"}) // has nothing of the row before it
	lines := readCSV(t, admin, path(customer)+"/domains.csv")
	require.Equal(t, [][]string{
		strings.Split(domainHeader, ","),
		{"plain.example", "80", "https", name, "", "", "", "", "", "", ""},
		{
			"xn--w-uga1v8h.example", "80, 8080", "http", name, "2001:db8::1", "8443",
			`{"note":"a, \"b\"\nc","default_ttl_seconds":60}`, `{"to":"https://example.com","status":301}`,
			"2027-03-01T00:00:00Z", "TLSv1.2", `{"mode":"block"}`,
		},
		{"zebra.example", "80", "https", name, "", "", "", "", "", "", ""},
	}, lines)
	raw := admin.Must(t, 200, "GET", path(customer)+"/domains.csv?bom=false", nil)
	require.Contains(t, string(raw.Body), `,"'=HYPERLINK(""x""), `)
	require.True(t, strings.HasPrefix(string(raw.Body), domainHeader+"\r\n"))
	disposition, parameters, err := mime.ParseMediaType(raw.Header.Get("Content-Disposition"))
	require.NoError(t, err)
	require.Equal(t, "attachment", disposition)
	today := s.Clock.Now().UTC().Format(time.DateOnly)
	require.Equal(t, "=HYPERLINK(-x-), \u05e9\u05dc\u05d5\u05dd 🦀 - txt domains "+today+".csv", parameters["filename"])
	require.Equal(t, "no-store", raw.Header.Get("Cache-Control"))
	all := admin.Must(t, 200, "GET", "/v1/domains.csv", nil)
	require.Equal(t, `attachment; filename="domains `+today+`.csv"`, all.Header.Get("Content-Disposition"))
	head := admin.Must(t, 200, "HEAD", "/v1/domains.csv", nil)
	require.Equal(t, all.Header.Get("Content-Disposition"), head.Header.Get("Content-Disposition"))
	require.Empty(t, head.Body)
	require.Equal(t, [][]string{strings.Split(domainHeader, ",")}, readCSV(t, admin, path(admin.Customer(t, nil))+"/domains.csv"))
}

func TestDomainExportFilters(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	parent := admin.Customer(t, nil)
	child := admin.Customer(t, apitest.Fields{"parent_id": parent.Id})
	grandchild := admin.Customer(t, apitest.Fields{"parent_id": child.Id})
	for host, of := range map[string]openapi.Customer{
		"a.example": parent, "b.example": child, "c.example": grandchild, "d.example": admin.Customer(t, nil),
	} {
		admin.Domain(t, of.Id, apitest.Fields{"host": host, "tls_protocol": "TLSv1.3"})
	}
	admin.Domain(t, grandchild.Id, apitest.Fields{"host": "http.example", "scheme": "http", "ssl_expires_at": "2027-01-01T00:00:00Z"})
	for at, expected := range map[string][]string{
		path(parent) + "/domains.csv":                                                  {"a.example"},
		path(parent) + "/domains.csv?include_descendants=false":                        {"a.example"},
		path(parent) + "/domains.csv?include_descendants=true":                         {"a.example", "b.example", "c.example", "http.example"},
		path(parent) + "/domains.csv?include_descendants=true&sort=-host&scheme=https": {"c.example", "b.example", "a.example"},
		path(grandchild) + "/domains.csv?include_descendants=true":                     {"c.example", "http.example"},
		"/v1/domains.csv": {"a.example", "b.example", "c.example", "d.example", "http.example"},
		"/v1/domains.csv?customer_id=" + child.Id.String():          {"b.example"},
		"/v1/domains.csv?q=HTTP":                                    {"http.example"},
		"/v1/domains.csv?host=D.example.":                           {"d.example"},
		"/v1/domains.csv?ssl_expires_before=2027-06-01T00:00:00Z":   {"http.example"},
		"/v1/domains.csv?tls_protocol=TLSv1.3&sort=-host&bom=false": {"d.example", "c.example", "b.example", "a.example"},
	} {
		require.Equal(t, expected, column(readCSV(t, admin, at), 0), at)
	}
	admin.Must(t, 404, "GET", "/v1/customers/"+uuid.NewString()+"/domains.csv", nil)
	admin.Must(t, 404, "GET", "/v1/customers/x/domains.csv", nil)
	requireFaults(t, admin.Must(t, 400, "GET", "/v1/domains.csv?limit=1&bom=x&include_descendants=true", nil),
		"limit unknown_parameter", "bom invalid_type", "include_descendants unknown_parameter")
}

func TestExportAsLines(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := admin.Customer(t, apitest.Fields{"name": "A & <B>", "properties": map[string]any{"k": []int{1}}})
	for _, host := range []string{"a.example", "b.example"} {
		admin.Domain(t, customer.Id, apitest.Fields{"host": host})
	}
	for at, list := range map[string]string{
		path(customer) + "/domains.csv?bom=true": path(customer) + "/domains", "/v1/customers.csv?columns=id": "/v1/customers",
	} {
		for _, accept := range []string{"application/x-ndjson", "text/csv;q=0.5, application/x-ndjson"} {
			response := admin.Must(t, 200, "GET", at, nil, apitest.Header("Accept", accept))
			require.Equal(t, "application/x-ndjson", response.Header.Get("Content-Type"))
			require.Contains(t, response.Header.Get("Content-Disposition"), ".ndjson")
			var page struct{ Data []json.RawMessage }
			admin.Must(t, 200, "GET", list, nil).JSON(t, &page)
			lines := strings.Split(strings.TrimSuffix(string(response.Body), "\n"), "\n")
			require.Len(t, lines, len(page.Data))
			for i, line := range lines {
				require.JSONEq(t, string(page.Data[i]), line)
			}
		}
	}
	for _, accept := range []string{"", "*/*", "text/csv", "text/html, */*;q=0.1", "application/xml"} {
		response := admin.Must(t, 200, "GET", "/v1/domains.csv", nil, apitest.Header("Accept", accept))
		require.Equal(t, "text/csv; charset=utf-8", response.Header.Get("Content-Type"), accept)
	}
}

func TestCustomerExport(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	parent := admin.Customer(t, apitest.Fields{"name": "Parent"})
	customer := admin.Customer(t, apitest.Fields{
		"name": "'s-Hertogenbosch", "phone": "+48 22 555 39 32", "address": "=1\r\n2\rx\n\"3\"", "comments": "-, \tש 👩‍🚀",
		"modules": []string{"a", "b"}, "parent_id": parent.Id, "external_id": "@x",
		"properties": map[string]any{"country": "=Mexico", "n": 1.5, "yes": true, "tags": []string{"a", "b"}, "none": nil, "a,b": "c"},
	})
	lines := readCSV(t, admin, "/v1/customers.csv?sort=name")
	schema := document().Components.Schemas["Customer"].Value.Properties
	var fields []string
	for name := range schema {
		if name != "properties" {
			fields = append(fields, name)
		}
	}
	require.ElementsMatch(t, fields, lines[0])
	require.Len(t, lines, 3)
	cells := map[string]string{}
	for i, name := range lines[0] {
		cells[name] = lines[1][i]
	}
	var listed openapi.Customer
	admin.Must(t, 200, "GET", path(customer), nil).JSON(t, &listed)
	require.Equal(t, map[string]string{
		"id": customer.Id.String(), "name": "'s-Hertogenbosch", "email": "", "phone": "+48 22 555 39 32", "company": "",
		"address":  "=1\n2\rx\n\"3\"", // readers of CSV take any line break inside of a cell for LF
		"comments": "-, \tש 👩‍🚀", "modules": "a, b", "parent_id": parent.Id.String(), "external_id": "@x", "locale": "en",
		"status": "unregistered", "invited_at": "", "last_activity_at": "", "terms": "", "restored_at": "",
		"allowed_actions": strings.Join(listed.AllowedActions, ", "), "version": "1",
		"created_at": customer.CreatedAt.Format(time.RFC3339Nano), "updated_at": customer.UpdatedAt.Format(time.RFC3339Nano),
	}, cells)

	columns := "phone,properties.country,properties.n,properties.yes,properties.tags,properties.none,properties.absent,\"properties.a,b\""
	lines = readCSV(t, admin, "/v1/customers.csv?bom=false&external_id=@x&columns="+url.QueryEscape(columns))
	require.Equal(t, [][]string{
		{"phone", "properties.country", "properties.n", "properties.yes", "properties.tags", "properties.none", "properties.absent", "properties.a,b"},
		{"+48 22 555 39 32", "=Mexico", "1.5", "true", `["a","b"]`, "", "", "c"},
	}, lines)
	require.Equal(t, [][]string{{"company"}, {""}, {""}}, readCSV(t, admin, "/v1/customers.csv?columns=company"))
	require.Equal(t, []string{customer.Id.String()},
		column(readCSV(t, admin, "/v1/customers.csv?columns=id&properties[country]=%3DMexico&parent_id="+parent.Id.String()), 0))
	for columns, fault := range map[string]string{
		"nme": "columns unknown_value", "id,,name": "columns unknown_value", "id,id": "columns repeated_item",
		"properties.": "columns unknown_value", "properties": "columns unknown_value", `"id`: "columns invalid_format",
		"id\nname": "columns invalid_format", "\n": "columns invalid_format",
	} {
		requireFaults(t, admin.Must(t, 400, "GET", "/v1/customers.csv?columns="+url.QueryEscape(columns), nil), fault)
	}
}

func TestWhoseDomainsAreExported(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	below := admin.Customer(t, apitest.Fields{"parent_id": me.CustomerID})
	admin.Domain(t, me.CustomerID, apitest.Fields{"host": "mine.example"})
	admin.Domain(t, below.Id, apitest.Fields{"host": "below.example"})
	require.Equal(t, []string{"mine.example"}, column(readCSV(t, me, "/v1/portal/domains.csv"), 0))
	require.Empty(t, column(readCSV(t, me, "/v1/portal/domains.csv?host=below.example"), 0))
	for _, query := range []string{"include_descendants=true", "customer_id=" + below.Id.String()} {
		me.Must(t, 400, "GET", "/v1/portal/domains.csv?"+query, nil)
	}
	for _, at := range []string{"/v1/domains.csv", "/v1/customers.csv", "/v1/customers/" + me.CustomerID.String() + "/domains.csv"} {
		me.Must(t, 403, "GET", at, nil)
		for _, role := range []access.Role{access.Viewer, access.Operator} {
			s.Staff(t, role).Must(t, 200, "GET", at, nil)
		}
	}
	admin.Must(t, 403, "GET", "/v1/portal/domains.csv", nil)
}

// manyDomains gives a customer domains with configurations of about a kilobyte.
func manyDomains(t *testing.T, s *apitest.Server, customer uuid.UUID, prefix string, n int) {
	t.Helper()
	_, err := s.DB.Exec(t.Context(), `INSERT INTO domains (id, customer_id, host, http_ports, scheme, waf_configuration,
			created_at, updated_at, search_text)
		SELECT gen_random_uuid(), $1, $2 || lpad(i::text, 6, '0') || '.example', '{80}', 'https',
			jsonb_build_object('rules', repeat('x', 1000)), date_trunc('minute', now()) + (i / 700) * interval '1 second', now(), $2
		FROM generate_series(1, $3::int) AS i`, customer, prefix, n)
	require.NoError(t, err)
}

func TestExportOfManyBatches(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	manyDomains(t, s, customer.Id, "many", 5000)
	for _, query := range []string{"", "?sort=-host", "?sort=created_at", "?sort=-created_at", "?sort=updated_at", "?q=many", "?include_descendants=true"} {
		hosts := column(readCSV(t, admin, path(customer)+"/domains.csv"+query), 0)
		if strings.HasSuffix(query, "-host") {
			slices.Reverse(hosts)
		}
		if strings.Contains(query, "ed_at") { // the hosts of one time come in any order
			slices.Sort(hosts)
		}
		require.Len(t, hosts, 5000, query)
		for i, host := range hosts {
			require.Equal(t, fmt.Sprintf("many%06d.example", i+1), host, query)
		}
	}
}

// slowly begins a download and reads its first line.
func slowly(t *testing.T, s *apitest.Server, caller *apitest.Caller, at string) (*http.Response, *bufio.Reader) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+at, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+caller.Token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, 200, response.StatusCode)
	body := bufio.NewReader(response.Body)
	_, err = body.ReadString('\n')
	require.NoError(t, err)
	return response, body
}

func TestExportIsOfOneMoment(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, apitest.Fields{"name": "Before"})
	manyDomains(t, s, customer.Id, "m", 20_000) // more than sockets hold
	_, body := slowly(t, s, admin, "/v1/domains.csv")
	for _, change := range []string{
		"DELETE FROM domains WHERE host >= 'm015000'", "UPDATE customers SET name = 'After'", "UPDATE domains SET scheme = 'http'",
	} {
		_, err := s.DB.Exec(t.Context(), change)
		require.NoError(t, err)
	}
	manyDomains(t, s, customer.Id, "n", 10)
	lines, err := csv.NewReader(body).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 20_000)
	for i, line := range lines {
		require.Equal(t, []string{fmt.Sprintf("m%06d.example", i+1), "https", "Before"}, []string{line[0], line[2], line[3]})
	}
	require.Len(t, readCSV(t, admin, "/v1/domains.csv"), 1+14_999+10)
}

func TestExportsAreFew(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	manyDomains(t, s, admin.Customer(t, nil).Id, "m", 20_000)
	var open []*http.Response
	for range apitest.ExportConns {
		response, _ := slowly(t, s, admin, "/v1/domains.csv")
		open = append(open, response)
	}
	refused := admin.Must(t, 503, "GET", "/v1/customers.csv", nil)
	require.Equal(t, "busy", refused.Problem(t).Code)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	admin.Must(t, 200, "GET", "/v1/customers", nil) // what is not an export has other connections
	for _, response := range open {
		require.NoError(t, response.Body.Close()) // in the middle: the callers hang up
	}
	require.Eventually(t, func() bool {
		return admin.Do(t, "GET", "/v1/customers.csv", nil).Status == 200
	}, 10*time.Second, 10*time.Millisecond)
	for range apitest.ExportConns { // all of them came back
		slowly(t, s, admin, "/v1/domains.csv")
	}
}

// TestExportThatFails: the database ends the connection while the export is under way. As long as PostgreSQL does not know
// the table, processes of its own may help with the query; they end with it.
func TestExportThatFails(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	manyDomains(t, s, admin.Customer(t, nil).Id, "m", 20_000)
	_, body := slowly(t, s, admin, "/v1/domains.csv")
	var ended int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'
			AND query LIKE '%FROM domains%'`).Scan(&ended))
	require.Equal(t, 1, ended)
	_, err := io.Copy(io.Discard, body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, readCSV(t, admin, "/v1/domains.csv"), 20_001)
}

// exporting counts the connections on which rows are read, and of those only the ones that wait for that.
func exporting(t *testing.T, s *apitest.Server, waitingFor string) (count int) {
	t.Helper()
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
			AND state = 'active' AND query LIKE '%FROM domains%'
			AND ($1 = '' OR wait_event = $1)`, waitingFor).Scan(&count))
	return count
}

// TestExportThatIsNotRead: nothing is read ahead of a reader who takes nothing, and nobody waits for one who has gone.
func TestExportThatIsNotRead(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	manyDomains(t, s, admin.Customer(t, nil).Id, "m", 20_000) // more than sockets hold
	response, _ := slowly(t, s, admin, "/v1/domains.csv")
	require.Eventually(t, func() bool { return exporting(t, s, "ClientWrite") == 1 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, response.Body.Close())
	require.Eventually(t, func() bool { return exporting(t, s, "") == 0 }, 10*time.Second, 10*time.Millisecond)
}

// TestExportWhoseRowsAreSlow: the file begins before its first row is there. Another one is broken off while it waits.
func TestExportWhoseRowsAreSlow(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	manyDomains(t, s, admin.Customer(t, nil).Id, "m", 10)
	lock, err := s.DB.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = lock.Rollback(t.Context()) }()
	_, err = lock.Exec(t.Context(), "LOCK TABLE domains")
	require.NoError(t, err)
	gone, _ := slowly(t, s, admin, "/v1/domains.csv")
	_, body := slowly(t, s, admin, "/v1/domains.csv")
	require.Equal(t, 2, exporting(t, s, "relation"))
	require.NoError(t, gone.Body.Close())
	require.Eventually(t, func() bool { return exporting(t, s, "") == 1 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, lock.Commit(t.Context()))
	lines, err := csv.NewReader(body).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 10)
}
