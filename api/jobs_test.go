package api_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

const ownJobs = "/v1/portal/jobs"

func jobPath(id uuid.UUID) string    { return "/v1/jobs/" + id.String() }
func ownJobPath(id uuid.UUID) string { return ownJobs + "/" + id.String() }

// moveJob asks for a status of a job.
func moveJob(t *testing.T, admin *apitest.Caller, id uuid.UUID, to string) *apitest.Response {
	t.Helper()
	return admin.Do(t, "PUT", jobPath(id)+"/status", apitest.Fields{"status": to})
}

// jobIn submits a job and moves it to a status.
func jobIn(t *testing.T, admin, me *apitest.Caller, status string) openapi.Job {
	t.Helper()
	job := me.Job(t, uuid.Nil, nil)
	me.Must(t, 201, "PUT", ownJobPath(job.Id)+"/files/input", aPDF)
	for _, to := range []string{"new", "incoming", "processing", "completed"} {
		response := moveJob(t, admin, job.Id, to)
		require.Equal(t, 200, response.Status, string(response.Body))
		response.JSON(t, &job)
		if to == status {
			return job
		}
	}
	t.Fatalf("a job is never %s", status)
	return job
}

func readJob(t *testing.T, caller *apitest.Caller, at string) openapi.Job {
	t.Helper()
	var job openapi.Job
	caller.Must(t, 200, "GET", at, nil).JSON(t, &job)
	return job
}

