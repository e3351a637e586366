package api_test

import (
	"context"
	"fmt"
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
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/notes"
	"github.com/clientele-api/clientele/internal/postgres"
)

const bulkDelete = "/v1/customers/bulk-delete"

// bulkPlan asks for the plan of a bulk deletion, and gives it with the token that confirms it.
func bulkPlan(t *testing.T, admin *apitest.Caller, body apitest.Fields) openapi.BulkDeletionPlan {
	t.Helper()
	problem := admin.Must(t, 428, "POST", bulkDelete, body).Problem(t)
	require.Equal(t, "confirmation_required", problem.Code)
	require.Equal(t, problem.ConfirmationToken, problem.BulkDeletionPlan.ConfirmationToken)
	return *problem.BulkDeletionPlan
}

// settledPlan is a plan that goes by all that is there now. What others write beside it, such as work in the background, may
// make one go by an earlier moment.
func settledPlan(t *testing.T, s *apitest.Server, admin *apitest.Caller, body apitest.Fields) openapi.BulkDeletionPlan {
	t.Helper()
	now := s.DB.Now()
	require.Eventually(t, func() bool {
		moment, err := customers.SettledMoment(t.Context(), s.DB)
		require.NoError(t, err)
		return moment.After(now)
	}, 20*time.Second, 10*time.Millisecond)
	return bulkPlan(t, admin, body)
}

// deleted confirms a plan and gives the operation at its end.
func deleted(t *testing.T, admin *apitest.Caller, body apitest.Fields, token string) openapi.Operation {
	t.Helper()
	var operation openapi.Operation
	response := admin.Must(t, 202, "POST", bulkDelete+"?confirm="+url.QueryEscape(token), body)
	response.JSON(t, &operation)
	require.Equal(t, "/v1/operations/"+operation.Id.String(), response.Header.Get("Location"))
	return admin.Finished(t, operation.Id)
}

func TestBulkDeletionByFilter(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	stale := func(fields apitest.Fields) openapi.Customer {
		return admin.Customer(t, apitest.Fields{"properties": apitest.Fields{"old": true}, "parent_id": fields["parent_id"], "name": fields["name"]})
	}
	grandparent := stale(apitest.Fields{"name": "a"})
	parent := stale(apitest.Fields{"name": "b", "parent_id": grandparent.Id})
	child := stale(apitest.Fields{"name": "c", "parent_id": parent.Id})
	keeper := stale(apitest.Fields{"name": "d"})
	stays := admin.Customer(t, apitest.Fields{"parent_id": keeper.Id})
	admin.Note(t, child.Id, "gone with it")
	admin.Domain(t, child.Id, nil)
	other := admin.Customer(t, nil)

	body := apitest.Fields{"filter": apitest.Fields{"properties": apitest.Fields{"old": "true"}}}
	var dry openapi.BulkDeletionPlan
	admin.Must(t, 200, "POST", bulkDelete+"?dry_run=true", body).JSON(t, &dry)
	require.EqualValues(t, 4, dry.Customers)
	require.EqualValues(t, 1, dry.Blocked)
	require.EqualValues(t, 1, dry.Counts.Domains)
	require.EqualValues(t, 1, dry.Counts.Notes)
	require.Len(t, dry.Blockers, 1)
	require.Equal(t, keeper.Id, dry.Blockers[0].CustomerId)
	require.Equal(t, stays.Id, dry.Blockers[0].Resource.Id)
	plan := settledPlan(t, s, admin, body)
	require.EqualValues(t, 4, plan.Customers)

	// What was changed, was active or is found since the plan stays.
	admin.Must(t, 200, "PATCH", path(other), apitest.Fields{"properties": apitest.Fields{"old": true}})
	late := stale(apitest.Fields{"name": "late"})
	done := deleted(t, admin, body, *plan.ConfirmationToken)
	require.Equal(t, openapi.OperationStateSucceeded, done.State)
	require.EqualValues(t, 3, done.Progress.Deleted)
	require.EqualValues(t, 3, done.Progress.Refused)
	why := map[uuid.UUID]string{}
	for _, one := range done.Errors {
		why[one.Resource.Id] = one.Code
	}
	require.Equal(t, map[uuid.UUID]string{
		keeper.Id: "child_customer", other.Id: "changed_since_plan", late.Id: "changed_since_plan",
	}, why)
	for _, gone := range []openapi.Customer{grandparent, parent, child} {
		admin.Must(t, 404, "GET", path(gone), nil)
	}
	var history openapi.EventPage
	admin.Must(t, 200, "GET", path(child)+"/events", nil).JSON(t, &history)
	require.Equal(t, "customer.deleted", history.Data[0].Type)
	for _, event := range history.Data {
		require.Nil(t, event.Data, event.Type)
	}
	refused := admin.Must(t, 200, "GET", "/v1/operations/"+done.Id.String()+"/refused-rows?bom=false", nil)
	require.Contains(t, string(refused.Body), "customer,"+keeper.Id.String()+",Has a child customer that would stay.\r\n")
	s.Staff(t, access.Viewer).Must(t, 403, "POST", bulkDelete, body)
}

