package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/postgres"
)

const (
	idempotencyKey = "Idempotency-Key"
	replayedHeader = "Idempotent-Replayed"
)

func withKey(key string) apitest.With { return apitest.Header(idempotencyKey, key) }

// badKeys are no keys.
var badKeys = []string{"", " ", "a b", "tab\there", strings.Repeat("k", 256), "żółw", "\xff"}

// keyMutations are headers with keys that are none.
func keyMutations() (all []mutation) {
	for _, key := range badKeys {
		all = append(all, mutation{
			name: "key " + abbreviated(key), status: malformed, place: idempotencyKey, header: true,
			with: []apitest.With{func(r *http.Request) { r.Header[idempotencyKey] = []string{key} }},
		})
	}
	return append(all, mutation{
		name: "two keys", status: malformed, place: idempotencyKey, header: true,
		with: []apitest.With{func(r *http.Request) { r.Header[idempotencyKey] = []string{"a", "b"} }},
	})
}

// TestTwoKeys: a request stands for one thing, also where a proxy has said the same twice.
func TestTwoKeys(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for _, keys := range [][]string{{"a", "b"}, {"a", "a"}, {"a", ""}, {" ", "é"}} {
		with := func(r *http.Request) { r.Header[idempotencyKey] = keys }
		refused := admin.Must(t, 400, "POST", "/v1/customers?colour=red", "{}", with)
		requireFaults(t, refused, "/name required", "colour unknown_parameter", idempotencyKey+" repeated")
		refused = admin.Must(t, 400, "POST", "/v1/customers", `{"name":"x"}`, with)
		requireFaults(t, refused, idempotencyKey+" repeated")
		require.Equal(t, "must be there only once", (*refused.Problem(t).Errors)[0].Message)
		admin.Must(t, 400, "POST", "/v1/customers/import", "name\nx", with, apitest.Header("Content-Type", "text/csv"))
	}
	var page openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers", nil).JSON(t, &page)
	require.Empty(t, page.Data)
}

// TestWhatTakesAKey: every POST of a caller who is signed in, and the contract says so of each.
func TestWhatTakesAKey(t *testing.T) {
	t.Parallel()
	for _, operation := range apitest.Contract().Operations() {
		described := document().Paths.Value(operation.Path).GetOperation(operation.Method)
		replays := false
		for status, response := range described.Responses.Map() {
			if replay := response.Value.Headers[replayedHeader]; replay != nil {
				require.Equal(t, "2", status[:1], operation.ID)
				replays = true
			}
		}
		must := operation.Method == http.MethodPost && !operation.IsPublic()
		require.Equal(t, must, operation.TakesKey(), "%s: whether it takes the parameter IdempotencyKey", operation.ID)
		require.Equal(t, must, replays, "%s: whether an answer has the header IdempotentReplayed", operation.ID)
		if must {
			for _, status := range []int{409, 422} {
				examples := described.Responses.Status(status).Value.Content["application/problem+json"].Examples
				codes := map[int][]string{409: {"in_progress", "answer_erased"}, 422: {"idempotency_key_reused"}}[status]
				for _, code := range codes {
					require.Contains(t, examples, code, "%s: the examples of its %d", operation.ID, status)
				}
			}
		}
	}
}

