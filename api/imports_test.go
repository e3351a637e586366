package api_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/operations"
)

const customersImport = "/v1/customers/import"

// working starts a server that works jobs, and gives it with an administrator.
func working(t *testing.T) (*apitest.Server, *apitest.Caller) {
	t.Helper()
	s := apitest.New(t)
	s.Work(t)
	return s, s.Staff(t, access.Administrator)
}

// imported sends a file of customers and gives the operation at its end.
func imported(t *testing.T, admin *apitest.Caller, query, content string, with ...apitest.With) openapi.Operation {
	t.Helper()
	return admin.Finished(t, admin.Import(t, customersImport+query, content, with...).Id)
}

// byExternalID reads the customer with the external id.
func byExternalID(t *testing.T, admin *apitest.Caller, id string) openapi.Customer {
	t.Helper()
	var page openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?external_id="+url.QueryEscape(id), nil).JSON(t, &page)
	require.Len(t, page.Data, 1, id)
	return page.Data[0]
}

func customerCount(t *testing.T, admin *apitest.Caller) int64 {
	t.Helper()
	var page openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?include_total=true&limit=1", nil).JSON(t, &page)
	return *page.Total
}

// refusals writes what was refused as "row column code", in order.
func refusals(operation openapi.Operation) []string {
	found := []string{}
	for _, one := range operation.Errors {
		row, column := "-", "-"
		if one.Row != nil {
			row = fmt.Sprint(*one.Row)
		}
		if one.Column != nil {
			column = *one.Column
		}
		found = append(found, row+" "+column+" "+one.Code)
	}
	return found
}

// progressOf writes created, updated, skipped and refused.
func progressOf(operation openapi.Operation) string {
	p := operation.Progress
	return fmt.Sprintf("%d+%d=%d-%d", p.Created, p.Updated, p.Skipped, p.Refused)
}

func TestImportOfCustomers(t *testing.T) {
	t.Parallel()
	_, admin := working(t)
	parent := admin.Customer(t, nil)
	started := admin.Import(t, customersImport, "external_id,Name,phone,modules,properties.country,parent_id,status,locale\r\n"+
		"ANTON,Antonio Moreno Taquería,'+52 5 555 3932,\"reports, jobs\",Mexico,"+parent.Id.String()+",active,\r\n"+
		",\"Two\nlines\",,,,,,\r\n"+
		"\"BÓLID\",Bólido Comidas,'=1+1,\"[\"\"a, b\"\"]\",,,,pl\r\n")
	require.Equal(t, openapi.OperationStateQueued, started.State)
	require.Equal(t, openapi.OperationKindCustomerImport, started.Kind)
	done := admin.Finished(t, started.Id)
	require.Equal(t, openapi.OperationStateSucceeded, done.State, done.Failure)
	require.Equal(t, []string{"3 Name invalid_format"}, refusals(done))
	require.Equal(t, "2+0=0-1", progressOf(done))
	require.Equal(t, done.Progress.TotalBytes, done.Progress.ReadBytes)
	require.EqualValues(t, 3, done.Progress.Read)
	require.EqualValues(t, 2, done.Progress.Written)

	anton := byExternalID(t, admin, "ANTON")
	require.Equal(t, "Antonio Moreno Taquería", anton.Name)
	require.Equal(t, "+52 5 555 3932", *anton.Phone)
	require.Equal(t, []string{"reports", "jobs"}, anton.Modules)
	require.JSONEq(t, `{"country": "Mexico"}`, string(anton.Properties))
	require.Equal(t, parent.Id, *anton.ParentId)
	require.Equal(t, openapi.CustomerStatusUnregistered, anton.Status, "the status is passed over")
	require.EqualValues(t, 1, anton.Version)
	bolid := byExternalID(t, admin, "BÓLID")
	require.Equal(t, "=1+1", *bolid.Phone)
	require.Equal(t, []string{"a, b"}, bolid.Modules)
	require.JSONEq(t, `{}`, string(bolid.Properties))
	require.EqualValues(t, "pl", bolid.Locale)

	var found openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?q=taqueria&properties[country]=Mexico", nil).JSON(t, &found)
	require.Len(t, found.Data, 1, "an imported customer is found as any other")
	var history openapi.EventPage
	admin.Must(t, 200, "GET", "/v1/customers/"+anton.Id.String()+"/events", nil).JSON(t, &history)
	require.Len(t, history.Data, 1)
	require.Equal(t, "customer.created", history.Data[0].Type)
	require.Equal(t, admin.ID, *history.Data[0].Actor.Id, "by whoever sent the file")
}