func TestBulkDeletionByIDs(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	one, two := admin.ActiveCustomer(t, nil), admin.Customer(t, nil)
	portal := s.Identity(t, one.Id)
	portal.Publishing(t, nil)
	unknown := uuid.New()
	body := apitest.Fields{"ids": []uuid.UUID{one.Id, unknown, two.Id}}
	plan := settledPlan(t, s, admin, body)
	require.EqualValues(t, 3, plan.Customers)
	require.EqualValues(t, 1, plan.Blocked)
	require.EqualValues(t, 1, plan.Counts.Identities)
	require.EqualValues(t, 1, plan.Counts.Sessions)
	require.EqualValues(t, 1, plan.Counts.Publishings)
	require.Equal(t, "not_found", plan.Blockers[0].Code)

	other := apitest.Fields{"ids": []uuid.UUID{one.Id}}
	for _, token := range []string{"", "x", "clb_x", *plan.ConfirmationToken + "x"} {
		admin.Must(t, 428, "POST", bulkDelete+"?confirm="+url.QueryEscape("clb_"+token), body)
	}
	admin.Must(t, 428, "POST", bulkDelete+"?confirm="+*plan.ConfirmationToken, other)
	done := deleted(t, admin, body, *plan.ConfirmationToken)
	require.EqualValues(t, 2, done.Progress.Deleted)
	require.Equal(t, []string{"- - not_found"}, refusals(done))
	require.Eventually(t, func() bool { return portal.Do(t, "GET", "/v1/portal/profile", nil).Status == 401 }, 5*time.Second, 20*time.Millisecond)
	again := deleted(t, admin, body, *plan.ConfirmationToken)
	require.Equal(t, done.Id, again.Id, "a token starts one deletion")

	third := admin.Customer(t, nil)
	body = apitest.Fields{"ids": []uuid.UUID{third.Id}}
	plan = bulkPlan(t, admin, body)
	s.Clock.Advance(10*time.Minute + time.Second)
	admin = s.Staff(t, access.Administrator)
	admin.Must(t, 428, "POST", bulkDelete+"?confirm="+*plan.ConfirmationToken, body)
	nothing := bulkPlan(t, admin, apitest.Fields{"ids": []uuid.UUID{uuid.New()}})
	require.Nil(t, nothing.ConfirmationToken)

	for _, bad := range []apitest.Fields{
		{}, {"filter": apitest.Fields{}}, {"ids": []uuid.UUID{}}, {"ids": []uuid.UUID{third.Id}, "filter": apitest.Fields{"status": "active"}},
		{"filter": apitest.Fields{"properties": apitest.Fields{}}}, {"filter": apitest.Fields{"unknown": 1}},
		{"ids": []uuid.UUID{third.Id, third.Id}}, {"filter": nil}, {"ids": nil},
	} {
		admin.Must(t, 422, "POST", bulkDelete, bad)
	}
	admin.Must(t, 200, "GET", path(third), nil)
}

