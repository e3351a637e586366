package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/client"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// shops is a file as an old trading program writes it: a byte order mark, accents, NULL for nothing, and telephone
// numbers as people wrote them down.
const shops = "\uFEFF" + `customerID,companyName,contactName,address,city,region,postalCode,country,phone,fax
ANTON,Antonio Moreno Taquería,Antonio Moreno,Mataderos  2312,México D.F.,NULL,05023,Mexico,(5) 555-3932,NULL
BERGS,Berglunds snabbköp,Christina Berglund,Berguvsvägen  8,Luleå,NULL,S-958 22,Sweden,0921-12 34 65,0921-12 34 67
KOENE,Königlich Essen,Philip Cramer,Maubelstr. 90,Brandenburg,NULL,14776,Germany,0555-09876,
SUPRD,Suprêmes délices,Pascale Cartrain,"Boulevard Tirou, 255",Charleroi,NULL,B-6000,Belgium,(071) 23 67 22 20,(071) 23 67 22 21
WOLZA,Wolski Zajazd,Zbyszek Piestrzeniewicz,"ul. Filtrowa 68
II piętro",Łódź,NULL,01-012,Poland,(26) 642-7012,(26) 642-7012
TORTU,"Tortuga ""La Vieja"" Restaurante",Miguel Ángel Paolino,Avda. Azteca 123,México D.F.,NULL,05033,Mexico,(5) 555-2933,NULL
`

var shopColumns = []string{"-map", "companyName=name", "-map", "customerID=external_id", "-empty", "NULL"}

// trial is a run of the program against a server of the test's own.
type trial struct {
	server  *apitest.Server
	staff   *apitest.Caller
	folder  string
	url     string
	refused string
}

func newTrial(t *testing.T, role access.Role) *trial {
	t.Helper()
	server := apitest.New(t)
	folder := t.TempDir()
	return &trial{
		server: server, staff: server.Staff(t, role), folder: folder, url: server.URL,
		refused: filepath.Join(folder, "refused.csv"),
	}
}

func (r *trial) file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(r.folder, "customers.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (r *trial) run(ctx context.Context, t *testing.T, file string, flags ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	environment := map[string]string{
		"CLIENTELE_URL": r.url + "//", "CLIENTELE_EMAIL": r.staff.Email, "CLIENTELE_PASSWORD": apitest.Password,
	}
	args := append(append([]string{"-refused", r.refused}, flags...), file)
	code = run(ctx, args, func(name string) string { return environment[name] }, &out, &errs)
	return code, out.String(), errs.String()
}

func (r *trial) list(t *testing.T, query string) []openapi.Customer {
	t.Helper()
	var page openapi.CustomerPage
	r.staff.Must(t, 200, "GET", "/v1/customers?sort=name&"+query, nil).JSON(t, &page)
	return page.Data
}

func (r *trial) refusedRows(t *testing.T) [][]string {
	t.Helper()
	content, err := os.ReadFile(r.refused)
	require.NoError(t, err)
	reader := csv.NewReader(bytes.NewReader(content))
	reader.FieldsPerRecord = -1
	rows, err := reader.ReadAll()
	require.NoError(t, err)
	return rows
}

func TestEveryRowBecomesACustomer(t *testing.T) {
	t.Parallel()
	r := newTrial(t, access.Operator)
	code, stdout, stderr := r.run(t.Context(), t, r.file(t, shops), shopColumns...)
	require.Equal(t, exitDone, code, stderr)
	require.Equal(t, "6 created, 0 refused\n", stdout)
	require.Empty(t, stderr)
	require.NoFileExists(t, r.refused)

	require.Len(t, r.list(t, ""), 6)
	found := r.list(t, "q=taqueria")
	require.Len(t, found, 1)
	moreno := found[0]
	require.Equal(t, "Antonio Moreno Taquería", moreno.Name)
	require.Equal(t, "ANTON", *moreno.ExternalId)
	require.Equal(t, "(5) 555-3932", *moreno.Phone)
	require.Equal(t, "Mataderos  2312", *moreno.Address, "as it was written")
	require.JSONEq(t, `{"contactName": "Antonio Moreno", "city": "México D.F.", "postalCode": "05023", "country": "Mexico"}`,
		string(moreno.Properties), "a postal code keeps its zero, what is NULL is left out")

	require.Equal(t, "Königlich Essen", r.list(t, "q=koniglich")[0].Name)
	require.Equal(t, "Wolski Zajazd", r.list(t, "q=266427012")[0].Name, "by the digits of its phone")
	require.Equal(t, "ul. Filtrowa 68\nII piętro", *r.list(t, "external_id=WOLZA")[0].Address)
	require.Equal(t, "Boulevard Tirou, 255", *r.list(t, "external_id=SUPRD")[0].Address)
	require.Len(t, r.list(t, "properties[country]=Mexico"), 2)
	require.Equal(t, `Tortuga "La Vieja" Restaurante`, r.list(t, "external_id=TORTU")[0].Name)
}