func TestImportOnConflict(t *testing.T) {
	t.Parallel()
	_, admin := working(t)
	byKey := admin.Customer(t, apitest.Fields{"external_id": "A", "name": "Old", "properties": apitest.Fields{"n": 1, "tags": []string{"x"}, "city": "Rome"}})
	byID := admin.Customer(t, apitest.Fields{"name": "No key", "phone": "1"})
	file := "id,external_id,name,phone,properties.n,properties.city\n" +
		",A,New,,1,Oslo\n" +
		byID.Id.String() + ",,No key,1,,\n" +
		",B,Born,2,x,\n"
	for mode, expected := range map[string]struct {
		progress string
		refused  []string
	}{
		"":                              {"1+0=0-2", []string{"2 external_id external_id_taken", "3 id customer_exists"}},
		"?on_conflict=fail":             {"1+0=0-2", []string{"2 external_id external_id_taken", "3 id customer_exists"}},
		"?on_conflict=skip":             {"1+0=2-0", []string{}},
		"?on_conflict=update":           {"1+1=1-0", []string{}},
		"?on_conflict=fail&atomic=true": {"1+0=0-2", []string{"2 external_id external_id_taken", "3 id customer_exists"}},
	} {
		separator := "&"
		if mode == "" {
			separator = "?"
		}
		dry := imported(t, admin, mode+separator+"dry_run=true", file)
		require.True(t, dry.DryRun)
		require.Equal(t, expected.progress, progressOf(dry), mode)
		require.Equal(t, expected.refused, refusals(dry), mode)
	}
	require.EqualValues(t, 2, customerCount(t, admin), "dry runs write nothing")
	require.Equal(t, "1+1=1-0", progressOf(imported(t, admin, "?on_conflict=update", file)))
	changed := byExternalID(t, admin, "A")
	require.Equal(t, byKey.Id, changed.Id)
	require.Equal(t, "New", changed.Name)
	require.JSONEq(t, `{"n": 1, "tags": ["x"], "city": "Oslo"}`, string(changed.Properties), "1 is still a number")
	require.EqualValues(t, 2, changed.Version)
	require.Equal(t, "0+0=3-0", progressOf(imported(t, admin, "?on_conflict=update", file)), "now all is as the file has it")
	require.EqualValues(t, 1, func() int64 {
		var same openapi.Customer
		admin.Must(t, 200, "GET", "/v1/customers/"+byID.Id.String(), nil).JSON(t, &same)
		return same.Version
	}())
	// An external id that is another's is refused, and so is a parent that is below.
	child := admin.Customer(t, apitest.Fields{"parent_id": byKey.Id})
	done := imported(t, admin, "?on_conflict=update", "id,external_id,parent_id\n"+
		byID.Id.String()+",A,\n"+byKey.Id.String()+",,"+child.Id.String()+"\n"+child.Id.String()+",,"+uuid.NewString()+"\n")
	require.Equal(t, []string{
		"2 external_id external_id_taken", "3 parent_id hierarchy_cycle", "4 parent_id reference_not_found",
	}, refusals(done))
}

func TestImportAtomic(t *testing.T) {
	t.Parallel()
	_, admin := working(t)
	done := imported(t, admin, "?atomic=true", "name,email\nGood,\nBad,nobody\n")
	require.Equal(t, openapi.OperationStateFailed, done.State)
	require.Equal(t, "rows_refused", done.Failure.Code)
	require.Equal(t, []string{"3 email invalid_email"}, refusals(done))
	require.EqualValues(t, 0, done.Progress.Written)
	require.EqualValues(t, 0, customerCount(t, admin))
	var file strings.Builder
	file.WriteString("external_id,name\n")
	for i := range 4500 { // more than two chunks
		fmt.Fprintf(&file, "K%d,Name %d\n", i, i)
	}
	done = imported(t, admin, "?atomic=true", file.String())
	require.Equal(t, openapi.OperationStateSucceeded, done.State, done.Failure)
	require.Equal(t, "4500+0=0-0", progressOf(done))
	require.EqualValues(t, 4500, done.Progress.Read)
	require.EqualValues(t, 4500, customerCount(t, admin))
}