// TestBulkDeletionOfASubtreeThatGrew: an account that was moved below the ancestor after the plan is not what was meant,
// and neither is what came with it.
func TestBulkDeletionOfASubtreeThatGrew(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	root := admin.Customer(t, nil)
	meant := admin.Customer(t, apitest.Fields{"parent_id": root.Id})
	mover := admin.Customer(t, nil)
	passenger := admin.Customer(t, apitest.Fields{"parent_id": mover.Id})
	body := apitest.Fields{"filter": apitest.Fields{"ancestor_id": root.Id}}
	plan := settledPlan(t, s, admin, body)
	require.EqualValues(t, 1, plan.Customers)
	admin.Must(t, 200, "PATCH", path(mover), apitest.Fields{"parent_id": root.Id})
	done := deleted(t, admin, body, *plan.ConfirmationToken)
	require.EqualValues(t, 1, done.Progress.Deleted)
	require.EqualValues(t, 2, done.Progress.Refused)
	admin.Must(t, 404, "GET", path(meant), nil)
	admin.Must(t, 200, "GET", path(passenger), nil)
}

func TestOperationsAreListedAndCancelled(t *testing.T) {
	t.Parallel()
	s := apitest.New(t) // which works nothing, so that they wait
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	first := admin.Import(t, customersImport, "name\nA\n")
	second := admin.Import(t, path(customer)+"/domains/import", "host\na.example.com\n")
	list := func(query string) (found []uuid.UUID) {
		var page openapi.OperationPage
		admin.Must(t, 200, "GET", "/v1/operations"+query, nil).JSON(t, &page)
		for _, one := range page.Data {
			found = append(found, one.Id)
		}
		return found
	}
	require.Equal(t, []uuid.UUID{second.Id, first.Id}, list(""))
	require.Equal(t, []uuid.UUID{first.Id, second.Id}, list("?sort=created_at"))
	require.Equal(t, []uuid.UUID{first.Id}, list("?kind=customer_import"))
	require.Equal(t, []uuid.UUID{second.Id}, list("?customer_id="+customer.Id.String()))
	require.Empty(t, list("?state=running"))
	var page openapi.OperationPage
	admin.Must(t, 200, "GET", "/v1/operations?limit=1&include_total=true", nil).JSON(t, &page)
	require.EqualValues(t, 2, *page.Total)
	admin.Must(t, 200, "GET", "/v1/operations?limit=1&cursor="+*page.NextCursor, nil).JSON(t, &page)
	require.Equal(t, first.Id, page.Data[0].Id)

	// Who may not start a kind knows nothing of it.
	domains := s.Anonymous()
	domains.Token = s.Token(t, &access.Principal{
		Kind: access.KindStaff, ID: admin.ID, Name: "x", SessionID: uuid.New(), Epoch: 1, Scopes: []access.Scope{"domains:write"},
	})
	domains.Must(t, 404, "GET", "/v1/operations/"+first.Id.String(), nil)
	domains.Must(t, 404, "POST", "/v1/operations/"+first.Id.String()+"/cancel", nil)
	domains.Must(t, 404, "GET", "/v1/operations/"+first.Id.String()+"/refused-rows", nil)
	domains.Must(t, 200, "GET", "/v1/operations/"+second.Id.String(), nil)
	domains.Must(t, 200, "GET", "/v1/operations", nil).JSON(t, &page)
	require.Len(t, page.Data, 1)

	cancel := "/v1/operations/" + first.Id.String() + "/cancel"
	admin.Must(t, 412, "POST", cancel, nil, apitest.Header("If-Match", `"7.x"`))
	response := admin.Must(t, 200, "GET", "/v1/operations/"+first.Id.String(), nil)
	admin.Must(t, 304, "GET", "/v1/operations/"+first.Id.String(), nil, apitest.Header("If-None-Match", response.Header.Get("ETag")))
	var cancelled openapi.Operation
	admin.Must(t, 200, "POST", cancel, nil, apitest.Header("If-Match", response.Header.Get("ETag"))).JSON(t, &cancelled)
	require.Equal(t, openapi.OperationStateCancelled, cancelled.State)
	require.NotNil(t, cancelled.FinishedAt)
	require.Equal(t, "operation_finished", admin.Must(t, 409, "POST", cancel, nil).Problem(t).Code)

	s.Work(t)
	require.Equal(t, "1+0=0-0", progressOf(admin.Finished(t, second.Id)))
	require.EqualValues(t, 1, customerCount(t, admin), "what was cancelled is not done")
	require.Eventually(t, func() bool { // the files go
		var left int
		require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM blobs").Scan(&left))
		return left == 0
	}, 10*time.Second, 20*time.Millisecond)
}

