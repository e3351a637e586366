package api_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// in makes a customer in the status.
func in(t *testing.T, admin *apitest.Caller, status string) openapi.Customer {
	t.Helper()
	login := apitest.Fields{"email": uuid.NewString() + "@example.com", "password": apitest.Password}
	email := uuid.NewString() + "@example.com"
	switch status {
	case "unregistered":
		return admin.Customer(t, apitest.Fields{"email": email})
	case "inactive":
		login["active"] = false
	}
	customer := admin.Customer(t, apitest.Fields{"email": email, "identity": login})
	if status == "deactivated" {
		admin.Must(t, 200, "POST", path(customer)+"/deactivate", "{}").JSON(t, &customer)
	}
	require.EqualValues(t, status, customer.Status)
	return customer
}

// invitation names whom to invite: of an active customer, one more login.
func invitation(t *testing.T, admin *apitest.Caller, customer openapi.Customer) any {
	t.Helper()
	if customer.Status != "active" {
		return "{}"
	}
	return apitest.Fields{"identity_id": admin.Identity(t, customer.Id, nil).Id}
}

// portalUser makes an active customer and signs its login in.
func portalUser(t testing.TB, s *apitest.Server, role string) *apitest.Caller {
	t.Helper()
	admin := s.Staff(t, access.Administrator)
	login := apitest.Fields{"email": uuid.NewString() + "@example.com", "password": apitest.Password, "role": role}
	return s.Identity(t, admin.Customer(t, apitest.Fields{"identity": login}).Id)
}

func statusOf(t *testing.T, admin *apitest.Caller, customer openapi.Customer) string {
	t.Helper()
	var now openapi.Customer
	admin.Must(t, 200, "GET", path(customer), nil).JSON(t, &now)
	return string(now.Status)
}

// TestLifecycleMatrix tries every action in every status. The table is written by hand: read from the program it could
// not disagree with it.
func TestLifecycleMatrix(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	allowed := map[string][]string{
		"unregistered": {"send_activation_request", "backup", "delete"},
		"inactive":     {"send_activation_request", "activate", "backup", "delete"},
		"active":       {"send_activation_request", "deactivate", "delete_identities", "backup", "delete"},
		"deactivated":  {"activate", "backup", "delete"},
	}
	leadsTo := map[string]map[string]string{
		"activate":                {"inactive": "active", "deactivated": "active"},
		"deactivate":              {"active": "deactivated"},
		"delete_identities":       {"active": "unregistered"},
		"delete_last":             {"active": "unregistered"},
		"send_activation_request": {"unregistered": "unregistered", "inactive": "inactive", "active": "active"},
		"follow_link":             {"unregistered": "active", "inactive": "active", "active": "active"},
		"delete":                  {"unregistered": "", "inactive": "", "active": "", "deactivated": ""},
		"add_identity": {
			"unregistered": "inactive", "inactive": "inactive", "active": "active", "deactivated": "deactivated",
		},
	}
	act := map[string]func(t *testing.T, customer openapi.Customer) *apitest.Response{
		"activate": func(t *testing.T, customer openapi.Customer) *apitest.Response {
			return admin.Do(t, "POST", path(customer)+"/activate", nil)
		},
		"deactivate": func(t *testing.T, customer openapi.Customer) *apitest.Response {
			return admin.Do(t, "POST", path(customer)+"/deactivate", nil)
		},
		"delete_identities": func(t *testing.T, customer openapi.Customer) *apitest.Response {
			return admin.Do(t, "DELETE", path(customer)+"/identities", nil)
		},
		"send_activation_request": func(t *testing.T, customer openapi.Customer) *apitest.Response {
			return admin.Do(t, "POST", path(customer)+"/activation-requests", invitation(t, admin, customer))
		},
		"follow_link": func(t *testing.T, customer openapi.Customer) *apitest.Response {
			if customer.Status == "deactivated" {
				return nil // there is no link that would still work
			}
			link := prepare(t, admin, customer, invitation(t, admin, customer)).Link
			return s.Anonymous().Do(t, "POST", "/v1/activations", apitest.Fields{"token": tokenOf(t, *link), "password": apitest.Password})
		},
		"delete": func(t *testing.T, customer openapi.Customer) *apitest.Response {
			plan := admin.Must(t, 428, "DELETE", path(customer), nil).Problem(t)
			return admin.Do(t, "DELETE", path(customer)+"?confirm="+*plan.ConfirmationToken, nil)
		},
		"delete_last": func(t *testing.T, customer openapi.Customer) *apitest.Response {
			logins := admin.Identities(t, customer.Id)
			if len(logins) == 0 {
				return nil
			}
			return admin.Do(t, "DELETE", fmt.Sprintf("%s/identities/%s", path(customer), logins[0].Id), nil)
		},
		"add_identity": func(t *testing.T, customer openapi.Customer) *apitest.Response {
			return admin.Do(t, "POST", path(customer)+"/identities", apitest.Fields{"email": uuid.NewString() + "@example.com"})
		},
	}
	for status, actions := range allowed {
		for action, call := range act {
			t.Run(status+" "+action, func(t *testing.T) {
				customer := in(t, admin, status)
				require.Equal(t, actions, customer.AllowedActions)
				response := call(t, customer)
				if response == nil {
					return
				}
				after, legal := leadsTo[action][status]
				if legal {
					require.Less(t, response.Status, 300, string(response.Body))
					if after == "" {
						admin.Must(t, 404, "GET", path(customer), nil)
						return
					}
					require.Equal(t, after, statusOf(t, admin, customer))
					return
				}
				require.Equal(t, 409, response.Status, string(response.Body))
				problem := response.Problem(t)
				require.Equal(t, "action_not_allowed", problem.Code)
				require.Equal(t, status, *problem.CurrentStatus)
				require.Equal(t, actions, *problem.AllowedActions)
				var now openapi.Customer
				admin.Must(t, 200, "GET", path(customer), nil).JSON(t, &now)
				require.Equal(t, customer, now)
				require.Len(t, admin.Identities(t, customer.Id), map[bool]int{true: 0, false: 1}[status == "unregistered"])
			})
		}
	}
}

