package api_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/staff"
)

func staffPath(id uuid.UUID) string { return "/v1/staff/" + id.String() }

func readStaff(t *testing.T, caller *apitest.Caller, id uuid.UUID) (openapi.Staff, string) {
	t.Helper()
	var account openapi.Staff
	response := caller.Must(t, 200, "GET", staffPath(id), nil)
	response.JSON(t, &account)
	return account, response.Header.Get("ETag")
}

func TestStaffIsCreatedReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	response := admin.Must(t, 201, "POST", "/v1/staff", apitest.Fields{
		"name": "Grace Hopper", "email": "Grace@Example.com", "role": "operator", "password": apitest.Password,
		"password_confirmation": apitest.Password,
	})
	var created openapi.Staff
	response.JSON(t, &created)
	require.Equal(t, staffPath(created.Id), response.Header.Get("Location"))
	require.Equal(t, "Grace@Example.com", created.Email, "kept as it was written")
	require.EqualValues(t, "operator", created.Role)
	require.EqualValues(t, 1, created.Version)
	require.Nil(t, created.LastLoginAt)
	require.Equal(t, uuid.Version(7), created.Id.Version())
	require.NotContains(t, string(response.Body), "password")

	read, tag := readStaff(t, admin, created.Id)
	require.Equal(t, created, read)
	require.Equal(t, response.Header.Get("ETag"), tag)

	patched := admin.Must(t, 200, "PATCH", staffPath(created.Id), apitest.Fields{"name": "Rear Admiral Hopper", "role": "viewer"})
	var changed openapi.Staff
	patched.JSON(t, &changed)
	require.Equal(t, "Rear Admiral Hopper", changed.Name)
	require.EqualValues(t, "viewer", changed.Role)
	require.Equal(t, created.Email, changed.Email)
	require.EqualValues(t, 2, changed.Version)
	require.True(t, changed.UpdatedAt.After(created.UpdatedAt))
	require.Equal(t, created.CreatedAt, changed.CreatedAt)

	for _, nothing := range []apitest.Fields{{}, {"name": changed.Name}, {"email": changed.Email, "role": "viewer"}} {
		same := admin.Must(t, 200, "PATCH", staffPath(created.Id), nothing,
			apitest.Header("Content-Type", "application/merge-patch+json"))
		require.Equal(t, patched.Header.Get("ETag"), same.Header.Get("ETag"), "a patch that changes nothing")
	}

	admin.Must(t, 204, "DELETE", staffPath(created.Id), nil)
	for _, method := range []string{"GET", "DELETE"} {
		require.Equal(t, "not_found", admin.Must(t, 404, method, staffPath(created.Id), nil).Problem(t).Code)
	}
	admin.Must(t, 404, "PATCH", staffPath(created.Id), apitest.Fields{"name": "x"})
	admin.StaffAccount(t, apitest.Fields{"email": "grace@example.com"}) // the address is free again
}

func TestStaffEventsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	account := admin.StaffAccount(t, nil)
	admin.Must(t, 200, "PATCH", staffPath(account.Id), apitest.Fields{"password": "another four words here", "name": "New"})
	admin.Must(t, 204, "DELETE", staffPath(account.Id), nil)
	rows, err := s.DB.Query(t.Context(),
		"SELECT type, version, data::text FROM events WHERE resource_id = $1 ORDER BY sequence", account.Id)
	require.NoError(t, err)
	var types []string
	for rows.Next() {
		var kind, data string
		var version int64
		require.NoError(t, rows.Scan(&kind, &version, &data))
		types = append(types, kind)
		require.EqualValues(t, len(types), version)
		require.NotContains(t, data, "argon2")
		require.NotContains(t, data, "password")
		require.NotContains(t, data, "epoch")
		require.Contains(t, data, account.Email)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []string{"staff.created", "staff.updated", "staff.deleted"}, types)
}