func TestImportOfBadFiles(t *testing.T) {
	t.Parallel()
	_, admin := working(t)
	for name, test := range map[string]struct {
		content string
		failure string // "" for success
		refused []string
	}{
		"quotes out of place":     {"name,phone\nA\"b,1\n\"C\"d,2\nE,3\n", "", []string{"2 name misplaced_quote", "3 name misplaced_quote"}},
		"a quote that is lost":    {"name,phone\n\"A,1\nB,2\n", "", []string{"2 name unclosed_quote"}},
		"rows of the wrong width": {"name,phone\nA\nB,1,2\nC,3\n", "", []string{"2 - wrong_width", "3 - wrong_width"}},
		"NUL in the headers":      {"na\x00me\nA\n", "invalid_header", []string{"1 - nul_character"}},
		"properties twice":        {"name,properties,properties.a\nA,{},1\n", "invalid_header", []string{"1 properties.a repeated_column"}},
		"NUL characters":          {"name,phone\nA\x00,1\nB,2\n", "", []string{"2 name nul_character"}},
		"mixed line ends":         {"name,phone\r\nA,1\nB,2\rC,3\r\n\r\n,\n", "", []string{}},
		"keys that are there twice": {"external_id,name\nX,A\nX,B\nX,C\n", "", []string{
			"3 external_id duplicate_key", "4 external_id duplicate_key"}},
		"a row without a name":      {"external_id,name\nZ,\n", "", []string{"2 name required"}},
		"no column of names":        {"external_id\nZZ\n", "", []string{"2 name required"}},
		"headers that mean nothing": {"nme,name\nA,B\n", "invalid_header", []string{"1 nme unknown_column"}},
		"a header twice":            {"name,Name\nA,B\n", "invalid_header", []string{"1 Name repeated_column"}},
		"a file without a line":     {"\n\n", "invalid_header", []string{"1 - empty_file"}},
		"several faults in a row": {"name,email,parent_id,locale\n" + strings.Repeat("x", 201) + ",a@b@c,no,xx\n", "", []string{
			"2 email invalid_email", "2 locale unknown_value", "2 name too_long", "2 parent_id invalid_format"}},
		"formulas": {"name,phone\n\"=cmd|' /C calc'!A0\",+1\n'-1,@x\n\"\ttab\",＝1\n", "", []string{"4 name invalid_format"}},
	} {
		t.Run(name, func(t *testing.T) {
			done := imported(t, admin, "", test.content)
			if test.failure == "" {
				require.Equal(t, openapi.OperationStateSucceeded, done.State, done.Failure)
			} else {
				require.Equal(t, openapi.OperationStateFailed, done.State)
				require.Equal(t, test.failure, done.Failure.Code)
			}
			found := refusals(done)
			require.ElementsMatch(t, test.refused, found)
		})
	}
	var page openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?q="+url.QueryEscape("=cmd"), nil).JSON(t, &page)
	require.Len(t, page.Data, 1, "a formula is a text like others, here")

	before := customerCount(t, admin)
	for content, status := range map[string]int{
		"PK\x03\x04rest of a workbook": 415, "\x1f\x8b\x08": 415, "": 422, "name\n" + strings.Repeat("x", 1<<20+1) + "\n": 413,
	} {
		refused := admin.Do(t, "POST", customersImport, content, apitest.Header("Content-Type", "text/csv"))
		require.Equal(t, status, refused.Status, string(refused.Body))
		refused.Problem(t)
	}
	admin.Must(t, 415, "POST", customersImport, "{}", apitest.Header("Content-Type", "application/json"))
	admin.Must(t, 415, "POST", customersImport, "name\nA\n", apitest.Header("Content-Type", "text/csv; charset=koi8-r"))
	admin.Must(t, 415, "POST", customersImport, "{}\n", apitest.Header("Content-Type", "application/x-ndjson; charset=utf-16"))
	admin.Must(t, 400, "POST", customersImport+"?columns=%22a", "A\n", apitest.Header("Content-Type", "text/csv"))
	admin.Must(t, 404, "POST", "/v1/customers/"+uuid.NewString()+"/domains/import", "host\n", apitest.Header("Content-Type", "text/csv"))
	require.Equal(t, before, customerCount(t, admin))
}