// TestAJobFromEndToEnd: somebody submits a job and watches it, staff moves it on, nobody else learns of it.
func TestAJobFromEndToEnd(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	before, _ := readCustomer(t, admin, me.CustomerID)
	s.Clock.Advance(time.Minute)

	created := me.Must(t, 201, "POST", ownJobs, apitest.Fields{
		"name": "Menus for December", "description": "Folded once.", "copies": 250, "due_at": "2026-12-01T09:00:00+01:00",
	})
	var job openapi.Job
	created.JSON(t, &job)
	require.Equal(t, ownJobPath(job.Id), created.Header.Get("Location"))
	require.Equal(t, openapi.Job{
		Id: job.Id, CustomerId: me.CustomerID, Name: "Menus for December", Description: pointer("Folded once."), Copies: 250,
		DueAt: pointer(time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)), Status: "new", AllowedStatuses: []openapi.JobStatus{},
		Files: []openapi.JobFile{}, Version: 1, CreatedAt: job.CreatedAt, UpdatedAt: job.CreatedAt,
	}, job)
	after, _ := readCustomer(t, admin, me.CustomerID)
	require.Greater(t, *after.LastActivityAt, *before.LastActivityAt, "submitting is activity")
	require.Equal(t, before.Version, after.Version)

	// It goes nowhere without something to print.
	refused := moveJob(t, admin, job.Id, "incoming")
	require.Equal(t, 409, refused.Status)
	problem := refused.Problem(t)
	require.Equal(t, []any{"job_input_missing", "new", []string{}}, []any{problem.Code, *problem.CurrentStatus, *problem.AllowedStatuses})
	me.Must(t, 201, "PUT", ownJobPath(job.Id)+"/files/input", aPDF)
	job = readJob(t, me, ownJobPath(job.Id))
	require.EqualValues(t, 2, job.Version, "a file counts")
	require.Equal(t, []openapi.JobStatus{"incoming"}, job.AllowedStatuses)

	// While it is new its people may change it, and another tab is noticed.
	read := me.Must(t, 200, "GET", ownJobPath(job.Id), nil)
	tag := read.Header.Get("ETag")
	me.Must(t, 304, "GET", ownJobPath(job.Id), nil, apitest.Header("If-None-Match", tag))
	changed := me.Must(t, 200, "PATCH", ownJobPath(job.Id), apitest.Fields{"copies": 300, "due_at": nil, "description": nil}, apitest.Header("If-Match", tag))
	changed.JSON(t, &job)
	require.Equal(t, []any{int32(300), int64(3)}, []any{job.Copies, job.Version})
	require.Nil(t, job.DueAt)
	require.Nil(t, job.Description)
	require.Len(t, job.Files, 1)
	stale := me.Must(t, 412, "PATCH", ownJobPath(job.Id), apitest.Fields{"copies": 1}, apitest.Header("If-Match", tag))
	require.Equal(t, "stale_version", stale.Problem(t).Code)
	me.Must(t, 412, "DELETE", ownJobPath(job.Id), nil, apitest.Header("If-Match", tag))
	admin.Must(t, 412, "PUT", jobPath(job.Id)+"/status", apitest.Fields{"status": "incoming"}, apitest.Header("If-Match", tag))
	me.Must(t, 200, "PATCH", ownJobPath(job.Id), apitest.Fields{"copies": 300}).JSON(t, &job)
	require.EqualValues(t, 3, job.Version, "nothing changed")
	requireFaults(t, me.Must(t, 422, "PATCH", ownJobPath(job.Id), apitest.Fields{"copies": 0, "name": "", "status": "completed"}),
		"/copies too_small", "/name too_short", "/status unknown_member")

	// A colleague sees it, others do not.
	colleague := admin.Identity(t, me.CustomerID, apitest.Fields{"password": apitest.Password})
	other := s.Anonymous()
	other.Token = other.SignIn(t, "portal", colleague.Email, apitest.Password).AccessToken
	require.Equal(t, job, readJob(t, other, ownJobPath(job.Id)))
	require.Equal(t, job, readJob(t, admin, jobPath(job.Id)))
	stranger := portalUser(t, s, "manager")
	for _, call := range []struct {
		method, path string
		body         any
	}{
		{"GET", "", nil}, {"PATCH", "", apitest.Fields{"name": "x"}}, {"DELETE", "", nil}, {"GET", "/files/input", nil},
		{"PUT", "/files/input", aPDF}, {"PUT", "/files/support", "x"},
	} {
		stranger.Must(t, 404, call.method, ownJobPath(job.Id)+call.path, call.body)
	}

	// On it goes, and cannot be changed by its people any more.
	for _, step := range []struct{ to, allowed string }{
		{"incoming", `["processing"]`}, {"processing", `["completed","incoming"]`}, {"incoming", `["processing"]`},
		{"processing", `["completed","incoming"]`}, {"completed", `[]`},
	} {
		moved := moveJob(t, admin, job.Id, step.to)
		require.Equal(t, 200, moved.Status, string(moved.Body))
		moved.JSON(t, &job)
		allowed, err := json.Marshal(job.AllowedStatuses)
		require.NoError(t, err)
		require.Equal(t, []string{step.to, step.allowed}, []string{string(job.Status), string(allowed)})
		again := moveJob(t, admin, job.Id, step.to)
		require.Equal(t, 200, again.Status, "it is there already")
		require.Equal(t, moved.Header.Get("ETag"), again.Header.Get("ETag"))
	}
	require.EqualValues(t, 8, job.Version)
	requireTypes(t, s.Staff(t, access.Administrator), after, "job.status_changed", "job.status_changed", "job.status_changed",
		"job.status_changed", "job.status_changed", "identity.created", "job.updated", "job.updated", "job.created",
		"identity.created", "customer.created")
}

func pointer[T any](value T) *T { return &value }

