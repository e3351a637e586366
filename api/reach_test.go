package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// everywhere are the operations that are about no single customer, and what of them a limited client is shown: lists hold
// nothing that is not within reach, and what is the same for all callers is left alone. Every other operation that an API
// client may call is about something of a customer, and answers 404 where that is out of reach.
var everywhere = map[string]int{
	"meGet":              200,
	"customerList":       200,
	"customerExport":     200,
	"identityList":       200,
	"domainList":         200,
	"jobList":            200,
	"domainExport":       200,
	"operationList":      200,
	"eventList":          200,
	"termsList":          200,
	"termsGet":           200,
	"termsDocumentGet":   200,
	"customerCreate":     422, // its example has no parent
	"customerImport":     202, // and so have the rows
	"customerBulkDelete": 428, // of nothing
}

// TestLimitedClientsReachNothingElse calls every operation that an API client may call, on something out of its reach and
// then, once its customer has been moved below the client's own, on the very same. It is made of the contract: an operation
// that is added to it is tried with the next run.
func TestLimitedClientsReachNothingElse(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	s.Work(t)
	admin := s.Staff(t, access.Administrator)
	own := admin.Customer(t, apitest.Fields{"name": "Own"})
	client := admin.APIClient(t, apitest.Fields{"customer_id": own.Id})
	for _, aimed := range targets(t, s) {
		if !mayBeCalledByClients(aimed) {
			continue
		}
		t.Run(aimed.ID, func(t *testing.T) {
			status, anywhere := everywhere[aimed.ID]
			customerID := customerOf(t, s, admin, aimed)
			if !anywhere {
				status = 404
			}
			what := aimed.Method + " " + aimed.path
			refused := callAimed(t, client, aimed)
			require.Equal(t, status, refused.Status, "%s: %s", what, refused.Body)
			if anywhere {
				for _, text := range textsOf(t, s, own.Id) {
					require.False(t, strings.Contains(string(refused.Body), text), "%s tells of %s", what, text)
				}
				return
			}
			unknown := aimed
			for _, step := range strings.Split(aimed.path, "/") {
				if uuid.Validate(step) == nil {
					unknown.path = strings.Replace(unknown.path, step, uuid.NewString(), 1)
				}
			}
			require.Equal(t, callAimed(t, client, unknown).Problem(t).Code, refused.Problem(t).Code, what)

			admin.Must(t, 200, "PATCH", "/v1/customers/"+customerID.String(), apitest.Fields{"parent_id": own.Id})
			reached := callAimed(t, client, aimed)
			require.NotContains(t, []int{401, 403, 404, 500}, reached.Status, "%s: %s", what, reached.Body)
		})
	}
	var elsewhere int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(*) FROM events
		WHERE actor_kind = 'api_client' AND NOT ancestors @> ARRAY[$1::uuid]`, own.Id).Scan(&elsewhere))
	require.Zero(t, elsewhere, "changes of what is out of reach")
}

// textsOf gives the ids and names of all customers that are out of reach, by one of which whatever is told of them is known.
func textsOf(t *testing.T, s *apitest.Server, reach uuid.UUID) (texts []string) {
	t.Helper()
	rows, err := s.DB.Query(t.Context(), "SELECT unnest(ARRAY[id::text, name]) FROM customers WHERE NOT reaches($1, id)", reach)
	require.NoError(t, err)
	texts, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, texts)
	return texts
}

// mayBeCalledByClients tells whether a client that is limited to a customer can have the scopes that an operation asks for.
func mayBeCalledByClients(aimed target) bool {
	for _, requirement := range aimed.Requirements {
		boundless := slices.ContainsFunc(requirement.Scopes, func(scope access.Scope) bool { return !access.ClientMayHold(scope, true) })
		if requirement.Scheme == access.KindAPIClient && !boundless {
			return true
		}
	}
	return false
}

// callAimed makes the good request that an operation is aimed with.
func callAimed(t *testing.T, caller *apitest.Caller, aimed target) *apitest.Response {
	t.Helper()
	if aimed.body == nil {
		return caller.Do(t, aimed.Method, aimed.path, nil)
	}
	if aimed.ID == "customerImport" || aimed.ID == "domainImport" {
		return caller.Do(t, aimed.Method, aimed.path, aimed.body, apitest.Header("Content-Type", "text/csv"))
	}
	return caller.Do(t, aimed.Method, aimed.path, aimed.encoded(), func(r *http.Request) {
		r.Header.Set("Content-Type", aimed.MediaTypes[0])
	})
}

// customerOf gives the customer that a target is of, and makes an operation one of it.
func customerOf(t *testing.T, s *apitest.Server, admin *apitest.Caller, aimed target) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	steps := strings.Split(aimed.path, "/")
	var query string
	var args []any
	switch {
	case strings.Contains(aimed.Path, "{customer_id}"):
		return uuid.MustParse(steps[3])
	case strings.Contains(aimed.Path, "{domain_id}"):
		query, args = "SELECT customer_id FROM domains WHERE id = $1", []any{steps[3]}
	case strings.Contains(aimed.Path, "{job_id}"):
		query, args = "SELECT customer_id FROM jobs WHERE id = $1", []any{steps[3]}
	case strings.Contains(aimed.Path, "{operation_id}"):
		query = "UPDATE operations SET customer_id = $2 WHERE id = $1 RETURNING customer_id"
		args = []any{steps[3], admin.Customer(t, nil).Id}
	default:
		return uuid.Nil
	}
	require.NoError(t, s.DB.QueryRow(t.Context(), query, args...).Scan(&id))
	return id
}

// kin is a client that is limited to a customer with a child, and somebody who is not within its reach.
type kin struct {
	admin, client       *apitest.Caller
	own, child, outside openapi.Customer
}

func kinOf(t *testing.T, s *apitest.Server) kin {
	t.Helper()
	k := kin{admin: s.Staff(t, access.Administrator)}
	above := k.admin.Customer(t, nil)
	k.own = k.admin.ActiveCustomer(t, apitest.Fields{"parent_id": above.Id})
	k.child = k.admin.ActiveCustomer(t, apitest.Fields{"parent_id": k.own.Id})
	k.outside = k.admin.ActiveCustomer(t, apitest.Fields{"external_id": "X-1", "email": "outside@example.com"})
	for _, customer := range []openapi.Customer{k.own, k.child, k.outside} {
		k.admin.Domain(t, customer.Id, nil)
	}
	k.admin.Domain(t, k.outside.Id, apitest.Fields{"host": "taken.example.com"})
	k.client = k.admin.APIClient(t, apitest.Fields{"customer_id": k.own.Id})
	return k
}

func TestListsOfALimitedClientHoldItsOwn(t *testing.T) {
	t.Parallel()
	k := kinOf(t, apitest.New(t))
	for list, expected := range map[string]int64{
		"/v1/customers": 2, "/v1/identities": 2, "/v1/domains": 2,
		"/v1/customers?sort=name": 2, "/v1/customers?q=customer": 2, "/v1/customers?external_id=X-1": 0,
		"/v1/customers?email=outside@example.com":              0,
		"/v1/customers?parent_id=" + k.own.Id.String():         1,
		"/v1/customers?ancestor_id=" + k.own.Id.String():       1,
		"/v1/customers?ancestor_id=" + k.own.ParentId.String(): 0, // as of somebody who is not there
		"/v1/customers?ancestor_id=" + k.outside.Id.String():   0,
		"/v1/identities?customer_id=" + k.outside.Id.String():  0,
		"/v1/domains?customer_id=" + k.outside.Id.String():     0,
		"/v1/domains?host=taken.example.com":                   0,
	} {
		separator := "?"
		if strings.Contains(list, "?") {
			separator = "&"
		}
		var page struct {
			Data  []any `json:"data"`
			Total int64 `json:"total"`
		}
		k.client.Must(t, 200, "GET", list+separator+"include_total=true", nil).JSON(t, &page)
		require.Len(t, page.Data, int(expected), list)
		require.Equal(t, expected, page.Total, list)
	}
	for _, file := range []string{"/v1/customers.csv", "/v1/domains.csv", path(k.own) + "/domains.csv?include_descendants=true"} {
		rows := strings.TrimSpace(string(k.client.Must(t, 200, "GET", file, nil).Body))
		require.Equal(t, 2, strings.Count(rows, "\n"), "%s: a header and two rows: %s", file, rows)
	}
}

// TestWhatIsAboveALimitedClient: which customers those are cannot be found out by asking for what is below them.
func TestWhatIsAboveALimitedClient(t *testing.T) {
	t.Parallel()
	k := kinOf(t, apitest.New(t))
	top := k.admin.Customer(t, nil)
	k.admin.Must(t, 200, "PATCH", "/v1/customers/"+k.own.ParentId.String(), apitest.Fields{"parent_id": top.Id})
	grandchild := k.admin.Customer(t, apitest.Fields{"parent_id": k.child.Id})
	below := func(caller *apitest.Caller, ancestor uuid.UUID) (counts [4]int) {
		t.Helper()
		query := "?ancestor_id=" + ancestor.String()
		var page openapi.CustomerPage
		caller.Must(t, 200, "GET", "/v1/customers"+query+"&include_total=true", nil).JSON(t, &page)
		var plan openapi.BulkDeletionPlan
		caller.Must(t, 200, "POST", "/v1/customers/bulk-delete?dry_run=true",
			apitest.Fields{"filter": apitest.Fields{"ancestor_id": ancestor}}).JSON(t, &plan)
		file := strings.TrimSpace(string(caller.Must(t, 200, "GET", "/v1/customers.csv"+query, nil).Body))
		return [4]int{len(page.Data), int(*page.Total), int(plan.Customers), strings.Count(file, "\n")}
	}
	for _, test := range []struct {
		ancestor      uuid.UUID
		found, forAll int
	}{
		{top.Id, 0, 4}, {*k.own.ParentId, 0, 3}, {k.own.Id, 2, 2}, {k.child.Id, 1, 1}, {grandchild.Id, 0, 0},
		{k.outside.Id, 0, 0}, {uuid.New(), 0, 0},
	} {
		require.Equal(t, [4]int{test.found, test.found, test.found, test.found}, below(k.client, test.ancestor))
		require.Equal(t, [4]int{test.forAll, test.forAll, test.forAll, test.forAll}, below(k.admin, test.ancestor))
	}
	for _, ancestor := range []uuid.UUID{top.Id, *k.own.ParentId, uuid.New()} {
		k.client.Must(t, 404, "GET", "/v1/customers/"+ancestor.String()+"/domains.csv?include_descendants=true", nil)
	}
}

func TestALimitedClientStaysBelowItsCustomer(t *testing.T) {
	t.Parallel()
	k := kinOf(t, apitest.New(t))
	unknown := uuid.New()
	created := k.client.Customer(t, apitest.Fields{"parent_id": k.child.Id})
	for name, test := range map[string]struct {
		method, path string
		body         apitest.Fields
		status       int
		fault        string
	}{
		"no parent":              {"POST", "/v1/customers", apitest.Fields{"name": "x"}, 422, "/parent_id required"},
		"a parent elsewhere":     {"POST", "/v1/customers", apitest.Fields{"name": "x", "parent_id": k.outside.Id}, 422, "/parent_id reference_not_found"},
		"a parent there is not":  {"POST", "/v1/customers", apitest.Fields{"name": "x", "parent_id": unknown}, 422, "/parent_id reference_not_found"},
		"what is above":          {"POST", "/v1/customers", apitest.Fields{"name": "x", "parent_id": k.own.ParentId}, 422, "/parent_id reference_not_found"},
		"moved out":              {"PATCH", path(created), apitest.Fields{"parent_id": k.outside.Id}, 422, "/parent_id reference_not_found"},
		"moved to the top":       {"PATCH", path(created), apitest.Fields{"parent_id": nil}, 422, "/parent_id required"},
		"its own to the top":     {"PATCH", path(k.own), apitest.Fields{"parent_id": nil}, 422, "/parent_id required"},
		"its own to elsewhere":   {"PATCH", path(k.own), apitest.Fields{"parent_id": k.outside.Id}, 422, "/parent_id reference_not_found"},
		"its own below itself":   {"PATCH", path(k.own), apitest.Fields{"parent_id": k.child.Id}, 409, "/parent_id hierarchy_cycle"},
		"an external id in use":  {"PATCH", path(created), apitest.Fields{"external_id": "X-1"}, 409, "/external_id external_id_taken"},
		"a host in use":          {"POST", path(created) + "/domains", apitest.Fields{"host": "taken.example.com"}, 409, "/host host_taken"},
		"the email of another's": {"POST", path(created) + "/identities", apitest.Fields{"email": k.admin.Identities(t, k.outside.Id)[0].Email}, 409, "/email email_taken"},
	} {
		refused := k.client.Must(t, test.status, test.method, test.path, test.body)
		requireFaults(t, refused, test.fault)
		if test.status == 409 { // the same as for anybody
			require.Equal(t, refused.Problem(t).Detail, k.admin.Must(t, 409, test.method, test.path, test.body).Problem(t).Detail, name)
		}
	}
	k.client.Must(t, 200, "PATCH", path(created), apitest.Fields{"parent_id": k.own.Id})
	remove(t, k.client, created)

	ids := []uuid.UUID{k.outside.Id, unknown, k.child.Id}
	var plan openapi.BulkDeletionPlan
	k.client.Must(t, 200, "POST", "/v1/customers/bulk-delete?dry_run=true", apitest.Fields{"ids": ids}).JSON(t, &plan)
	require.EqualValues(t, 3, plan.Customers)
	require.EqualValues(t, 2, plan.Blocked)
	require.Equal(t, openapi.DeletionCounts{Identities: 1, Domains: 1}, plan.Counts, "nothing of others is counted")
	for _, blocker := range plan.Blockers {
		require.Equal(t, "not_found", blocker.Code)
	}
	k.client.Must(t, 200, "POST", "/v1/customers/bulk-delete?dry_run=true", `{"filter":{"q":"customer"}}`).JSON(t, &plan)
	require.EqualValues(t, 2, plan.Customers)
	wider := k.admin.Must(t, 428, "POST", "/v1/customers/bulk-delete", `{"filter":{"q":"customer"}}`).Problem(t)
	k.client.Must(t, 428, "POST", "/v1/customers/bulk-delete?confirm="+*wider.ConfirmationToken, `{"filter":{"q":"customer"}}`)
}

func TestWhatALimitedClientStartsStaysWithinItsReach(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	s.Work(t)
	k := kinOf(t, s)
	lines := "id,external_id,name,parent_id\n" +
		k.outside.Id.String() + ",,Taken over,\n" + // no customer is there with the id, and a new one has no parent
		",X-1,Taken over,\n" +
		",N-1,New," + k.own.Id.String() + "\n" +
		",N-2,New," + k.outside.Id.String() + "\n" +
		k.child.Id.String() + ",,Changed,\n" + // to the top
		k.own.Id.String() + ",,Changed," + k.own.ParentId.String() + "\n"
	for _, mode := range []string{"fail", "skip", "update"} {
		started := k.client.Import(t, customersImport+"?dry_run=true&on_conflict="+mode, lines)
		done := k.client.Finished(t, started.Id)
		found := map[int64]string{}
		for _, one := range done.Errors {
			found[*one.Row] = one.Code
			require.False(t, one.Resource != nil && one.Resource.Id == k.outside.Id, "the other customer is not named")
		}
		require.Equal(t, "required", found[2], "%s: %v", mode, found)
		require.Equal(t, "external_id_taken", found[3], mode)
		require.NotContains(t, found, int64(4), mode)
		require.Equal(t, "reference_not_found", found[5], mode)
		if mode == "update" {
			require.Equal(t, "required", found[6])
			require.NotContains(t, found, int64(7), "it stays where it is")
		}
	}
	before := k.admin.Must(t, 200, "GET", path(k.outside), nil)
	done := k.client.Finished(t, k.client.Import(t, customersImport+"?on_conflict=update", lines).Id)
	require.EqualValues(t, 1, done.Progress.Created)
	require.EqualValues(t, 1, done.Progress.Updated)
	require.Equal(t, before.Body, k.admin.Must(t, 200, "GET", path(k.outside), nil).Body)

	ids := apitest.Fields{"ids": []uuid.UUID{k.outside.Id, k.child.Id}}
	confirm := *k.client.Must(t, 428, "POST", "/v1/customers/bulk-delete", ids).Problem(t).ConfirmationToken
	var deletion openapi.Operation
	k.client.Must(t, 202, "POST", "/v1/customers/bulk-delete?confirm="+confirm, ids).JSON(t, &deletion)
	done = k.client.Finished(t, deletion.Id)
	require.EqualValues(t, 1, done.Progress.Deleted, done)
	require.EqualValues(t, 1, done.Progress.Refused)
	require.Equal(t, "not_found", done.Errors[0].Code)
	k.admin.Must(t, 200, "GET", path(k.outside), nil)

	other := k.admin.APIClient(t, apitest.Fields{"customer_id": k.outside.Id})
	for method, at := range map[string]string{"GET": "", "POST": "/cancel"} {
		other.Must(t, 404, method, "/v1/operations/"+done.Id.String()+at, nil)
	}
	ours := k.admin.Import(t, customersImport, "name\n")
	k.client.Must(t, 404, "GET", "/v1/operations/"+ours.Id.String(), nil)
	theirs := k.admin.Import(t, path(k.own)+"/domains/import", "host\n")
	k.client.Must(t, 200, "GET", "/v1/operations/"+theirs.Id.String(), nil)
}

// TestMovesBesideALimitedClient: a change waits for a move that takes the customer out of reach, and finds nothing then.
func TestMovesBesideALimitedClient(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	k := kinOf(t, s)
	domain := k.client.Domain(t, k.child.Id, nil)
	var statuses [4]int
	call := func(at int, method, path string, body any) func() {
		return func() { statuses[at] = k.client.Do(t, method, path, body).Status }
	}
	holding(t, s, moveAway(t, k.child.Id),
		call(0, "PATCH", path(k.child), `{"phone":"1"}`),
		call(1, "POST", path(k.child)+"/notes", `{"text":"x"}`),
		call(2, "PATCH", "/v1/domains/"+domain.Id.String(), `{"scheme":"http"}`),
		call(3, "POST", "/v1/customers", apitest.Fields{"name": "x", "parent_id": k.child.Id}))
	require.Equal(t, [4]int{404, 404, 404, 422}, statuses)
}

// TestAnImportEndsWhenItsCustomerIsOutOfReach: its file is not looked at again and again.
func TestAnImportEndsWhenItsCustomerIsOutOfReach(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	k := kinOf(t, s)
	var started []openapi.Operation
	for _, atomic := range []string{"false", "true"} {
		child := k.client.Customer(t, apitest.Fields{"parent_id": k.child.Id})
		started = append(started, k.client.Import(t, path(child)+"/domains/import?atomic="+atomic, "host\n"+uuid.NewString()+".example.com\n"))
		k.admin.Must(t, 200, "PATCH", path(child), apitest.Fields{"parent_id": k.outside.Id})
	}
	s.Work(t)
	for _, one := range started {
		done := k.admin.Finished(t, one.Id)
		require.Equal(t, openapi.OperationStateFailed, done.State)
		require.Equal(t, "not_found", done.Failure.Code)
		require.Zero(t, done.Progress.Created)
		k.client.Must(t, 404, "GET", "/v1/operations/"+one.Id.String(), nil)
	}
}