func TestStaffConcurrencyControl(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	id := admin.StaffAccount(t, nil).Id
	_, first := readStaff(t, admin, id)
	require.Regexp(t, `^"1\.[0-9a-f]+"$`, first)
	admin.Must(t, 304, "GET", staffPath(id), nil, apitest.Header("If-None-Match", first))
	admin.Must(t, 304, "GET", staffPath(id), nil, apitest.Header("If-None-Match", `"x", W/`+first))

	admin.Must(t, 200, "PATCH", staffPath(id), apitest.Fields{"name": "Second"}, apitest.Header("If-Match", first))
	admin.Must(t, 200, "GET", staffPath(id), nil, apitest.Header("If-None-Match", first))
	for _, method := range []string{"PATCH", "DELETE"} {
		var body any
		if method == "PATCH" {
			body = apitest.Fields{"name": "Third"}
		}
		stale := admin.Must(t, 412, method, staffPath(id), body, apitest.Header("If-Match", first)).Problem(t)
		require.Equal(t, "stale_version", stale.Code)
		require.EqualValues(t, 2, *stale.CurrentVersion)
		admin.Must(t, 412, method, staffPath(id), body, apitest.Header("If-Match", `"somebody else's"`))
		admin.Must(t, 412, method, staffPath(id), body, apitest.Header("If-Match", `W/"2.x"`)) // RFC 9110: compared strongly
		admin.Must(t, 404, method, staffPath(uuid.New()), body, apitest.Header("If-Match", first))
	}
	account, tag := readStaff(t, admin, id)
	require.Equal(t, "Second", account.Name)

	// A sign-in changes what is shown but not the version: it is no reason to refuse an edit.
	signIn(t, s, account.Email)
	signedIn, other := readStaff(t, admin, id)
	require.NotNil(t, signedIn.LastLoginAt)
	require.Equal(t, account.Version, signedIn.Version)
	require.Equal(t, account.UpdatedAt, signedIn.UpdatedAt)
	require.NotEqual(t, tag, other, "a 304 would be false")
	admin.Must(t, 200, "GET", staffPath(id), nil, apitest.Header("If-None-Match", tag))
	admin.Must(t, 200, "PATCH", staffPath(id), apitest.Fields{"name": "Third"}, apitest.Header("If-Match", tag))
	admin.Must(t, 200, "PATCH", staffPath(id), apitest.Fields{"name": "Fourth"}, apitest.Header("If-Match", `"1.x", "3.y"`))
	admin.Must(t, 204, "DELETE", staffPath(id), nil, apitest.Header("If-Match", "*"))
}

func TestOverlappingEditsOfStaff(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	id := admin.StaffAccount(t, nil).Id
	_, tag := readStaff(t, admin, id)
	statuses := atOnce(10, func(int) int {
		body := apitest.Fields{"name": "Name " + uuid.NewString()}
		return admin.Do(t, "PATCH", staffPath(id), body, apitest.Header("If-Match", tag)).Status
	})
	require.Equal(t, map[int]int{200: 1, 412: 9}, statuses)
	account, _ := readStaff(t, admin, id)
	require.EqualValues(t, 2, account.Version)
}