func TestImportFindsOutHowAFileIsWritten(t *testing.T) {
	t.Parallel()
	_, admin := working(t)
	encode := func(text string, encoder func(string) (string, error)) string {
		encoded, err := encoder(text)
		require.NoError(t, err)
		return encoded
	}
	polish := "external_id;name\nPL;Zażółć gęślą jaźń, Wrocław\nPL2;Łódź\n"
	for i, test := range []struct{ query, content, contentType string }{
		{"", "\ufeff" + polish, "text/csv"},
		{"", encode(polish, charmap.Windows1250.NewEncoder().String), "text/csv"},
		{"?encoding=windows-1250", encode(polish, charmap.Windows1250.NewEncoder().String), "text/csv"},
		{"", encode(polish, charmap.Windows1250.NewEncoder().String), "text/csv; charset=Windows-1250"},
		{"", encode(polish, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String), "text/csv"},
		{"?delimiter=semicolon", polish, "text/csv"},
		{"", "sep=;\n" + polish, "text/csv"},
		{"", strings.ReplaceAll(polish, ";", "\t"), "application/vnd.ms-excel"},
		{"?delimiter=pipe", strings.ReplaceAll(polish, ";", "|"), "text/csv"},
		{"?columns=external_id,name", "sep=;\n" + strings.TrimPrefix(polish, "external_id;name\n"), "text/csv"},
		{"?columns=external_id,name&delimiter=semicolon", strings.TrimPrefix(polish, "external_id;name\n"), "text/csv"},
		{"?map[Kunde]=name&map[Nr]=external_id&map[Fax]=-", strings.Replace(strings.ReplaceAll(polish, "\nPL", "\n;PL"), "external_id;name", "Fax;Nr;Kunde", 1), "text/csv"},
	} {
		query := "?on_conflict=update"
		if test.query != "" {
			query = test.query + "&on_conflict=update"
		}
		done := imported(t, admin, query, test.content, apitest.Header("Content-Type", test.contentType))
		require.Equal(t, openapi.OperationStateSucceeded, done.State, "%d: %v %v", i, done.Failure, refusals(done))
		require.Empty(t, done.Errors, i)
		require.EqualValues(t, 2, done.Progress.Read, i)
		require.Equal(t, "Zażółć gęślą jaźń, Wrocław", byExternalID(t, admin, "PL").Name, i)
	}
	require.EqualValues(t, 2, customerCount(t, admin))
	done := imported(t, admin, "?map[Nope]=name", "name\nA\n")
	require.Equal(t, []string{"1 Nope missing_column"}, refusals(done))
}

func TestImportOfLines(t *testing.T) {
	t.Parallel()
	_, admin := working(t)
	lines := apitest.Header("Content-Type", "application/x-ndjson")
	first := imported(t, admin, "", `{"external_id": "A", "name": "One", "properties": {"n": 1.0, "gone": true}, "status": "active", "version": 7}
{"external_id": "B", "name": "Two", "identity": {}}

{"external_id": "A", "name": "Again"}
[1]
{"name": null}
{"name": "Three", "NAME": "x"}
{"name": "x", "a\u0000b": 1}
{"name": "Four"
`, lines)
	require.Equal(t, openapi.OperationStateSucceeded, first.State)
	require.ElementsMatch(t, []string{
		"2 /identity unknown_member", "4 /external_id duplicate_key", "5 - invalid_type", "6 /name not_nullable",
		"7 /NAME unknown_member",
		"8 / nul_character", "8 /a\ufffdb unknown_member", "9 - invalid_json",
	}, refusals(first))
	require.Equal(t, "1+0=0-7", progressOf(first))
	second := imported(t, admin, "?on_conflict=update", `{"external_id": "A", "properties": {"gone": null, "new": [1]}}`, lines)
	require.Equal(t, "0+1=0-0", progressOf(second))
	require.JSONEq(t, `{"n": 1.0, "new": [1]}`, string(byExternalID(t, admin, "A").Properties))

	hosts := admin.Customer(t, nil)
	domains := admin.Finished(t, admin.Import(t, path(hosts)+"/domains/import", `{"host": "a.example.com", "http_ports": [80.0]}
{"host": "b.example.com", "origin_port": 8e1}
{"host": "c.example.com"}
`, lines).Id)
	require.Equal(t, []string{"1 /http_ports/0 invalid_type", "2 /origin_port invalid_type"}, refusals(domains))
	require.Equal(t, "1+0=0-2", progressOf(domains))
	admin.Must(t, 400, "POST", customersImport+"?delimiter=tab&columns=name&map[a]=name", `{"name": "x"}`, lines)

	refused := admin.Must(t, 200, "GET", "/v1/operations/"+first.Id.String()+"/refused-rows", nil, apitest.Header("Accept", "application/x-ndjson"))
	require.Equal(t, "application/x-ndjson", refused.Header.Get("Content-Type"))
	require.Equal(t, 7, bytes.Count(refused.Body, []byte("\n")))
	require.Contains(t, string(refused.Body), `{"external_id": "B", "name": "Two", "identity": {}}`+"\n")
}