// prepared says, by operation, what the example of the contract is not enough for.
func prepared(t *testing.T, s *apitest.Server, aimed *target) {
	t.Helper()
	admin := s.Staff(t, access.Administrator)
	switch aimed.ID {
	case "customerActivate":
		customer := admin.ActiveCustomer(t, nil)
		admin.Must(t, 200, "POST", path(customer)+"/deactivate", nil)
		aimed.path = path(customer) + "/activate"
	case "customerDeactivate":
		aimed.path = path(admin.ActiveCustomer(t, nil)) + "/deactivate"
	case "customerCreate":
		aimed.body = apitest.Fields{"name": "Once", "external_id": uuid.NewString(),
			"identity": apitest.Fields{"email": uuid.NewString() + "@example.com", "password": apitest.Password}}
	case "customerBulkDelete":
		aimed.body = apitest.Fields{"ids": []uuid.UUID{admin.Customer(t, nil).Id}}
		plan := admin.Must(t, 428, "POST", bulkDelete, aimed.body).Problem(t)
		aimed.path += "?confirm=" + url.QueryEscape(*plan.ConfirmationToken)
	case "activationRequestSend", "activationRequestMarkSent":
		var request openapi.ActivationRequest
		admin.Must(t, 201, "POST", path(contact(t, admin, nil))+"/activation-requests", "{}").JSON(t, &request)
		aimed.path = requestPath(request) + map[string]string{
			"activationRequestSend": "/send", "activationRequestMarkSent": "/mark-sent",
		}[aimed.ID]
	case "activationRequestCreate":
		aimed.body = apitest.Fields{}
	case "managedCustomerCreate":
		aimed.body = apitest.Fields{"name": "Once"}
	case "portalTermsAcceptanceCreate":
		aimed.body = apitest.Fields{"terms_id": admin.Terms(t, "New terms").Id}
	case "termsCreate":
		aimed.path, aimed.body = aimed.path+"?title=Terms", "# Terms\n"
	case "backupRestore":
		archive := admin.Must(t, 200, "GET", path(admin.Customer(t, nil))+"/backup", nil).Body
		aimed.path, aimed.body = aimed.path+"?on_conflict=new", archive
	case "customerImport":
		aimed.body = "name\nOnce\n"
	case "domainImport":
		aimed.body = "host\n" + uuid.NewString() + ".example.com\n"
	}
}

// mediaOf gives the type that a file is sent with.
func mediaOf(operation string) string {
	return map[string]string{"backupRestore": "application/zip", "termsCreate": "text/markdown", "customerImport": "text/csv", "domainImport": "text/csv"}[operation]
}

// rowCounts gives how many rows each table has.
func rowCounts(t *testing.T, s *apitest.Server) map[string]int {
	t.Helper()
	rows, err := s.DB.Query(t.Context(), `SELECT table_name, (xpath('/row/n/text()',
			query_to_xml(format('SELECT count(*) AS n FROM %I', table_name), false, true, '')))[1]::text::int
		FROM information_schema.tables WHERE table_schema = 'public'`)
	require.NoError(t, err)
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var table string
		var count int
		require.NoError(t, rows.Scan(&table, &count))
		counts[table] = count
	}
	require.NoError(t, rows.Err())
	require.Greater(t, len(counts), 20)
	return counts
}

// effects gives how many rows each table has, but for those that come later in the background: the deliveries of events to
// webhooks.
func effects(t *testing.T, s *apitest.Server) map[string]int {
	t.Helper()
	counts := rowCounts(t, s)
	var deliveries, jobs int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM webhook_deliveries WHERE position IS NULL),
		(SELECT count(*) FROM river_job WHERE kind <> 'webhook_delivery')`).Scan(&deliveries, &jobs))
	counts["webhook_deliveries"], counts["river_job"] = deliveries, jobs
	return counts
}

// answered is what of an answer must be the same again.
func answered(response *apitest.Response) map[string]any {
	header := maps.Clone(response.Header)
	for _, name := range []string{"Date", "X-Request-Id", replayedHeader} {
		header.Del(name)
	}
	return map[string]any{"status": response.Status, "header": header, "body": string(response.Body)}
}

// TestEveryPostHappensOnce sends every operation that takes a key twice. It goes over the contract: one that is added must
// be sent once, too; where the example of its body does not do, prepared has to say what does.
func TestEveryPostHappensOnce(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Mail(openPostOffice(t).sender))
	admin := s.Staff(t, access.Administrator)
	sent := 0
	for _, operation := range apitest.Contract().Operations() {
		if operation.Method != http.MethodPost || operation.IsPublic() {
			continue
		}
		sent++
		aimed := aimAt(t, s, admin, operation)
		prepared(t, s, &aimed)
		with := []apitest.With{withKey(operation.ID)}
		if media := mediaOf(operation.ID); media != "" {
			with = append(with, apitest.Header("Content-Type", media))
		}
		first := aimed.caller.Do(t, "POST", aimed.path, aimed.body, with...)
		require.Equal(t, 2, first.Status/100, "%s: %s", operation.ID, first.Body)
		require.Empty(t, first.Header.Get(replayedHeader), operation.ID)
		before := effects(t, s)
		again := aimed.caller.Do(t, "POST", aimed.path, aimed.body, with...)
		require.Equal(t, "true", again.Header.Get(replayedHeader), "%s: %s", operation.ID, again.Body)
		require.Equal(t, answered(first), answered(again), operation.ID)
		require.Equal(t, before, effects(t, s), operation.ID)
	}
	require.Greater(t, sent, 15)

	// Whatever was answered, whoever has the database has none of it.
	var leaks int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(*) FROM idempotency_keys
		WHERE position('Once'::bytea IN answer) > 0 OR position('HTTP'::bytea IN answer) > 0`).Scan(&leaks))
	require.Zero(t, leaks)
}

