package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/publishings"
)

func publishingPath(customerID, id uuid.UUID) string {
	return fmt.Sprintf("/v1/customers/%s/publishings/%s", customerID, id)
}

// onlooker is somebody who may want to see a publishing, and how it answers them: the statuses for reading a private one
// and a shared one through the portal and as staff, and for listing as staff.
type onlooker struct {
	name                    string
	caller                  *apitest.Caller
	private, shared         int // GET through the portal
	write                   int // PATCH and DELETE of either through the portal
	staffRead, staffList    int
	sharedList, accessesGet int
}

// TestWhoSeesAndChangesPublishings is the whole matrix: two customers with two people each, one below a third, and every
// role and scope of staff.
func TestWhoSeesAndChangesPublishings(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	staff := knocks(t, s) // which lets time pass
	admin := s.Staff(t, access.Administrator)
	parent := portalUser(t, s, "manager")
	me := portalUser(t, s, "member")
	admin.Must(t, 200, "PATCH", "/v1/customers/"+me.CustomerID.String(), apitest.Fields{"parent_id": parent.CustomerID})
	beside := colleague(t, s, me)
	manager := colleague(t, s, me)
	admin.Must(t, 200, "PATCH", identityPath(manager.CustomerID, manager.ID), `{"role":"manager"}`)
	stranger := portalUser(t, s, "manager")
	strangers := colleague(t, s, stranger)
	private := me.Publishing(t, apitest.Fields{"title": "private", "content": "secret"})
	shared := me.Publishing(t, apitest.Fields{"title": "shared", "visibility": "customer", "content": "secret"})

	watching := []onlooker{
		{"the owner", me, 200, 200, 200, 403, 403, 0, 200},
		{"a colleague", beside, 404, 200, 404, 403, 403, 1, 404},
		{"a manager of the same customer", manager, 404, 200, 404, 403, 403, 1, 404},
		{"a manager of the parent", parent, 404, 404, 404, 403, 403, 0, 404},
		{"a manager of another customer", stranger, 404, 404, 404, 403, 403, 0, 404},
		{"a member of another customer", strangers, 404, 404, 404, 403, 403, 0, 404},
		{"nobody", s.Anonymous(), 401, 401, 401, 401, 401, -1, 401},
	}
	for _, one := range staff {
		if one.kind != "" || one.refusal != "" {
			continue
		}
		watcher := onlooker{one.name, bearing(s, one.token), 403, 403, 403, 403, 403, -1, 403}
		if slices.Contains(one.scopes, "publishings:read") {
			watcher.staffRead, watcher.staffList = 200, 200
		}
		watching = append(watching, watcher)
	}
	require.Greater(t, len(watching), 25)
	// The owner comes last: what it changes would be another publishing for those after it.
	slices.Reverse(watching)
	for _, one := range watching {
		status := func(method, path string, body any) int { return one.caller.Do(t, method, path, body).Status }
		for _, publishing := range []openapi.Publishing{private, shared} {
			at, readable := ownPublishings+"/"+publishing.Id.String(), one.private
			if publishing.Visibility == openapi.PublishingVisibilityCustomer {
				readable = one.shared
			}
			require.Equal(t, readable, status("GET", at, nil), "%s reads the %s one", one.name, publishing.Title)
			require.Equal(t, one.accessesGet, status("GET", at+"/accesses", nil), one.name)
			require.Equal(t, one.write, status("PATCH", at, `{"title":"changed"}`), one.name)
			require.Equal(t, one.staffRead, status("GET", publishingPath(me.CustomerID, publishing.Id), nil), one.name)
			if one.staffRead == 200 {
				require.Equal(t, 404, status("GET", publishingPath(stranger.CustomerID, publishing.Id), nil), one.name)
			}
		}
		require.Equal(t, one.staffList, status("GET", "/v1/customers/"+me.CustomerID.String()+"/publishings", nil), one.name)
		if one.sharedList >= 0 {
			require.Len(t, titles(t, one.caller, ownPublishings+"?include_total=true&shared=true"), one.sharedList, one.name)
			own := titles(t, one.caller, ownPublishings+"?include_total=true")
			require.Len(t, own, map[bool]int{true: 2}[one.caller == me], one.name)
		}
		for _, publishing := range []openapi.Publishing{private, shared} {
			expected := one.write
			if expected == 200 {
				expected = 204
			}
			require.Equal(t, expected, status("DELETE", ownPublishings+"/"+publishing.Id.String(), nil), one.name)
		}
	}
}