// TestImportGoesOnWhereItWasLeft: replicas that stop one after the other in the middle of a file import each row once.
func TestImportGoesOnWhereItWasLeft(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	blobs := apitest.Blobs("file://" + t.TempDir())
	s := apitest.NewOn(t, url, blobs)
	admin := s.Staff(t, access.Administrator)
	const rows = 13_000
	var file strings.Builder
	file.WriteString("external_id,name\n")
	for i := range rows {
		fmt.Fprintf(&file, "K%d,Name %d\n", i, i)
	}
	operation := admin.Import(t, customersImport, file.String())
	for replica := range 3 {
		t.Run(fmt.Sprint("replica ", replica), func(t *testing.T) {
			another := apitest.NewOn(t, url, blobs, apitest.PublicURL(s.URL))
			another.Work(t)
			before := admin.Operation(t, operation.Id).Progress.Read
			require.Eventually(t, func() bool {
				now := admin.Operation(t, operation.Id).Progress.Read
				return now > before || now == rows
			}, time.Minute, time.Millisecond)
		})
	}
	s.Work(t)
	s.Clock.Advance(time.Hour) // a step that was broken off is tried again after a while
	done := s.Staff(t, access.Administrator).Finished(t, operation.Id)
	require.Equal(t, openapi.OperationStateSucceeded, done.State)
	require.Equal(t, fmt.Sprintf("%d+0=0-0", rows), progressOf(done))
	var customers, events int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM customers),
		(SELECT count(DISTINCT resource_id) FROM events WHERE type = 'customer.created')`).Scan(&customers, &events))
	require.Equal(t, rows, customers)
	require.Equal(t, rows, events)
}

func TestImportOfDomains(t *testing.T) {
	t.Parallel()
	_, admin := working(t)
	customer, other := admin.Customer(t, nil), admin.Customer(t, nil)
	taken := admin.Domain(t, other.Id, nil)
	at := path(customer) + "/domains/import"
	send := func(query, content string) openapi.Operation {
		return admin.Finished(t, admin.Import(t, at+query, content).Id)
	}
	file := "Host,HTTP Ports,Scheme,Customer Name,Origin,Origin Port,Cache Configuration,Redirection,SSL Expiry Date,TLS Protocol,WAF Configuration\r\n" +
		"Bücher.Example.com,\"80, 8080\",http,Whoever,192.0.2.17,8080,\"{\"\"default_ttl_seconds\"\":60}\",,2027-03-01,TLSv1.2,\r\n" +
		"www.example.com,,,,,,,,,,\r\n" +
		"not a host,,,,,,,,,,\r\n" +
		taken.Host + ",,,,,,,,,,\r\n" +
		"WWW.example.com.,,,,,,,,,,\r\n" +
		"a.example.com,\"80, x\",ftp,,,70000,[1],{,yesterday,TLSv9,\r\n"
	done := send("", file)
	require.Equal(t, []string{
		"4 Host invalid_format", "5 Host host_taken", "6 Host duplicate_key", "7 HTTP Ports invalid_type", "7 Redirection invalid_json",
		"7 Cache Configuration invalid_type", "7 Origin Port too_large", "7 Scheme unknown_value", "7 SSL Expiry Date invalid_format",
		"7 TLS Protocol unknown_value",
	}, refusals(done))
	require.Equal(t, "2+0=0-4", progressOf(done))
	var page openapi.DomainPage
	admin.Must(t, 200, "GET", path(customer)+"/domains?sort=created_at", nil).JSON(t, &page)
	require.Len(t, page.Data, 2)
	hosts := map[string]openapi.Domain{}
	for _, domain := range page.Data {
		hosts[domain.HostUnicode] = domain
	}
	books := hosts["bücher.example.com"]
	require.Equal(t, []int32{80, 8080}, books.HttpPorts)
	require.Equal(t, "2027-03-01T00:00:00Z", books.SslExpiresAt.Format(time.RFC3339))
	require.JSONEq(t, `{"default_ttl_seconds": 60}`, string(*books.CacheConfiguration))
	require.Equal(t, []int32{80}, hosts["www.example.com"].HttpPorts)
	require.EqualValues(t, "https", hosts["www.example.com"].Scheme)

	changed := send("?on_conflict=update", "Host,Cache Configuration,Origin\r\nbücher.example.com,\"{\"\"query_strings\"\":\"\"ignore\"\"}\",\r\n"+
		"www.example.com,,\r\nnew.example.com,,\r\n"+taken.Host+",,\r\n")
	require.Equal(t, "1+1=1-1", progressOf(changed))
	var after openapi.Domain
	admin.Must(t, 200, "GET", "/v1/domains/"+books.Id.String(), nil).JSON(t, &after)
	require.JSONEq(t, `{"query_strings": "ignore"}`, string(*after.CacheConfiguration), "a cell replaces the whole")
	require.Nil(t, after.Origin)
	require.Equal(t, books.HttpPorts, after.HttpPorts, "a column that is not there changes nothing")
	require.Equal(t, "0+0=1-1", progressOf(send("?on_conflict=skip", "host\nnew.example.com\n"+taken.Host+"\n")))
	require.Equal(t, []string{"1 host missing_column"}, refusals(send("", "origin\n192.0.2.1\n")))

	// What was exported can be imported as it is, and changes nothing.
	exported := admin.Must(t, 200, "GET", path(customer)+"/domains.csv", nil)
	require.Equal(t, "0+0=3-0", progressOf(send("?on_conflict=update", string(exported.Body))))
	lines := admin.Must(t, 200, "GET", path(customer)+"/domains.csv", nil, apitest.Header("Accept", "application/x-ndjson"))
	same := admin.Import(t, at+"?on_conflict=update", string(lines.Body), apitest.Header("Content-Type", "application/x-ndjson"))
	require.Equal(t, "0+0=3-0", progressOf(admin.Finished(t, same.Id)))

	// What is known of an import goes with its customer.
	waiting := send("", "host\nx.example.com\n")
	token := *admin.Must(t, 428, "DELETE", path(customer), nil).Problem(t).ConfirmationToken
	admin.Must(t, 204, "DELETE", path(customer)+"?confirm="+token, nil)
	admin.Must(t, 404, "GET", "/v1/operations/"+waiting.Id.String(), nil)
}

// TestImportOfAReplicaThatDied: its job still counts as running, and would for minutes.
func TestImportOfAReplicaThatDied(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	operation := s.Staff(t, access.Administrator).Import(t, customersImport, "name\nA\n")
	_, err := s.DB.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(),
		attempted_by = '{dead}' WHERE kind = 'operation_step'`)
	require.NoError(t, err)
	s.Clock.Advance(time.Minute)
	s.Work(t)
	ctx, stop := context.WithCancel(t.Context())
	var resuming sync.WaitGroup
	resuming.Go(func() { s.Options.Operations.Resume(ctx) })
	t.Cleanup(resuming.Wait)
	t.Cleanup(stop)
	done := s.Staff(t, access.Administrator).Finished(t, operation.Id)
	require.Equal(t, "1+0=0-0", progressOf(done))
}