func TestAKeyIsOfOneRequestAndOneCaller(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer, other := admin.Customer(t, nil), admin.Customer(t, nil)
	notes := path(customer) + "/notes"
	first := admin.Must(t, 201, "POST", notes, `{"text":"a"}`, withKey("k"))
	for name, request := range map[string]struct{ path, body string }{
		"another body":      {notes, `{"text":"b"}`},
		"the body, spaced":  {notes, `{"text": "a"}`},
		"another path":      {path(other) + "/notes", `{"text":"a"}`},
		"another operation": {path(customer) + "/activate", ""},
		"another query":     {notes + "?x=1", `{"text":"a"}`}, // though it would be refused for itself
		"a malformed body":  {notes, `{"text":`},
		"a body refused":    {notes, `{"tixt":"a"}`},
	} {
		response := admin.Must(t, 422, "POST", request.path, request.body, withKey("k"))
		require.Equal(t, "idempotency_key_reused", response.Problem(t).Code, name)
		requireFaults(t, response, idempotencyKey+" idempotency_key_reused")
	}
	// Not what travels beside it: a retry may come by another way.
	again := admin.Must(t, 201, "POST", notes, `{"text":"a"}`, withKey("k"), apitest.Header("User-Agent", "another"),
		apitest.Header("Content-Type", "application/json; charset=utf-8"))
	require.Equal(t, answered(first), answered(again))
	// Another caller's key is another key.
	colleague := s.Staff(t, access.Administrator).Must(t, 201, "POST", notes, `{"text":"a"}`, withKey("k"))
	require.Empty(t, colleague.Header.Get(replayedHeader))
	require.NotEqual(t, first.Body, colleague.Body)
	// All that is wrong is told at once.
	response := admin.Must(t, 400, "POST", notes+"?x=1", `{"tixt":"a"}`, withKey("a b"))
	problem := response.Problem(t)
	require.Len(t, *problem.Errors, 4, "%s", response.Body)
	// Where no key is taken, none is looked at.
	admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"name": "x"}, withKey("k"))
	admin.Must(t, 201, "POST", notes, `{"text":"a"}`, withKey("!"+strings.Repeat("~", 254)))
}

