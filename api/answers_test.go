package api_test

import (
	"net/url"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// TestAnAnswerIsNotToldToWhoReachesLess: a client that was limited meanwhile does not get what it got before.
func TestAnAnswerIsNotToldToWhoReachesLess(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	own, other := admin.Customer(t, nil), admin.Customer(t, nil)
	client := admin.APIClient(t, apitest.Fields{"scopes": []string{"customers:read", "customers:write"}})
	notes := path(other) + "/notes"
	client.Must(t, 201, "POST", notes, `{"text":"confidential"}`, withKey("k"))
	admin.Must(t, 200, "PATCH", clientPath(client.ID), apitest.Fields{"customer_id": own.Id})
	client.Token = client.Granted(t, "").AccessToken
	response := client.Must(t, 422, "POST", notes, `{"text":"confidential"}`, withKey("k"))
	require.Equal(t, "idempotency_key_reused", response.Problem(t).Code)
}

// TestAnAnswerIsNotToldOfWhatIsOutOfReach: the customer it is about has been moved away.
func TestAnAnswerIsNotToldOfWhatIsOutOfReach(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := lineOf(t, s, admin)
	client := admin.APIClient(t, apitest.Fields{"customer_id": f.manager.CustomerID})
	staffs, own := path(f.grandchild)+"/activation-requests", managedAt(f.grandchild)+"/activation-requests"
	client.Must(t, 201, "POST", staffs, "{}", withKey("a"))
	f.manager.Must(t, 202, "POST", own, "{}", withKey("b"))
	client.Must(t, 201, "POST", staffs, "{}", withKey("a"))
	f.manager.Must(t, 202, "POST", own, "{}", withKey("b"))
	admin.Must(t, 200, "PATCH", path(f.grandchild), `{"parent_id":null}`)
	for key, status := range map[string]int{"a": 409, "b": 409, "new": 404} {
		answer := client.Do(t, "POST", staffs, "{}", withKey(key))
		if key == "b" {
			answer = f.manager.Do(t, "POST", own, "{}", withKey(key))
		}
		require.Equal(t, status, answer.Status, key)
	}
	notes := path(f.child) + "/notes"
	client.Must(t, 201, "POST", notes, `{"text":"a"}`, withKey("d"))
	admin.Must(t, 200, "PATCH", path(f.child), `{"parent_id":null}`)
	moved := client.Must(t, 409, "POST", notes, `{"text":"a"}`, withKey("d")).Problem(t)
	remove(t, admin, f.child)
	gone := client.Must(t, 409, "POST", notes, `{"text":"a"}`, withKey("d")).Problem(t)
	moved.RequestId, gone.RequestId = "", ""
	require.Equal(t, moved, gone, "nothing is told of what became of it elsewhere")

	// What made the customer itself has no customer to be found.
	for place, caller := range map[string]*apitest.Caller{"/v1/customers": client, managedPath: f.manager} {
		body := apitest.Fields{"name": "Moved"}
		if caller == client {
			body["parent_id"] = f.manager.CustomerID
		}
		var made struct{ ID string }
		caller.Must(t, 201, "POST", place, body, withKey("c")).JSON(t, &made)
		admin.Must(t, 200, "PATCH", "/v1/customers/"+made.ID, `{"parent_id":null}`)
		require.Equal(t, "answer_erased", caller.Must(t, 409, "POST", place, body, withKey("c")).Problem(t).Code)
		admin.Must(t, 200, "PATCH", "/v1/customers/"+made.ID, apitest.Fields{"parent_id": f.manager.CustomerID})
		caller.Must(t, 201, "POST", place, body, withKey("c"))
	}
}

// TestAnAnswerIsNotToldOfAnOperationOutOfReach nor one of a customer that is no more.
func TestAnAnswerIsNotToldOfAnOperationOutOfReach(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := lineOf(t, s, admin)
	client := admin.APIClient(t, apitest.Fields{"customer_id": f.manager.CustomerID})
	csv := apitest.Header("Content-Type", "text/csv")
	var operation openapi.Operation
	client.Must(t, 202, "POST", path(f.grandchild)+"/domains/import", "host\na.example\n", csv).JSON(t, &operation)
	cancel := "/v1/operations/" + operation.Id.String() + "/cancel"
	client.Must(t, 200, "POST", cancel, nil, withKey("k"))
	admin.Must(t, 200, "PATCH", path(f.grandchild), `{"parent_id":null}`)
	require.Equal(t, "answer_erased", client.Must(t, 409, "POST", cancel, nil, withKey("k")).Problem(t).Code)
	admin.Must(t, 200, "PATCH", path(f.grandchild), apitest.Fields{"parent_id": f.manager.CustomerID})
	client.Must(t, 200, "POST", cancel, nil, withKey("k"))
	remove(t, admin, f.grandchild)
	require.Equal(t, "answer_erased", client.Must(t, 409, "POST", cancel, nil, withKey("k")).Problem(t).Code)
}

// TestAnswersAreErasedWithWhatTheyAreAbout: the key stays, so that what was erased does not come again.
func TestAnswersAreErasedWithWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	erased := func(caller *apitest.Caller, path string, body any, key string) {
		t.Helper()
		problem := caller.Must(t, 409, "POST", path, body, withKey(key)).Problem(t)
		require.Equal(t, "answer_erased", problem.Code)
	}
	var left int
	stored := func() int {
		require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM idempotency_keys WHERE answer IS NOT NULL").Scan(&left))
		return left
	}
	keeps := admin.Customer(t, nil)
	kept := admin.Must(t, 201, "POST", path(keeps)+"/notes", `{"text":"kept"}`, withKey("kept"))

	// A note, a login and a publishing, by themselves.
	user := portalUser(t, s, "member")
	owner := "/v1/customers/" + user.CustomerID.String()
	var note openapi.Note
	admin.Must(t, 201, "POST", owner+"/notes", `{"text":"a"}`, withKey("note")).JSON(t, &note)
	admin.Must(t, 204, "DELETE", owner+"/notes/"+note.Id.String(), nil)
	erased(admin, owner+"/notes", `{"text":"a"}`, "note")
	var identity openapi.Identity
	login := apitest.Fields{"name": "Gone", "email": "gone@example.com"}
	admin.Must(t, 201, "POST", owner+"/identities", login, withKey("login")).JSON(t, &identity)
	invite := apitest.Fields{"identity_id": identity.Id}
	admin.Must(t, 201, "POST", owner+"/activation-requests", invite, withKey("invite"))
	admin.Must(t, 204, "DELETE", identityPath(user.CustomerID, identity.Id), nil)
	erased(admin, owner+"/identities", login, "login")
	erased(admin, owner+"/activation-requests", invite, "invite")
	var publishing openapi.Publishing
	post := apitest.Fields{"kind": "post", "title": "Gone"}
	user.Must(t, 201, "POST", "/v1/portal/publishings", post, withKey("post")).JSON(t, &publishing)
	user.Must(t, 204, "DELETE", "/v1/portal/publishings/"+publishing.Id.String(), nil)
	erased(user, "/v1/portal/publishings", post, "post")

	// All of a customer, with the customer.
	created := apitest.Fields{"name": "Gone", "external_id": "gone"}
	var customer openapi.Customer
	admin.Must(t, 201, "POST", "/v1/customers", created, withKey("customer")).JSON(t, &customer)
	admin.Must(t, 201, "POST", path(customer)+"/notes", `{"text":"a"}`, withKey("its-note"))
	admin.Must(t, 201, "POST", path(customer)+"/domains", `{"host":"gone.example.com"}`, withKey("domain"))
	require.Equal(t, 4, stored())
	plan := admin.Must(t, 428, "DELETE", path(customer), nil).Problem(t)
	admin.Must(t, 204, "DELETE", path(customer)+"?confirm="+url.QueryEscape(*plan.ConfirmationToken), nil)
	require.Equal(t, 1, stored())
	erased(admin, "/v1/customers", created, "customer")
	erased(admin, path(customer)+"/notes", `{"text":"a"}`, "its-note")
	erased(admin, path(customer)+"/domains", `{"host":"gone.example.com"}`, "domain")
	problem := admin.Must(t, 422, "POST", "/v1/customers", apitest.Fields{"name": "x"}, withKey("customer")).Problem(t)
	require.Equal(t, "idempotency_key_reused", problem.Code)

	again := admin.Must(t, 201, "POST", path(keeps)+"/notes", `{"text":"kept"}`, withKey("kept"))
	require.Equal(t, answered(kept), answered(again))
}