func TestRefusedRowsAreMendedAndSentAgain(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	done := imported(t, admin, "", "external_id,name,phone,email\nA,\"A, \"\"B\"\"\",'+1,nobody\nC,D,=1+1,\nE,F\n")
	require.Equal(t, "1+0=0-2", progressOf(done))
	path := "/v1/operations/" + done.Id.String() + "/refused-rows"
	response := admin.Must(t, 200, "GET", path, nil)
	require.Equal(t, "text/csv; charset=utf-8", response.Header.Get("Content-Type"))
	require.True(t, bytes.HasPrefix(response.Body, []byte("\ufeff")))
	records := func(body []byte) [][]string {
		reader := csv.NewReader(bytes.NewReader(body))
		reader.FieldsPerRecord = -1
		rows, err := reader.ReadAll()
		require.NoError(t, err)
		return rows
	}
	plain := admin.Must(t, 200, "GET", path+"?bom=false", nil)
	require.Equal(t, [][]string{
		{"refused_row", "refused_because", "external_id", "name", "phone", "email"},
		{"2", "email must be an email address", "A", `A, "B"`, "'+1", "nobody"},
		{"4", "has 2 cells, and the file has 4 columns", "E", "F"},
	}, records(plain.Body))
	mended := strings.NewReplacer("nobody", "somebody@example.com", ",E,F", ",E,F,,").Replace(string(response.Body))
	again := imported(t, admin, "", mended)
	require.Equal(t, "2+0=0-0", progressOf(again), refusals(again))
	require.Equal(t, "+1", *byExternalID(t, admin, "A").Phone)

	// What was said of the file holds for its refused rows, too, which have headers and commas.
	odd := imported(t, admin, "?delimiter=semicolon&columns=external_id,name,email", "G;H;nobody\nI;J;\n")
	require.Equal(t, "1+0=0-1", progressOf(odd))
	rows := string(admin.Must(t, 200, "GET", "/v1/operations/"+odd.Id.String()+"/refused-rows?bom=false", nil).Body)
	require.Equal(t, "refused_row,refused_because,external_id,name,email\r\n1,email must be an email address,G,H,nobody\r\n", rows)
	odd = imported(t, admin, "?delimiter=semicolon&columns=external_id,name,email", strings.Replace(rows, "nobody", "", 1))
	require.Equal(t, "1+0=0-0", progressOf(odd), refusals(odd))
	twice := imported(t, admin, "?map[Firma]=name&map[firma]=company", "Firma\nx\n")
	require.Equal(t, []string{"1 firma repeated_column"}, refusals(twice))

	viewer := s.Staff(t, access.Viewer)
	viewer.Must(t, 403, "GET", path, nil)
	admin.Must(t, 404, "GET", "/v1/operations/"+uuid.NewString()+"/refused-rows", nil)
	// After a week the rows are forgotten, after three months the operation.
	s.Clock.Advance(8 * 24 * 3600e9)
	admin = s.Staff(t, access.Administrator)
	sweepOperations(t, s)
	require.Len(t, records(admin.Must(t, 200, "GET", path+"?bom=false", nil).Body), 1)
	s.Clock.Advance(90 * 24 * 3600e9)
	admin = s.Staff(t, access.Administrator)
	sweepOperations(t, s)
	admin.Must(t, 404, "GET", path, nil)
}

func sweepOperations(t *testing.T, s *apitest.Server) {
	t.Helper()
	require.NoError(t, operations.Sweep(t.Context(), s.DB))
}