// TestWhoMayDoWhatWithAJob tries, in every status, what its people and staff may do with a job and its files. The table is
// written by hand: read from the program it could not disagree with it.
func TestWhoMayDoWhatWithAJob(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	everybody := []string{"new", "incoming", "processing", "completed"}
	untilDone := everybody[:3]
	for _, act := range []struct {
		method, path string
		body         any
		staff, own   []string // the statuses in which it is possible; nil where there is no such operation
	}{
		{"GET", "", nil, everybody, everybody},
		{"GET", "/files/input", nil, everybody, everybody},
		{"PATCH", "", apitest.Fields{"copies": 7}, untilDone, []string{"new"}},
		{"PUT", "/files/support", "anything", untilDone, []string{"new"}},
		{"PUT", "/files/input", aPDF + "%%EOF", untilDone, []string{"new"}},
		{"DELETE", "/files/support", nil, untilDone, nil},
		{"DELETE", "/files/input", nil, []string{"new"}, nil},
		{"DELETE", "", nil, []string{"new", "incoming", "completed"}, []string{"new"}},
	} {
		for _, status := range everybody {
			for _, side := range []struct {
				caller   *apitest.Caller
				path     func(uuid.UUID) string
				possible []string
			}{{admin, jobPath, act.staff}, {me, ownJobPath, act.own}} {
				if side.possible == nil {
					continue
				}
				job := me.Job(t, uuid.Nil, nil)
				me.Must(t, 201, "PUT", ownJobPath(job.Id)+"/files/input", aPDF)
				me.Must(t, 201, "PUT", ownJobPath(job.Id)+"/files/support", "support")
				_, err := s.DB.Exec(t.Context(), "UPDATE jobs SET status = $1 WHERE id = $2", status, job.Id)
				require.NoError(t, err)
				before := readJob(t, admin, jobPath(job.Id))
				what := act.method + " " + act.path + " in " + status
				response := side.caller.Do(t, act.method, side.path(job.Id)+act.path, act.body)
				if slices.Contains(side.possible, status) {
					require.Less(t, response.Status, 300, what+string(response.Body))
					continue
				}
				require.Equal(t, 409, response.Status, what)
				problem := response.Problem(t)
				require.Equal(t, "job_state", problem.Code, what)
				require.Equal(t, status, *problem.CurrentStatus, what)
				require.Equal(t, before, readJob(t, admin, jobPath(job.Id)), "nothing changes: "+what)
			}
		}
	}
	job := jobIn(t, admin, me, "incoming")
	refused := moveJob(t, admin, job.Id, "completed")
	require.Equal(t, 409, refused.Status)
	problem := refused.Problem(t)
	require.Equal(t, []any{"job_state", "incoming", []string{"processing"}}, []any{problem.Code, *problem.CurrentStatus, *problem.AllowedStatuses})
	require.Equal(t, "The job is incoming and cannot become completed.", problem.Detail)
	for _, method := range []string{"DELETE", "POST"} {
		me.Must(t, 405, method, ownJobPath(job.Id)+"/files/input", nil)
	}
}

// TestJobsAreForActiveCustomers: in every other status none is submitted, by nobody.
func TestJobsAreForActiveCustomers(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for _, status := range []string{"unregistered", "inactive", "active", "deactivated"} {
		customer := in(t, admin, status)
		response := admin.Do(t, "POST", path(customer)+"/jobs", apitest.Fields{"name": "Menus"})
		if status == "active" {
			require.Equal(t, 201, response.Status)
			var job openapi.Job
			response.JSON(t, &job)
			require.Equal(t, []any{customer.Id, int32(1)}, []any{job.CustomerId, job.Copies})
			require.Equal(t, jobPath(job.Id), response.Header.Get("Location"))
			continue
		}
		require.Equal(t, 409, response.Status)
		problem := response.Problem(t)
		require.Equal(t, []string{"customer_not_active", status}, []string{problem.Code, *problem.CurrentStatus})
	}
	admin.Must(t, 404, "POST", "/v1/customers/"+uuid.NewString()+"/jobs", apitest.Fields{"name": "Menus"})
	s.Staff(t, access.Viewer).Must(t, 403, "POST", "/v1/customers/"+uuid.NewString()+"/jobs", apitest.Fields{"name": "Menus"})

	// Whoever was signed in when the customer was switched off submits nothing, though the token has not been told yet.
	me := portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	_, err := s.DB.Exec(t.Context(), "UPDATE customers SET status = 'deactivated' WHERE id = $1", me.CustomerID)
	require.NoError(t, err)
	me.Must(t, 401, "POST", ownJobs, apitest.Fields{"name": "Menus"})
	me.Must(t, 404, "PATCH", ownJobPath(job.Id), apitest.Fields{"name": "Menus"})
	me.Must(t, 404, "PUT", ownJobPath(job.Id)+"/files/input", aPDF)
	require.Equal(t, job, readJob(t, admin, jobPath(job.Id)), "an upload that began before that comes to nothing")
}