func TestColumnsGoWhereTheyAreSent(t *testing.T) {
	t.Parallel()
	r := newTrial(t, access.Operator)
	parent := r.staff.Customer(t, nil)
	text := "name;email;modules;parent_id;locale;comments;secret;contact\n" +
		"Blauer See;see@example.com;reports ;" + parent.Id.String() + ";pl;\"calls, often\";x;Hanna Moos\n" +
		"Paula;\" \";\"reports;export\"; ; ;;x;\n"
	code, stdout, stderr := r.run(t.Context(), t, r.file(t, text),
		"-delimiter", ";", "-map", "secret=-", "-map", "contact=properties.person", "-workers", "1")
	require.Equal(t, exitDone, code, stdout+stderr)

	child := r.list(t, "parent_id="+parent.Id.String())[0]
	require.Equal(t, "see@example.com", *child.Email)
	require.Equal(t, []string{"reports"}, child.Modules)
	require.Equal(t, openapi.LocalePl, child.Locale)
	require.Equal(t, "calls, often", *child.Comments)
	require.JSONEq(t, `{"person": "Hanna Moos"}`, string(child.Properties))
	paula := r.list(t, "q=paula")[0]
	require.Nil(t, paula.Email)
	require.Nil(t, paula.ParentId)
	require.Equal(t, []string{"reports", "export"}, paula.Modules)
	require.JSONEq(t, `{}`, string(paula.Properties))
}

func TestRefusedRowsAreReportedAndCanBeCorrected(t *testing.T) {
	t.Parallel()
	r := newTrial(t, access.Operator)
	r.staff.Customer(t, apitest.Fields{"external_id": "TAKEN"})
	text := "id,name,email,phone,parent_id,country\n" + // line 1
		"A,Alfreds Futterkiste,,030-0074321,,Germany\n" +
		",,not an address," + strings.Repeat("1", 51) + ",,Germany\n" +
		"TAKEN,Bólido Comidas,,,,Spain\n" +
		"C,Bon app,,,,France,12\n" + // a comma without quotes
		"D,\"Two\nlines\",,,,France\n" + // lines 6 and 7
		"E,Blauer See,,,nobody,Germany\n" +
		"F,Caf\xe9,,,,France\n" +
		"G,Gr\"ossel,,,,Austria\n" +
		"H,Hungry Owl,,,,Ireland\n"
	code, stdout, stderr := r.run(t.Context(), t, r.file(t, text), "-map", "id=external_id")
	require.Equal(t, exitRefused, code, stderr)
	require.Equal(t, []string{
		"2 created, 7 refused",
		"line 3: /email invalid_email",
		"line 3: /name too_short",
		"line 3: /phone too_long",
		"line 4: /external_id external_id_taken",
		"line 5: unreadable_row",
		"line 6: /name invalid_format",
		"line 8: /parent_id invalid_format",
		"line 9: not_utf8",
		"line 10: unreadable_row",
		"the refused rows are in " + r.refused,
	}, withoutMessages(stdout))
	require.Contains(t, stdout, "line 3: /phone too_long: must have at most 50 characters\n")
	require.Contains(t, stdout, "has 7 cells where the first row has 6; a cell with ',' in it needs quotes\n")
	require.Contains(t, stdout, "the column name is not UTF-8\n")

	rows := r.refusedRows(t)
	require.Len(t, rows, 8)
	require.Equal(t, []string{"id", "name", "email", "phone", "parent_id", "country", "refused_line", "refused_because"}, rows[0])
	require.Equal(t, "4", rows[2][6])
	require.Equal(t, "/external_id external_id_taken: another customer has this external id", rows[2][7])
	require.Equal(t, []string{"C", "Bon app", "", "", "", "France", "12", "5"}, rows[3][:8], "nobody knows which cell is one too many")

	// What stands in the file of refused rows is corrected there, and imported with the same flags.
	rows[2][0] = "B"
	rows[3] = []string{"C", "Bon app, 12", "", "", "", "France", "5", "…"}
	corrected := filepath.Join(r.folder, "corrected.csv")
	file, err := os.Create(corrected)
	require.NoError(t, err)
	require.NoError(t, csv.NewWriter(file).WriteAll([][]string{rows[0], rows[2], rows[3], rows[4]}))
	require.NoError(t, file.Close())
	code, stdout, _ = r.run(t.Context(), t, corrected, "-map", "id=external_id")
	require.Equal(t, exitRefused, code)
	require.Contains(t, stdout, "2 created, 1 refused\n")
	require.JSONEq(t, `{"country": "Spain"}`, string(r.list(t, "external_id=B")[0].Properties), "the reasons are no properties")
	require.Len(t, r.refusedRows(t)[0], 8, "the reasons are not there twice")
}