func TestActivateNeedsAPassword(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	login := admin.Identity(t, customer.Id, nil)
	refused := admin.Must(t, 409, "POST", path(customer)+"/activate", nil)
	require.Equal(t, "no_password", refused.Problem(t).Code)
	require.Equal(t, "inactive", statusOf(t, admin, customer))

	admin.Must(t, 200, "PUT", fmt.Sprintf("%s/identities/%s/password", path(customer), login.Id), apitest.Fields{"password": apitest.Password})
	response := admin.Must(t, 200, "POST", path(customer)+"/activate", nil)
	var active openapi.Customer
	response.JSON(t, &active)
	require.EqualValues(t, 3, active.Version) // created, given a login, activated
	require.Equal(t, response.Header.Get("ETag"), admin.Must(t, 200, "GET", path(customer), nil).Header.Get("ETag"))
	requireTypes(t, admin, customer, "customer.activated", "identity.updated", "customer.updated", "identity.created", "customer.created")
}

// requireTypes demands the types of a customer's events, the newest first.
func requireTypes(t *testing.T, caller *apitest.Caller, customer openapi.Customer, types ...string) {
	t.Helper()
	var page openapi.EventPage
	caller.Must(t, 200, "GET", path(customer)+"/events?limit=200", nil).JSON(t, &page)
	var found []string
	for _, event := range page.Data {
		found = append(found, event.Type)
	}
	require.Equal(t, types, found)
}

func TestLifecycleActionsGoByVersion(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := in(t, admin, "active")
	admin.Must(t, 412, "POST", path(customer)+"/deactivate", nil, apitest.Header("If-Match", `"2.0"`))
	admin.Must(t, 412, "DELETE", path(customer)+"/identities", nil, apitest.Header("If-Match", `"2.0"`))
	admin.Must(t, 200, "POST", path(customer)+"/deactivate", nil, apitest.Header("If-Match", `"1.0"`))
	admin.Must(t, 412, "POST", path(customer)+"/activate", nil, apitest.Header("If-Match", `"1.0"`))
	admin.Must(t, 200, "POST", path(customer)+"/activate", nil, apitest.Header("If-Match", `"2.0"`))
}

// TestTransitionsAtOnce: whatever happens at the same time, it happened in some order, and the end is a legal one.
func TestTransitionsAtOnce(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for round := range 8 {
		customer := in(t, admin, "active")
		var wait sync.WaitGroup
		calls := []func() *apitest.Response{
			func() *apitest.Response { return admin.Do(t, "POST", path(customer)+"/deactivate", nil) },
			func() *apitest.Response { return admin.Do(t, "POST", path(customer)+"/activate", nil) },
			func() *apitest.Response { return admin.Do(t, "DELETE", path(customer)+"/identities", nil) },
			func() *apitest.Response {
				return admin.Do(t, "POST", path(customer)+"/identities", apitest.Fields{"email": uuid.NewString() + "@example.com"})
			},
		}
		statuses := make([]int, len(calls))
		for i, call := range calls {
			wait.Go(func() { statuses[i] = call().Status })
		}
		wait.Wait()
		for _, status := range statuses {
			require.Contains(t, []int{200, 201, 204, 409}, status, "round %d", round)
		}
		status, logins := statusOf(t, admin, customer), admin.Identities(t, customer.Id)
		require.Equal(t, status == "unregistered", len(logins) == 0, "round %d: %s with %d logins", round, status, len(logins))
	}
}

// TestOneOfManySuspends: of twenty who switch off at once, one does.
func TestOneOfManySuspends(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := in(t, admin, "active")
	statuses := make([]int, 20)
	var wait sync.WaitGroup
	for i := range statuses {
		wait.Go(func() { statuses[i] = admin.Do(t, "POST", path(customer)+"/deactivate", nil).Status })
	}
	wait.Wait()
	slices.Sort(statuses)
	require.Equal(t, 200, statuses[0])
	require.Equal(t, slices.Repeat([]int{409}, 19), statuses[1:])
	requireTypes(t, admin, customer, "customer.deactivated", "identity.created", "customer.created")
}