// atOnce makes calls at the same time and counts their statuses.
func atOnce(times int, call func(i int) int) map[int]int {
	var mu sync.Mutex
	statuses := map[int]int{}
	var group sync.WaitGroup
	for i := range times {
		group.Go(func() {
			status := call(i)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	group.Wait()
	return statuses
}

func TestStaffEmailIsUnique(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	admin.StaffAccount(t, apitest.Fields{"email": "Straße@example.com"})
	other := admin.StaffAccount(t, nil)
	taken := admin.Must(t, 409, "POST", "/v1/staff", apitest.Fields{
		"name": "x", "email": "STRASSE@Example.com", "role": "viewer", "password": apitest.Password,
	})
	require.Equal(t, "email_taken", taken.Problem(t).Code)
	requireFaults(t, taken, "/email email_taken")
	for _, email := range []string{"Straße@example.com", "STRASSE@EXAMPLE.COM", "strasse@example.com"} {
		requireFaults(t, admin.Must(t, 409, "PATCH", staffPath(other.Id), apitest.Fields{"email": email}), "/email email_taken")
	}
	// An account's own address is not in its own way, and accents tell people apart.
	admin.Must(t, 200, "PATCH", staffPath(other.Id), apitest.Fields{"email": strings.ToUpper(other.Email)})
	admin.Must(t, 200, "PATCH", staffPath(other.Id), apitest.Fields{"email": "josé@example.com"})
	admin.Must(t, 200, "PATCH", staffPath(admin.ID), apitest.Fields{"email": "jose@example.com"})
}

func TestOneOfManyTakesAnEmail(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	spelled := func(email string, i int) string {
		if i%2 == 0 {
			return strings.ToUpper(email)
		}
		return email
	}
	first := uuid.NewString() + "@example.com"
	require.Equal(t, map[int]int{201: 1, 409: 4}, atOnce(5, func(i int) int {
		return admin.Do(t, "POST", "/v1/staff", apitest.Fields{
			"name": "x", "email": spelled(first, i), "role": "viewer", "password": apitest.Password,
		}).Status
	}))
	// Hashing passwords, one after the other, keeps these apart. Without it they really meet.
	second := uuid.NewString() + "@example.com"
	require.Equal(t, map[int]int{201: 1, 409: 19}, atOnce(20, func(i int) int {
		err := s.DB.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
			_, err := staff.Create(t.Context(), tx, staff.Input{
				Name: "x", Email: spelled(second, i), Role: access.Viewer, PasswordHash: "x",
			})
			return err
		})
		switch {
		case err == nil:
			return 201
		case fault.IsKind(err, fault.Conflict):
			return 409
		}
		return 500
	}))
	var count int
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE type = 'staff.created'").Scan(&count))
	require.Equal(t, 3, count, "a refused one leaves no event")
}

func TestLastAdministratorStays(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	other := admin.StaffAccount(t, apitest.Fields{"role": "operator"})
	stays := func() {
		for _, role := range []string{"operator", "viewer"} {
			refused := admin.Must(t, 409, "PATCH", staffPath(admin.ID), apitest.Fields{"role": role, "name": "x"})
			require.Equal(t, "last_administrator", refused.Problem(t).Code)
		}
		require.Equal(t, "last_administrator", admin.Must(t, 409, "DELETE", staffPath(admin.ID), nil).Problem(t).Code)
		account, _ := readStaff(t, admin, admin.ID)
		require.EqualValues(t, "administrator", account.Role)
		require.Equal(t, "Test administrator", account.Name)
	}
	stays()
	admin.Must(t, 200, "PATCH", staffPath(admin.ID), apitest.Fields{"role": "administrator"}) // as it is

	admin.Must(t, 200, "PATCH", staffPath(other.Id), apitest.Fields{"role": "administrator"})
	admin.Must(t, 200, "PATCH", staffPath(other.Id), apitest.Fields{"role": "viewer"})
	stays()
	admin.Must(t, 204, "DELETE", staffPath(other.Id), nil)
	stays()
}

// TestAdministratorsCannotTakeEachOtherAway: of two who try at the same moment, one stays.
func TestAdministratorsCannotTakeEachOtherAway(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for round := range 12 {
		other := s.Staff(t, access.Administrator)
		// Delete and demote, in all four combinations.
		take := func(caller *apitest.Caller, target uuid.UUID, deletes bool) int {
			if deletes {
				return caller.Do(t, "DELETE", staffPath(target), nil).Status
			}
			return caller.Do(t, "PATCH", staffPath(target), apitest.Fields{"role": "viewer"}).Status
		}
		statuses := atOnce(2, func(i int) int {
			if i == 0 {
				return take(admin, other.ID, round&1 == 0)
			}
			return take(other, admin.ID, round&2 == 0)
		})
		// The second is refused as the last administrator, or because its token counts no more.
		var left int
		require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM staff WHERE role = 'administrator'").Scan(&left))
		require.Equal(t, 1, left, "round %d: %v", round, statuses)
		require.Equal(t, 1, statuses[200]+statuses[204], "%v", statuses)
		require.Equal(t, 1, statuses[409]+statuses[401], "%v", statuses)
		_, err := s.DB.Exec(t.Context(), "DELETE FROM staff")
		require.NoError(t, err)
		admin = s.Staff(t, access.Administrator)
	}
}

func TestPasswordConfirmation(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	body := apitest.Fields{
		"name": "x", "email": uuid.NewString() + "@example.com", "role": "viewer", "password": apitest.Password,
		"password_confirmation": apitest.Password + " ",
	}
	requireFaults(t, admin.Must(t, 422, "POST", "/v1/staff", body), "/password_confirmation no_match")
	body["role"] = "king"
	requireFaults(t, admin.Must(t, 422, "POST", "/v1/staff", body), "/password_confirmation no_match", "/role unknown_value")
	id := admin.StaffAccount(t, nil).Id
	for _, body := range []apitest.Fields{
		{"password": "another four words here", "password_confirmation": "another four words"},
		{"password": "another four words here", "password_confirmation": ""},
		{"password_confirmation": "a password that is not there"},
	} {
		requireFaults(t, admin.Must(t, 422, "PATCH", staffPath(id), body), "/password_confirmation no_match")
	}
	account, _ := readStaff(t, admin, id)
	require.EqualValues(t, 1, account.Version)
	signIn(t, s, account.Email) // still the old one
}

func TestStaffIsListedInPages(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	ids := []uuid.UUID{admin.ID}
	for range 6 {
		ids = append(ids, s.Staff(t, access.Viewer).ID)
	}
	var page openapi.StaffPage
	response := admin.Must(t, 200, "GET", "/v1/staff?limit=3&include_total=true", nil)
	response.JSON(t, &page)
	require.EqualValues(t, 7, *page.Total)
	require.Equal(t, "</v1/staff?cursor="+*page.NextCursor+`&include_total=true&limit=3>; rel="next"`, response.Header.Get("Link"))

	// Somebody on a page that was read goes, somebody new comes: nobody else is missed or seen twice.
	admin.Must(t, 204, "DELETE", staffPath(ids[1]), nil)
	newest := s.Staff(t, access.Viewer).ID
	found := page.Data
	for page.NextCursor != nil {
		cursor := *page.NextCursor
		page = openapi.StaffPage{}
		response = admin.Must(t, 200, "GET", "/v1/staff?limit=3&cursor="+cursor, nil)
		response.JSON(t, &page)
		require.Nil(t, page.Total)
		found = append(found, page.Data...)
	}
	require.Empty(t, response.Header.Get("Link"), "the last page leads nowhere")
	var seen []uuid.UUID
	for _, account := range found {
		seen = append(seen, account.Id)
	}
	require.Equal(t, append(ids, newest), seen, "the longest serving first")

	admin.Must(t, 200, "GET", "/v1/staff", nil).JSON(t, &page)
	require.Len(t, page.Data, 7)
	require.Nil(t, page.NextCursor)
}