// withoutMessages leaves the places and the codes of a report: what the server says beside them is its own affair.
func withoutMessages(report string) []string {
	lines := strings.Split(strings.TrimSpace(report), "\n")
	for i, line := range lines {
		if parts := strings.SplitN(line, ": ", 3); len(parts) == 3 {
			lines[i] = parts[0] + ": " + parts[1]
		}
	}
	return slices.DeleteFunc(slices.Compact(lines), func(line string) bool {
		return line == "line 3: /name invalid_format" // a blank text may have two faults
	})
}

func TestWhatCannotBeImportedAtAll(t *testing.T) {
	t.Parallel()
	r := newTrial(t, access.Operator)
	for name, c := range map[string]struct {
		text, says string
		flags      []string
	}{
		"empty":            {"", "the file is empty", nil},
		"no name":          {"id,title\n1,x\n", "no column is the name; say which with -map COLUMN=name, of id, title", nil},
		"not UTF-8":        {"name,stra\xdfe\nx,y\n", "the file is not UTF-8", nil},
		"column twice":     {"name,a,a\n", `the column "a" is there twice`, nil},
		"nameless column":  {"name,\n", "column 2 has no name", nil},
		"two for one":      {"name,title\n", `the columns "name" and "title" go to the same place`, []string{"-map", "title=name"}},
		"unknown column":   {"name\n", `-map: there is no column "nane"; there are name`, []string{"-map", "nane=phone"}},
		"unknown field":    {"name\n", `there is no field "fone"`, []string{"-map", "name=fone"}},
		"no field":         {"name\n", "must look like column=field", []string{"-map", "name"}},
		"long delimiter":   {"name\n", "-delimiter must be one character", []string{"-delimiter", "ab"}},
		"too many workers": {"name\n", "-workers must be from 1 to 32", []string{"-workers", "100"}},
		"wrong password":   {"name\nx\n", "The login or the password is wrong. (invalid_grant)", []string{"-password", "guess"}},
		"no address":       {"name\nx\n", "-url, must be an address such as", []string{"-url", "127.0.0.1:8080"}},
		"no scheme":        {"name\nx\n", "-url, must be an address such as", []string{"-url", "localhost:8080"}},
		"no API there":     {"name\nx\n", "the server answered 404 to the sign-in; the address may be wrong", []string{"-url", r.url + "/v1"}},
		"nobody there":     {"name\nx\n", "signing in at http://127.0.0.1:1", []string{"-url", "http://127.0.0.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := r.file(t, c.text)
			code, stdout, stderr := r.run(t.Context(), t, file, c.flags...)
			require.Equal(t, exitUnable, code, stdout)
			require.Contains(t, stderr, c.says)
		})
	}
	code, _, stderr := r.run(t.Context(), t, filepath.Join(r.folder, "missing.csv"))
	require.Equal(t, exitUnable, code)
	require.Contains(t, stderr, "missing.csv")
	code, _, stderr = r.run(t.Context(), t, "-help")
	require.Equal(t, exitDone, code)
	require.Contains(t, stderr, "import-csv [flags] FILE")
	require.Empty(t, r.list(t, ""))
}