func TestJobList(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, me, other := s.Staff(t, access.Viewer), portalUser(t, s, "member"), portalUser(t, s, "member")
	submit := func(caller *apitest.Caller, fields apitest.Fields) openapi.Job {
		s.Clock.Advance(time.Minute)
		return caller.Job(t, uuid.Nil, fields)
	}
	submit(me, apitest.Fields{"name": "Żółte ulotki", "due_at": "2027-01-02T00:00:00Z"})
	middle := submit(me, apitest.Fields{"name": "Menus", "description": "for the Königlich", "due_at": "2027-01-01T00:00:00Z"})
	submit(other, apitest.Fields{"name": "Cards"})
	me.Must(t, 201, "PUT", ownJobPath(middle.Id)+"/files/input", aPDF)
	moveJob(t, s.Staff(t, access.Operator), middle.Id, "incoming")
	names := func(caller *apitest.Caller, at string) (found []string) {
		t.Helper()
		var page openapi.JobPage
		caller.Must(t, 200, "GET", at, nil).JSON(t, &page)
		for _, job := range page.Data {
			found = append(found, job.Name)
			require.Len(t, job.Files, map[bool]int{true: 1}[job.Id == middle.Id], job.Name)
		}
		if page.Total != nil {
			require.EqualValues(t, len(found), *page.Total, at)
		}
		return found
	}
	all := []string{"Cards", "Menus", "Żółte ulotki"}
	for query, expected := range map[string][]string{
		"":                {"Cards", "Menus", "Żółte ulotki"},
		"sort=created_at": {"Żółte ulotki", "Menus", "Cards"},
		"sort=name":       all,
		"sort=-name":      {"Żółte ulotki", "Menus", "Cards"},
		"sort=due_at":     {"Menus", "Żółte ulotki", "Cards"},
		"sort=-due_at":    {"Cards", "Żółte ulotki", "Menus"},
		"sort=updated_at": {"Żółte ulotki", "Cards", "Menus"},
		"q=zolte":         {"Żółte ulotki"},
		"q=KONIGLICH":     {"Menus"},
		"q=men":           {"Menus"},
		"q=en":            nil,
		"status=new":      {"Cards", "Żółte ulotki"},
		"status=incoming": {"Menus"},
		"customer_id=" + other.CustomerID.String():                               {"Cards"},
		"customer_id=" + me.CustomerID.String() + "&status=new&sort=name":        {"Żółte ulotki"},
		"created_after=" + middle.CreatedAt.Format(time.RFC3339Nano):             {"Cards"},
		"created_before=" + middle.CreatedAt.Format(time.RFC3339Nano):            {"Żółte ulotki"},
		"created_before=" + middle.CreatedAt.Format(time.RFC3339Nano) + "&q=men": nil,
	} {
		require.Equal(t, expected, names(admin, "/v1/jobs?include_total=true&"+query), query)
	}
	require.Equal(t, []string{"Menus", "Żółte ulotki"}, names(admin, "/v1/customers/"+me.CustomerID.String()+"/jobs?include_total=true"))
	require.Equal(t, []string{"Menus", "Żółte ulotki"}, names(me, ownJobs+"?include_total=true"))
	require.Equal(t, []string{"Cards"}, names(other, ownJobs+"?include_total=true"))
	require.Empty(t, names(other, ownJobs+"?q=menus"))
	admin.Must(t, 404, "GET", "/v1/customers/"+uuid.NewString()+"/jobs", nil)
	requireFaults(t, me.Must(t, 400, "GET", ownJobs+"?customer_id="+other.CustomerID.String()+"&status=done", nil),
		"customer_id unknown_parameter", "status unknown_value")
	for _, order := range []string{"due_at", "-due_at", "name", "-updated_at"} { // page by page it is the same list
		var found []string
		at := "/v1/jobs?limit=1&sort=" + order
		for next := at; next != ""; {
			var page openapi.JobPage
			admin.Must(t, 200, "GET", next, nil).JSON(t, &page)
			found, next = append(found, page.Data[0].Name), ""
			if page.NextCursor != nil {
				next = at + "&cursor=" + *page.NextCursor
			}
		}
		require.Equal(t, names(admin, "/v1/jobs?sort="+order), found, order)
	}
}