func TestRefusalsAndDryRunsLeaveAKeyFree(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	taken := admin.Customer(t, apitest.Fields{"external_id": "taken"})
	body := apitest.Fields{"name": "Once", "external_id": "taken"}
	require.Equal(t, "external_id_taken", admin.Must(t, 409, "POST", "/v1/customers", body, withKey("k")).Problem(t).Code)
	admin.Must(t, 422, "POST", "/v1/customers", `{}`, withKey("k"))
	admin.Must(t, 200, "PATCH", path(taken), apitest.Fields{"external_id": nil})
	first := admin.Must(t, 201, "POST", "/v1/customers", body, withKey("k"))
	// By now the external id is taken again, by what the request did itself.
	require.Equal(t, answered(first), answered(admin.Must(t, 201, "POST", "/v1/customers", body, withKey("k"))))

	csv := apitest.Header("Content-Type", "text/csv")
	const file = "name\nOnce\n"
	for range 2 {
		dry := admin.Must(t, 202, "POST", customersImport+"?dry_run=true", file, csv, withKey("i"))
		require.Empty(t, dry.Header.Get(replayedHeader))
	}
	imported := admin.Must(t, 202, "POST", customersImport, file, csv, withKey("i"))
	require.Empty(t, imported.Header.Get(replayedHeader))
	var operation openapi.Operation
	imported.JSON(t, &operation)
	admin.Finished(t, operation.Id)

	// A file that is sent again is read and compared, whatever would be said against the request.
	again := admin.Must(t, 202, "POST", customersImport, file, apitest.Header("Content-Type", "image/png"), withKey("i"))
	require.Equal(t, answered(imported), answered(again))
	blobs := rowCounts(t, s)["blobs"]
	for _, another := range []string{"name\nTwice\n", "", file + "\n"} {
		problem := admin.Must(t, 422, "POST", customersImport, another, csv, withKey("i")).Problem(t)
		require.Equal(t, "idempotency_key_reused", problem.Code, another)
	}
	require.LessOrEqual(t, rowCounts(t, s)["blobs"], blobs, "no file is received in vain")
}

// TestARetryIsAnsweredWhateverHasBecomeOfThings: by it all that it would be refused for now.
func TestARetryIsAnsweredWhateverHasBecomeOfThings(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	s := apitest.NewOn(t, database)
	admin := s.Staff(t, access.Administrator)
	again := func(caller *apitest.Caller, first *apitest.Response, path string, body any, with ...apitest.With) {
		t.Helper()
		require.Equal(t, answered(first), answered(caller.Must(t, first.Status, "POST", path, body, with...)))
	}
	t.Run("a version", func(t *testing.T) {
		customer := admin.ActiveCustomer(t, nil)
		with := []apitest.With{withKey("version"), apitest.Header("If-Match", fmt.Sprintf(`"%d.x"`, customer.Version))}
		first := admin.Must(t, 200, "POST", path(customer)+"/deactivate", nil, with...)
		admin.Must(t, 412, "POST", path(customer)+"/deactivate", nil, with[1])
		again(admin, first, path(customer)+"/deactivate", nil, with...)
	})
	t.Run("mails to one address", func(t *testing.T) {
		f := lineOf(t, s, admin)
		first := f.manager.Must(t, 202, "POST", managedAt(f.child)+"/activation-requests", nil, withKey("invite"))
		f.manager.Must(t, 429, "POST", managedAt(f.child)+"/activation-requests", nil)
		again(f.manager, first, managedAt(f.child)+"/activation-requests", nil, withKey("invite"))
	})
	t.Run("terms to accept", func(t *testing.T) {
		strict := apitest.NewOn(t, database, apitest.PublicURL(s.URL), apitest.TermsRequired)
		user := portalUser(t, strict, "member")
		body := apitest.Fields{"kind": "post", "title": "Once"}
		first := user.Must(t, 201, "POST", "/v1/portal/publishings", body, withKey("terms"))
		admin.Terms(t, "New terms")
		user.Must(t, 403, "POST", "/v1/portal/publishings", body)
		again(user, first, "/v1/portal/publishings", body, withKey("terms"))
	})
	t.Run("a role", func(t *testing.T) { // who may not come in any more gets nothing
		login := s.Staff(t, access.Administrator)
		body := apitest.Fields{"name": "Once", "identity": apitest.Fields{"email": uuid.NewString() + "@example.com"}}
		login.Must(t, 201, "POST", "/v1/customers", body, withKey("role"))
		narrow := *login
		narrow.Token = s.Token(t, &access.Principal{
			Kind: access.KindStaff, ID: login.ID, Name: "Test", SessionID: uuid.Must(uuid.NewV7()), Epoch: 1,
			Scopes: []access.Scope{"customers:write"},
		})
		problem := narrow.Must(t, 403, "POST", "/v1/customers", body, withKey("role")).Problem(t)
		require.Equal(t, "insufficient_scope", problem.Code)
	})
	t.Run("time", func(t *testing.T) { // the last one: it moves the clock of all
		principal, err := s.Authority.Verify(t.Context(), admin.Token)
		require.NoError(t, err)
		later := func(by time.Duration) {
			s.Clock.Advance(by)
			admin.Token = s.Token(t, principal)
		}
		body := apitest.Fields{"ids": []uuid.UUID{admin.Customer(t, nil).Id}}
		plan := admin.Must(t, 428, "POST", bulkDelete, body).Problem(t)
		target := bulkDelete + "?confirm=" + url.QueryEscape(*plan.ConfirmationToken)
		first := admin.Must(t, 202, "POST", target, body, withKey("time"))
		later(time.Hour)
		admin.Must(t, 428, "POST", target, body) // the token has expired
		again(admin, first, target, body, withKey("time"))
		later(23*time.Hour - time.Minute)
		again(admin, first, target, body, withKey("time"))
		later(2 * time.Minute)
		admin.Must(t, 428, "POST", target, body, withKey("time"))
		admin.Must(t, 201, "POST", "/v1/customers", apitest.Fields{"name": "new"}, withKey("time")) // the key is free
		require.Equal(t, "true", admin.Must(t, 201, "POST", "/v1/customers", apitest.Fields{"name": "new"},
			withKey("time")).Header.Get(replayedHeader))
	})
}