func TestAFaultThatIsNotTheRowsOwnStopsTheImport(t *testing.T) {
	t.Parallel()
	r := newTrial(t, access.Viewer)
	code, stdout, _ := r.run(t.Context(), t, r.file(t, shops), append(shopColumns, "-workers", "1")...)
	require.Equal(t, exitRefused, code)
	require.Contains(t, stdout, "0 created, 6 refused\nstopped early: The token lacks the scope customers:write.\n")
	rows := r.refusedRows(t)
	require.Len(t, rows, 7, "no row is lost")
	require.Equal(t, "not_tried: the import stopped before this row", rows[6][len(rows[6])-1])
}

// TestABusyServerIsAskedAgain puts something between the program and the server that turns calls away.
func TestABusyServerIsAskedAgain(t *testing.T) {
	t.Parallel()
	r := newTrial(t, access.Operator)
	var calls atomic.Int32
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		status := map[int32]int{1: 503, 3: 429, 5: 502}[calls.Add(1)]
		if status != 0 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(status)
			return
		}
		request.RequestURI, request.URL.Scheme = "", "http"
		request.URL.Host = strings.TrimPrefix(r.server.URL, "http://")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	}))
	t.Cleanup(busy.Close)
	r.url = busy.URL
	code, stdout, stderr := r.run(t.Context(), t, r.file(t, shops), append(shopColumns, "-workers", "1")...)
	require.Equal(t, exitRefused, code, stderr)
	require.Contains(t, stdout, "5 created, 1 refused\nline 3: http_502: The server answered 502.\n")
}

func TestPausesAreTheServersToName(t *testing.T) {
	t.Parallel()
	headers := []string{"7", "", "nonsense", time.Now().Add(5 * time.Minute).UTC().Format(http.TimeFormat), "-3"}
	served := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served == len(headers) {
			return
		}
		w.Header().Set("Retry-After", headers[served])
		served++
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	var pauses []time.Duration
	calls := &caller{wait: func(_ context.Context, pause time.Duration) error {
		pauses = append(pauses, pause)
		return nil
	}}
	said, err := calls.do(t.Context(), false, get(server.URL))
	require.NoError(t, err)
	require.Equal(t, 200, said.status)
	require.Equal(t, []time.Duration{7 * time.Second, time.Second, time.Second, time.Minute, 0}, pauses)

	// And when it never gets better:
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	_, err = calls.do(t.Context(), false, get(server.URL))
	require.EqualError(t, err, "the server still answered 503 after 10 attempts")
}

func get(url string) func(context.Context) (*http.Response, error) {
	return func(ctx context.Context) (*http.Response, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		return http.DefaultClient.Do(request)
	}
}

// TestARestartIsWaitedFor stops the server between two calls and starts it when the program waits. It runs alone: while
// a test beside it starts a process, that process has the closed listener for a moment, and a call reaches it.
func TestARestartIsWaitedFor(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	})
	server := httptest.NewUnstartedServer(handler)
	// Where the system has such an address, nobody else comes to listen at the port meanwhile.
	if own, err := net.Listen("tcp", "127.0.83.67:0"); err == nil {
		require.NoError(t, server.Listener.Close())
		server.Listener = own
	}
	server.Start()
	calls := &caller{}
	_, err := calls.do(t.Context(), false, get(server.URL))
	require.NoError(t, err)

	address := server.Listener.Addr().String()
	server.Close()
	waited := 0
	calls.wait = func(context.Context, time.Duration) error {
		if waited++; waited == 2 {
			listener, err := net.Listen("tcp", address)
			require.NoError(t, err)
			server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
			server.Start()
			t.Cleanup(server.Close)
		}
		return nil
	}
	said, err := calls.do(t.Context(), false, get("http://"+address))
	require.NoError(t, err)
	require.Equal(t, 200, said.status)
	require.Equal(t, 2, waited)
}