// publishingsOf gives the text of all publishings of a customer but for whose they are, and how many there are of all.
func publishingsOf(t *testing.T, s *apitest.Server, customerID uuid.UUID) (text string, all int) {
	t.Helper()
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT coalesce(string_agg(concat_ws('|', id, customer_id, kind, title, content,
		state, visibility, template_id, size_bytes, version, created_at, updated_at), ';' ORDER BY id)
		FILTER (WHERE customer_id = $1), ''), count(*) FROM publishings`, customerID).Scan(&text, &all))
	return text, all
}

// written makes a publishing of a login that cannot sign in, which takes no time.
func written(t *testing.T, s *apitest.Server, owner openapi.Identity) (id uuid.UUID) {
	t.Helper()
	caller := &access.Principal{Kind: access.KindIdentity, ID: owner.Id, Name: owner.Name, CustomerID: owner.CustomerId}
	change := postgres.Change{Actor: postgres.Actor{Kind: caller.Kind, ID: &caller.ID, Name: caller.Name}}
	title := "Title"
	require.NoError(t, s.DB.Change(t.Context(), change, func(tx *postgres.Tx) error {
		made, err := publishings.Create(t.Context(), tx, caller, publishings.Input{
			Kind: "post", Title: &title, Content: []byte(`{"n":1.0}`), Visibility: publishings.Shared,
		})
		id = made.ID
		return err
	}))
	return id
}

// TestNobodyElseWritesPublishings proves it from the contract: no operation that makes, changes or deletes publishings
// takes a token of any scheme but that of customers' own people, and there is no scope for it.
func TestNobodyElseWritesPublishings(t *testing.T) {
	t.Parallel()
	require.NotContains(t, access.Scopes(), access.Scope("publishings:write"))
	found := 0
	for _, operation := range apitest.Contract().Operations() {
		if !strings.Contains(operation.Path, "publishing") {
			continue
		}
		found++
		require.NotEmpty(t, operation.Requirements, "%s is open to anybody", operation.ID)
		for _, requirement := range operation.Requirements {
			portal := strings.HasPrefix(operation.Path, "/v1/portal/")
			require.Equal(t, portal, requirement.Scheme == access.KindIdentity, operation.ID)
			require.True(t, portal || operation.Method == http.MethodGet, "%s lets %s write", operation.ID, requirement.Scheme)
		}
	}
	require.Equal(t, 8, found, "the contract has other operations of publishings than this test knows")
}

// TestNoTokenOfStaffWritesPublishings tries it over HTTP: every role and every scope, of staff and of every other scheme
// that is not that of customers' own people, calls every operation that is not a GET, aimed at somebody's publishings.
func TestNoTokenOfStaffWritesPublishings(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	var callers []knock
	for _, one := range knocks(t, s) {
		if one.kind != access.KindIdentity {
			callers = append(callers, one)
		}
	}
	admin := s.Staff(t, access.Administrator)
	for scheme := range document().Components.SecuritySchemes {
		if scheme != access.KindIdentity {
			callers = append(callers, knock{name: "all scopes of " + scheme, token: s.Token(t, &access.Principal{
				Kind: scheme, ID: admin.ID, Name: "Test", SessionID: uuid.Must(uuid.NewV7()), Epoch: 1, Scopes: access.Scopes(),
			})})
		}
	}
	aim := func(template string, ids map[string]string) string {
		return pathStep.ReplaceAllStringFunc(template, func(step string) string {
			if id, known := ids[strings.Trim(step, "{}")]; known {
				return id
			}
			return uuid.NewString()
		})
	}
	for _, operation := range apitest.Contract().Operations() {
		if operation.Method == http.MethodGet || strings.HasPrefix(operation.Path, "/oauth/") {
			continue
		}
		victim := admin.Identity(t, admin.Customer(t, nil).Id, nil)
		ids := map[string]string{
			"customer_id": victim.CustomerId.String(), "identity_id": victim.Id.String(),
			"publishing_id": written(t, s, victim).String(),
		}
		before, all := publishingsOf(t, s, victim.CustomerId)
		var body any
		var with []apitest.With
		if request := document().Paths.Value(operation.Path).GetOperation(operation.Method).RequestBody; request != nil {
			aimed := target{Operation: operation, body: example(request.Value.Content[operation.MediaTypes[0]])}
			body, with = aimed.encoded(), []apitest.With{apitest.Header("Content-Type", operation.MediaTypes[0])}
		}
		for _, caller := range callers {
			response := bearing(s, caller.token).Do(t, operation.Method, aim(operation.Path, ids), body, with...)
			require.Less(t, response.Status, 500, "%s by %s", operation.ID, caller.name)
			if strings.Contains(operation.Path, "publishing") {
				require.Contains(t, []int{401, 403}, response.Status, "%s by %s", operation.ID, caller.name)
			}
		}
		after, now := publishingsOf(t, s, victim.CustomerId)
		require.Equal(t, before, after, operation.ID)
		require.Equal(t, all, now, operation.ID)
	}

	victim := portalUser(t, s, "member")
	publishing := victim.Publishing(t, nil)
	before, _ := publishingsOf(t, s, victim.CustomerID)
	for _, caller := range callers {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			for _, at := range []string{"/v1/customers/" + victim.CustomerID.String() + "/publishings", publishingPath(victim.CustomerID, publishing.Id)} {
				require.Equal(t, 405, bearing(s, caller.token).Do(t, method, at, `{"kind":"post","title":"x"}`).Status)
			}
		}
	}
	after, _ := publishingsOf(t, s, victim.CustomerID)
	require.Equal(t, before, after)

	// But the whole customer can go, and they with it.
	admin.Must(t, 200, "GET", publishingPath(victim.CustomerID, publishing.Id), nil)
	victim.Publishing(t, nil)
	plan := admin.Must(t, 428, "DELETE", "/v1/customers/"+victim.CustomerID.String(), nil).Problem(t)
	require.EqualValues(t, 2, plan.DeletionPlan.Counts.Publishings)
	victim.Publishing(t, nil)
	stale := admin.Must(t, 428, "DELETE", "/v1/customers/"+victim.CustomerID.String()+"?confirm="+*plan.ConfirmationToken, nil).Problem(t)
	admin.Must(t, 204, "DELETE", "/v1/customers/"+victim.CustomerID.String()+"?confirm="+*stale.ConfirmationToken, nil)
	gone, _ := publishingsOf(t, s, victim.CustomerID)
	require.Empty(t, gone)
}

// TestTheDatabaseGuardsPublishings: whatever a query says, the table itself lets nobody but the owner write.
func TestTheDatabaseGuardsPublishings(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	owner, other := portalUser(t, s, "member"), portalUser(t, s, "member")
	beside := colleague(t, s, owner)
	publishing := owner.Publishing(t, nil)
	by := func(caller *apitest.Caller) *postgres.Actor {
		return &postgres.Actor{Kind: access.KindIdentity, ID: &caller.ID, Name: "Test"}
	}
	staff := &postgres.Actor{Kind: access.KindStaff, ID: &owner.ID, Name: "of the same id"}
	const insert = `INSERT INTO publishings (id, customer_id, identity_id, kind, title, content, state, visibility, size_bytes,
		created_at, updated_at, title_key, marks)
		VALUES (gen_random_uuid(), '%s', %s, 'post', 'x', '1', 'draft', 'private', 1, now(), now(), '', '{}')`
	quoted := func(id uuid.UUID) string { return "'" + id.String() + "'" }
	update := func(set string) string {
		return "UPDATE publishings SET " + set + " WHERE id = " + quoted(publishing.Id)
	}
	orphan := update("identity_id = NULL, owner_hash = 'x'") + "; "
	remove := "DELETE FROM publishings WHERE id = " + quoted(publishing.Id)
	mine := fmt.Sprintf(insert, owner.CustomerID, quoted(owner.ID))
	restored := uuid.New()
	restoring := "SET LOCAL clientele.restoring = '" + restored.String() + "'; "
	restore := fmt.Sprintf(`INSERT INTO customers (id, name, created_at, updated_at, name_key, search_text, search_grams)
			VALUES ('%[1]s', 'x', now(), now(), '', '', '{}');
		INSERT INTO identities (id, customer_id, name, email, role, created_at, updated_at, name_key, email_key, search_text)
			VALUES ('%[1]s', '%[1]s', 'x', 'x', 'member', now(), now(), '', 'x', ''); `, restored) +
		fmt.Sprintf(insert, restored, quoted(restored))
	for what, test := range map[string]struct {
		actor *postgres.Actor // nil for a connection that tells nothing
		sql   string
		code  string // "" when it passes
	}{
		"the owner adds":                          {by(owner), mine, ""},
		"the owner changes":                       {by(owner), update("title = 'y', version = 2"), ""},
		"the owner deletes":                       {by(owner), remove, ""},
		"staff adds":                              {staff, mine, "42501"},
		"staff changes":                           {staff, update("title = 'y'"), "42501"},
		"staff changes nothing":                   {staff, update("title = title"), "42501"},
		"staff deletes":                           {staff, remove, "42501"},
		"the program changes":                     {&tester.Actor, update("title = 'y'"), "42501"},
		"the program deletes":                     {&tester.Actor, remove, "42501"},
		"a colleague adds for the owner":          {by(beside), mine, "42501"},
		"a colleague changes":                     {by(beside), update("title = 'y'"), "42501"},
		"a colleague deletes":                     {by(beside), remove, "42501"},
		"a stranger deletes":                      {by(other), remove, "42501"},
		"who says nothing adds":                   {nil, mine, "42501"},
		"who says nothing changes":                {nil, update("title = 'y'"), "42501"},
		"who says nothing deletes":                {nil, remove, "42501"},
		"who says nothing takes its owner":        {nil, strings.TrimSuffix(orphan, "; "), "42501"},
		"the owner gives it away":                 {by(owner), update("identity_id = " + quoted(beside.ID)), "42501"},
		"a colleague takes it":                    {by(beside), update("identity_id = " + quoted(beside.ID)), "42501"},
		"the owner moves it":                      {by(owner), update("customer_id = " + quoted(other.CustomerID)), "42501"},
		"it loses its owner":                      {staff, orphan, ""},
		"and changes with it":                     {staff, update("identity_id = NULL, owner_hash = 'x', title = 'y'"), "42501"},
		"it loses its owner without a trace":      {staff, update("identity_id = NULL"), "23514"},
		"it gets its owner back":                  {staff, orphan + update("identity_id = "+quoted(owner.ID)+", owner_hash = NULL"), ""},
		"and another text":                        {staff, orphan + update("identity_id = "+quoted(owner.ID)+", owner_hash = NULL, content = '2'"), "42501"},
		"it comes to another customer":            {staff, orphan + update("identity_id = "+quoted(other.ID)+", owner_hash = NULL"), "42501"},
		"without an owner it is nobody's":         {by(owner), orphan + remove, "42501"},
		"it is added without an owner":            {staff, fmt.Sprintf(insert, owner.CustomerID, "NULL"), "42501"},
		"its login is deleted from under it":      {staff, "DELETE FROM identities WHERE id = " + quoted(owner.ID), "23514"},
		"its customer is deleted":                 {staff, "DELETE FROM customers WHERE id = " + quoted(owner.CustomerID), ""},
		"a customer is restored with one":         {staff, restoring + restore, ""},
		"a customer is made with one":             {staff, restore, "42501"},
		"one is restored to a customer there was": {staff, "SET LOCAL clientele.restoring = " + quoted(owner.CustomerID) + "; " + mine, "42501"},
		"another customer is restored":            {staff, restoring + mine, "42501"},
	} {
		undo := fmt.Errorf("undone")
		run := func(tx *postgres.Tx) error {
			if test.actor == nil {
				_, err := tx.Exec(t.Context(), "RESET clientele.actor")
				require.NoError(t, err)
			}
			if _, err := tx.Exec(t.Context(), test.sql); err != nil {
				return err
			}
			return undo
		}
		change := postgres.Change{}
		if test.actor != nil {
			change.Actor = *test.actor
		}
		err := s.DB.Change(t.Context(), change, run)
		var refused *pgconn.PgError
		if test.code == "" {
			require.ErrorIs(t, err, undo, what)
			continue
		}
		require.ErrorAs(t, err, &refused, what)
		require.Equal(t, test.code, refused.Code, what)
	}
	_, err := s.DB.Exec(t.Context(), remove)
	require.Error(t, err, "a connection that never was in a change")
}

func accessesOf(t *testing.T, owner *apitest.Caller, id uuid.UUID, query string) openapi.PublishingAccessPage {
	t.Helper()
	var page openapi.PublishingAccessPage
	owner.Must(t, 200, "GET", ownPublishings+"/"+id.String()+"/accesses"+query, nil).JSON(t, &page)
	return page
}

func TestReadingIsRecorded(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	beside := colleague(t, s, me)
	one := me.Publishing(t, apitest.Fields{"visibility": "customer", "content": "secret"})
	viewer, operator := s.Staff(t, access.Viewer), s.Staff(t, access.Operator)
	require.Empty(t, accessesOf(t, me, one.Id, "").Data)

	viewer.Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String()+"/publishings", nil)
	beside.Must(t, 200, "GET", ownPublishings+"/"+one.Id.String(), nil)
	me.Must(t, 200, "GET", ownPublishings+"/"+one.Id.String(), nil)
	viewer.Must(t, 404, "GET", publishingPath(beside.ID, one.Id), nil)
	require.Empty(t, accessesOf(t, me, one.Id, "").Data, "no content came to staff")

	at := publishingPath(me.CustomerID, one.Id)
	read := viewer.Must(t, 200, "GET", at, nil)
	require.Equal(t, `"secret"`, contentOf(t, read))
	operator.Must(t, 304, "GET", at, nil, apitest.Header("If-None-Match", read.Header.Get("ETag")))
	operator.Must(t, 200, "HEAD", at, nil)
	page := accessesOf(t, me, one.Id, "?include_total=true")
	require.EqualValues(t, 3, *page.Total)
	var readers []uuid.UUID
	for _, access := range page.Data {
		readers = append(readers, *access.Actor.Id)
		require.Equal(t, []any{"staff", openapi.PublishingAccessViaRead}, []any{access.Actor.Kind, access.Via})
		require.WithinDuration(t, time.Now(), access.At, time.Minute)
	}
	require.Equal(t, []uuid.UUID{operator.ID, operator.ID, viewer.ID}, readers)
	require.Equal(t, viewer.Name(t), page.Data[2].Actor.Name)

	first := accessesOf(t, me, one.Id, "?limit=2")
	rest := accessesOf(t, me, one.Id, "?limit=2&cursor="+*first.NextCursor)
	require.Equal(t, page.Data, append(first.Data, rest.Data...))
	require.Nil(t, rest.NextCursor)

	var now openapi.Publishing
	me.Must(t, 200, "GET", ownPublishings+"/"+one.Id.String(), nil).JSON(t, &now)
	require.Equal(t, one, now, "being read changes nothing")

	// What cannot be recorded is not answered.
	_, err := s.DB.Exec(t.Context(), "ALTER TABLE publishing_accesses ADD CONSTRAINT publishing_accesses_full_check CHECK (false) NOT VALID")
	require.NoError(t, err)
	refused := viewer.Do(t, "GET", at, nil)
	require.Equal(t, 500, refused.Status)
	require.NotContains(t, string(refused.Body), "secret")
}

// TestOversightList: staff sees what there is, and nothing of what is in it.
func TestOversightList(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	beside := colleague(t, s, me)
	mine := me.Publishing(t, apitest.Fields{"title": "Zoë's", "kind": "request", "state": "submitted", "content": raw(`{"a": "hidden"}`)})
	beside.Publishing(t, apitest.Fields{"title": "hers"})
	portalUser(t, s, "member").Publishing(t, apitest.Fields{"title": "another customer's"})
	viewer := s.Staff(t, access.Viewer)
	all := "/v1/customers/" + me.CustomerID.String() + "/publishings"
	response := viewer.Must(t, 200, "GET", all+"?q=zoe", nil)
	require.NotContains(t, string(response.Body), "hidden")
	require.NotContains(t, string(response.Body), `"content"`)
	var page openapi.ListedPublishingPage
	response.JSON(t, &page)
	require.Equal(t, openapi.ListedPublishing{
		Id: mine.Id, CustomerId: me.CustomerID, IdentityId: &me.ID, Kind: "request", Title: "Zoë's", State: "submitted",
		Visibility: "private", SizeBytes: int32(len(`{"a":"hidden"}`)), Version: 1, CreatedAt: mine.CreatedAt, UpdatedAt: mine.UpdatedAt,
	}, page.Data[0])
	for query, expected := range map[string][]string{
		"":                                  {"hers", "Zoë's"},
		"sort=updated_at":                   {"Zoë's", "hers"},
		"kind=request":                      {"Zoë's"},
		"state=draft":                       {"hers"},
		"identity_id=" + beside.ID.String(): {"hers"},
	} {
		require.Equal(t, expected, titles(t, viewer, all+"?include_total=true&"+query), query)
	}
	requireFaults(t, viewer.Must(t, 400, "GET", all+"?content[a]=hidden", nil), "content[a] unknown_parameter")
	viewer.Must(t, 404, "GET", "/v1/customers/"+uuid.NewString()+"/publishings", nil)
}

// TestEventsOfPublishings: they tell that something was written and by whom, and neither title nor content.
func TestEventsOfPublishings(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	at := ownPublishings + "/" + me.Publishing(t, apitest.Fields{"title": "hidden", "content": raw(`{"a":"hidden"}`)}).Id.String()
	me.Must(t, 200, "PATCH", at, `{"title":"hidden too"}`)
	me.Must(t, 200, "PATCH", at, `{"title":"hidden too"}`)
	me.Must(t, 200, "PATCH", at, `{"state":"submitted"}`)
	me.Must(t, 204, "DELETE", at, nil)
	response := s.Staff(t, access.Viewer).Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String()+"/events?limit=4", nil)
	require.NotContains(t, string(response.Body), "hidden")
	var page openapi.EventPage
	response.JSON(t, &page)
	var types []string
	for _, event := range page.Data {
		types = append(types, event.Type)
		require.Equal(t, openapi.Actor{Kind: "identity", Id: &me.ID, Name: me.Name(t)}, event.Actor)
	}
	require.Equal(t, []string{"publishing.deleted", "publishing.updated", "publishing.updated", "publishing.created"}, types)
	blind := bearing(s, s.Token(t, &access.Principal{Kind: access.KindStaff, ID: me.ID, Name: "Test", SessionID: uuid.New(), Epoch: 1,
		Scopes: []access.Scope{"events:read", "customers:read", "identities:read"}}))
	require.NotContains(t, string(blind.Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String()+"/events", nil).Body), "publishing.")
}