// TestBulkDeletionOfWhatGrew: what was added to a customer after the plan is not deleted with it.
func TestBulkDeletionOfWhatGrew(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	var ids []uuid.UUID
	add := map[string]func(openapi.Customer){
		"a note":   func(c openapi.Customer) { admin.Note(t, c.Id, "Wants to stay.") },
		"a domain": func(c openapi.Customer) { admin.Domain(t, c.Id, nil) },
		"a login":  func(c openapi.Customer) { admin.Identity(t, c.Id, nil) },
		"an invitation": func(c openapi.Customer) {
			admin.Must(t, 201, "POST", path(c)+"/activation-requests", "{}")
		},
	}
	grown := map[string]openapi.Customer{}
	for name := range add {
		grown[name] = admin.Customer(t, apitest.Fields{"email": "a@example.com"})
		ids = append(ids, grown[name].Id)
	}
	same := admin.Customer(t, nil)
	body := apitest.Fields{"ids": append(ids, same.Id)}
	plan := settledPlan(t, s, admin, body)
	for name, customer := range grown {
		add[name](customer)
	}
	done := deleted(t, admin, body, *plan.ConfirmationToken)
	require.EqualValues(t, 1, done.Progress.Deleted)
	require.EqualValues(t, len(grown), done.Progress.Refused)
	for name, customer := range grown {
		require.Equal(t, 200, admin.Do(t, "GET", path(customer), nil).Status, name)
	}
	// The token is spent: a second click starts nothing.
	require.Equal(t, done.Id, deleted(t, admin, body, *plan.ConfirmationToken).Id)
}