// TestManyAtOnce: however many send one request at once, it happens once, and nobody waits with a connection.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const callers = 50
	database := dbtest.URL(t)
	s := apitest.NewOn(t, database)
	servers := []*apitest.Server{s, apitest.NewOn(t, database, apitest.PublicURL(s.URL))}
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	responses := make([]*apitest.Response, callers)
	var running sync.WaitGroup
	for i := range callers {
		caller := servers[i%2].Anonymous()
		caller.Token = admin.Token
		running.Go(func() {
			responses[i] = caller.Do(t, "POST", "/v1/customers", apitest.Fields{"name": "Once", "external_id": "once"}, withKey("k"))
		})
	}
	running.Wait()
	bodies := map[string]int{}
	first := 0
	for _, response := range responses {
		if response.Status == 409 {
			require.Equal(t, "in_progress", response.Problem(t).Code)
			require.Equal(t, "1", response.Header.Get("Retry-After"))
			continue
		}
		require.Equal(t, 201, response.Status, "%s", response.Body)
		bodies[string(response.Body)]++
		if response.Header.Get(replayedHeader) == "" {
			first++
		}
	}
	require.Len(t, bodies, 1)
	require.Equal(t, 1, first)
	var page openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?external_id=once", nil).JSON(t, &page)
	require.Len(t, page.Data, 1)

	// The same with the first one held up: all others are sent away, and other requests have connections.
	notes := path(customer) + "/notes"
	var held *apitest.Response
	holding(t, s, func(tx *postgres.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT FROM customers WHERE id = $1 FOR UPDATE", customer.Id)
		return err
	}, func() { held = admin.Do(t, "POST", notes, `{"text":"a"}`, withKey("n")) }, func() {
		for range callers {
			running.Go(func() {
				problem := admin.Must(t, 409, "POST", notes, `{"text":"a"}`, withKey("n")).Problem(t)
				require.Equal(t, "in_progress", problem.Code)
			})
		}
		running.Wait()
		admin.Must(t, 200, "GET", path(customer), nil)
		admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"name": "waits"}) // so that holding goes on
	})
	require.Equal(t, 201, held.Status)
	require.Equal(t, answered(held), answered(admin.Must(t, 201, "POST", notes, `{"text":"a"}`, withKey("n"))))
}