// TestTheSessionIsCarriedOn moves the clocks of both sides.
func TestTheSessionIsCarriedOn(t *testing.T) {
	t.Parallel()
	server := apitest.New(t)
	staff := server.Staff(t, access.Operator)
	api, err := client.NewClient(server.URL)
	require.NoError(t, err)
	s := &session{
		api: api, calls: &caller{wait: sleep}, email: staff.Email, password: apitest.Password, now: server.Clock.Now,
	}
	first, err := s.token(t.Context())
	require.NoError(t, err)
	firstRefresh := s.refresh
	again, err := s.token(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, again, "it is still good")

	server.Clock.Advance(9*time.Minute + 30*time.Second)
	second, err := s.token(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	require.NotEqual(t, firstRefresh, s.refresh)
	staff.Token = second
	staff.Must(t, 200, "GET", "/v1/me", nil)

	server.Clock.Advance(20 * 24 * time.Hour) // longer than a session lasts unused
	third, err := s.token(t.Context())
	require.NoError(t, err, "it signs in anew")
	staff.Token = third
	staff.Must(t, 200, "GET", "/v1/me", nil)

	s.password = "forgotten"
	server.Clock.Advance(20 * 24 * time.Hour)
	_, err = s.token(t.Context())
	require.EqualError(t, err, "The login or the password is wrong. (invalid_grant)")
}

func TestAnInterruptedImportLosesNoRow(t *testing.T) {
	t.Parallel()
	r := newTrial(t, access.Operator)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch calls.Add(1) {
		case 1:
			_, _ = io.WriteString(w, `{"access_token":"t","refresh_token":"r","expires_in":600}`)
		case 2:
			cancel() // while this customer is on its way
			fallthrough
		default:
			w.WriteHeader(http.StatusCreated)
		}
	}))
	t.Cleanup(front.Close)
	r.url = front.URL
	code, stdout, _ := r.run(ctx, t, r.file(t, shops), append(shopColumns, "-workers", "1")...)
	require.Equal(t, exitRefused, code)
	require.Contains(t, stdout, "1 created, 5 refused\nstopped early: interrupted\n", "what was sent is waited for")
	require.Len(t, r.refusedRows(t), 6)
}

// TestACallWithoutAnAnswerIsRepeated: the server does what it is asked for, and its answers are lost on the way.
func TestACallWithoutAnAnswerIsRepeated(t *testing.T) {
	t.Parallel()
	r := newTrial(t, access.Operator)
	var lost atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		request.RequestURI, request.URL.Scheme = "", "http"
		request.URL.Host = strings.TrimPrefix(r.server.URL, "http://")
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		isFirst := request.URL.Path == "/v1/customers" && answer.Header.Get("Idempotent-Replayed") == ""
		if isFirst && lost.Add(1)%2 == 1 {
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(body[:10])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler) // in the middle
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(body)
	}))
	t.Cleanup(front.Close)
	r.url = front.URL
	file := r.file(t, shops)
	for range 2 { // the second time everything was there before
		code, stdout, stderr := r.run(t.Context(), t, file, shopColumns...)
		require.Equal(t, exitDone, code, stdout+stderr)
		require.Contains(t, stdout, "6 created, 0 refused\n")
		require.Len(t, r.list(t, ""), 6)
	}
	require.Equal(t, int32(6), lost.Load())
}

func TestACallThatNeverGetsAnAnswerIsReported(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(server.Close)
	pauses := 0
	calls := &caller{wait: func(context.Context, time.Duration) error {
		pauses++
		return nil
	}}
	_, err := calls.do(t.Context(), true, get(server.URL))
	require.ErrorIs(t, err, errNoAnswer)
	require.Equal(t, maxAttempts-1, pauses)
	_, err = calls.do(t.Context(), false, get(server.URL))
	require.ErrorIs(t, err, errNoAnswer)
	require.Equal(t, maxAttempts-1, pauses, "it may have happened")
}

func TestTheFirstCallAtWorkIsWaitedFor(t *testing.T) {
	t.Parallel()
	served := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served++; served == 1 {
			w.Header().Set("Retry-After", "2")
		}
		w.WriteHeader(http.StatusConflict)
	}))
	t.Cleanup(server.Close)
	calls := &caller{wait: func(context.Context, time.Duration) error { return nil }}
	said, err := calls.do(t.Context(), true, get(server.URL))
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, said.status, "another conflict is an answer")
	require.Equal(t, 2, served)
}