// TestBulkDeletionBesideNewTerms: whom a plan found for not having accepted the terms is not joined by all others once there
// are new ones.
func TestBulkDeletionBesideNewTerms(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	current := admin.Terms(t, "First")
	accepted := admin.ActiveCustomer(t, nil)
	s.Identity(t, accepted.Id).Must(t, 201, "POST", "/v1/portal/terms-acceptances", apitest.Fields{"terms_id": current.Id})
	never := admin.Customer(t, nil)
	body := apitest.Fields{"filter": apitest.Fields{"terms_accepted": false}}
	plan := settledPlan(t, s, admin, body)
	require.EqualValues(t, 1, plan.Customers)
	admin.Terms(t, "Second")
	done := deleted(t, admin, body, *plan.ConfirmationToken)
	require.EqualValues(t, 1, done.Progress.Deleted)
	admin.Must(t, 404, "GET", path(never), nil)
	admin.Must(t, 200, "GET", path(accepted), nil)
}

// TestBulkDeletionBesideAnOpenChange: a change that began before the plan and is committed after it is one that the plan did
// not see.
func TestBulkDeletionBesideAnOpenChange(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	customer := admin.Customer(t, nil)
	body := apitest.Fields{"ids": []uuid.UUID{customer.Id}}
	var plan openapi.BulkDeletionPlan
	require.NoError(t, s.DB.Change(t.Context(), postgres.Change{Actor: postgres.Actor{Kind: access.KindSystem, Name: "test"}},
		func(tx *postgres.Tx) error {
			_, err := notes.Create(t.Context(), tx, customer.Id, "Do not delete.")
			plan = bulkPlan(t, admin, body)
			return err
		}))
	done := deleted(t, admin, body, *plan.ConfirmationToken)
	require.Equal(t, []string{"- - changed_since_plan"}, refusals(done))
	admin.Must(t, 200, "GET", path(customer), nil)
}