// TestSecretsAreErasedWithWhatHadThem: what was shown once is not shown again when it opens nothing any more.
func TestSecretsAreErasedWithWhatHadThem(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	erased := func(path string, body any, key string) {
		t.Helper()
		require.Equal(t, "answer_erased", admin.Must(t, 409, "POST", path, body, withKey(key)).Problem(t).Code, key)
	}
	for name, resource := range map[string]struct {
		path string
		body apitest.Fields
		gone func(id uuid.UUID)
	}{
		"client": {"/v1/api-clients", apitest.Fields{"name": "x", "scopes": []string{"domains:read"}}, func(id uuid.UUID) {
			admin.Must(t, 204, "DELETE", clientPath(id), nil)
		}},
		"endpoint": {webhookEndpoints, apitest.Fields{"url": "https://example.com/", "event_types": []string{"*"}}, func(id uuid.UUID) {
			admin.Must(t, 204, "DELETE", webhookEndpoints+"/"+id.String(), nil)
		}},
		// Limited after it was made: only the client itself tells that the customer takes it along.
		"limited-client": {"/v1/api-clients", apitest.Fields{"name": "y", "scopes": []string{"domains:read"}}, func(id uuid.UUID) {
			admin.Must(t, 200, "PATCH", clientPath(id), apitest.Fields{"customer_id": customer.Id})
			plan := admin.Must(t, 428, "DELETE", path(customer), nil).Problem(t)
			admin.Must(t, 204, "DELETE", path(customer)+"?confirm="+url.QueryEscape(*plan.ConfirmationToken), nil)
			admin.Must(t, 404, "GET", clientPath(id), nil)
		}},
	} {
		var made struct {
			ID uuid.UUID `json:"id"`
		}
		admin.Must(t, 201, "POST", resource.path, resource.body, withKey(name)).JSON(t, &made)
		rotate := resource.path + "/" + made.ID.String() + "/rotate-secret"
		rotated := admin.Must(t, 200, "POST", rotate, "{}", withKey(name+"-rotated"))
		again := admin.Must(t, 200, "POST", rotate, "{}", withKey(name+"-rotated"))
		require.Equal(t, answered(rotated), answered(again), name)
		resource.gone(made.ID)
		erased(resource.path, resource.body, name)
		erased(rotate, "{}", name+"-rotated")
	}
}
