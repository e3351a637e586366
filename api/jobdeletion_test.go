package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/jobs"
	"github.com/clientele-api/clientele/internal/postgres"
)

// TestACustomerIsDeletedWithItsJobs: the plan counts them and names those in the way; what goes is gone everywhere.
func TestACustomerIsDeletedWithItsJobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin, me := s.Staff(t, access.Administrator), portalUser(t, s, "member")
	other := portalUser(t, s, "member")
	kept := jobIn(t, admin, other, "processing")
	var stuck openapi.Job
	for _, status := range []string{"new", "incoming", "completed", "processing"} {
		stuck = jobIn(t, admin, me, status)
	}
	me.Job(t, uuid.Nil, apitest.Fields{"name": "Secret menus", "description": "for Antonio"})
	child := admin.Customer(t, apitest.Fields{"parent_id": me.CustomerID})
	customer := "/v1/customers/" + me.CustomerID.String()

	var plan openapi.DeletionPlan
	admin.Must(t, 200, "GET", customer+"/deletion-plan", nil).JSON(t, &plan)
	require.Equal(t, openapi.JobCounts{New: 2, Incoming: 1, Processing: 1, Completed: 1}, plan.Counts.Jobs)
	require.Equal(t, []int64{4, 4 * int64(len(aPDF))}, []int64{plan.Counts.Files, plan.Counts.Bytes})
	require.Nil(t, plan.ConfirmationToken)
	require.Equal(t, []openapi.DeletionBlocker{
		{Code: "child_customer", Resource: openapi.ResourceRef{Kind: "customer", Id: child.Id}, Message: "Move or delete the child customer first."},
		{Code: "job_processing", Resource: openapi.ResourceRef{Kind: "job", Id: stuck.Id}, Message: "The job is processing. Complete it or put it back first."},
	}, plan.Blockers)
	blocked := admin.Must(t, 409, "DELETE", customer, nil).Problem(t)
	require.Equal(t, "deletion_blocked", blocked.Code)
	require.Equal(t, "The customer has 1 child customer and 1 job in the way.", blocked.Detail)
	require.Equal(t, plan, *blocked.DeletionPlan)
	admin.Must(t, 200, "PATCH", path(child), apitest.Fields{"parent_id": nil})
	require.Equal(t, "The customer has 1 job in the way.", admin.Must(t, 409, "DELETE", customer, nil).Problem(t).Detail)

	// The token is for these jobs in these statuses with these files, and for no others.
	moveJob(t, admin, stuck.Id, "incoming")
	for _, change := range []func(){
		func() { me.Job(t, uuid.Nil, nil) },
		func() { me.Must(t, 201, "PUT", ownJobPath(me.Job(t, uuid.Nil, nil).Id)+"/files/support", "x") },
		func() { moveJob(t, admin, stuck.Id, "processing") },
		func() { moveJob(t, admin, stuck.Id, "completed") },
		func() { admin.Must(t, 204, "DELETE", jobPath(stuck.Id), nil) },
	} {
		answer := admin.Do(t, "DELETE", customer, nil).Problem(t)
		change()
		if answer.ConfirmationToken != nil {
			require.NotEqual(t, 204, admin.Do(t, "DELETE", customer+"?confirm="+*answer.ConfirmationToken, nil).Status)
		}
	}
	token := *admin.Must(t, 428, "DELETE", customer, nil).Problem(t).ConfirmationToken
	admin.Must(t, 200, "DELETE", customer+"?dry_run=true", nil)
	version := fmt.Sprintf(`"%d.x"`, plan.Customer.Version+1)
	admin.Must(t, 412, "DELETE", customer+"?confirm="+token, nil, apitest.Header("If-Match", version))
	admin.Must(t, 204, "DELETE", customer+"?confirm="+token, nil)

	admin.Must(t, 404, "GET", jobPath(stuck.Id), nil)
	admin.Must(t, 404, "GET", jobPath(stuck.Id)+"/files/input", nil)
	require.Equal(t, kept, readJob(t, admin, jobPath(kept.Id)))
	var personal int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE customer_id = $1
		AND (data IS NOT NULL OR actor_kind = 'identity' AND actor_name <> '')`, me.CustomerID).Scan(&personal))
	require.Zero(t, personal, "what the change log knew of them is erased")
	for range 2 {
		s.Clock.Advance(25 * time.Hour)
		_, err := s.Options.Blobs.Sweep(t.Context())
		require.NoError(t, err)
	}
	require.Len(t, filesIn(t, dir), 1, "the bytes are gone, but for the other customer's")
}

// TestJobsKeepCustomersFromBulkDeletion: each by itself, whether the plan saw the job or not.
func TestJobsKeepCustomersFromBulkDeletion(t *testing.T) {
	t.Parallel()
	s, admin := working(t)
	busy, idle, late := portalUser(t, s, "member"), portalUser(t, s, "member"), portalUser(t, s, "member")
	stuck := jobIn(t, admin, busy, "processing")
	jobIn(t, admin, idle, "completed")
	started := jobIn(t, admin, late, "incoming")
	parent := admin.Customer(t, nil)
	admin.Must(t, 200, "PATCH", "/v1/customers/"+busy.CustomerID.String(), apitest.Fields{"parent_id": parent.Id})
	body := apitest.Fields{"ids": []uuid.UUID{busy.CustomerID, idle.CustomerID, late.CustomerID, parent.Id}}
	plan := settledPlan(t, s, admin, body)
	require.EqualValues(t, 4, plan.Customers)
	require.EqualValues(t, 2, plan.Blocked, "and the one above it")
	require.Equal(t, openapi.JobCounts{Incoming: 1, Processing: 1, Completed: 1}, plan.Counts.Jobs)
	require.Equal(t, []int64{3, 3 * int64(len(aPDF))}, []int64{plan.Counts.Files, plan.Counts.Bytes})
	require.Equal(t, []openapi.BulkDeletionBlocker{{
		Code: "job_processing", Resource: openapi.ResourceRef{Kind: "job", Id: stuck.Id}, CustomerId: busy.CustomerID,
		Message: "The job is processing. Complete it or put it back first.",
	}}, plan.Blockers)
	moveJob(t, admin, started.Id, "processing")
	done := deleted(t, admin, body, *plan.ConfirmationToken)
	require.EqualValues(t, 1, done.Progress.Deleted)
	why := map[uuid.UUID]string{}
	for _, one := range done.Errors {
		why[one.Resource.Id] = one.Code
	}
	require.Equal(t, map[uuid.UUID]string{
		busy.CustomerID: "job_processing", late.CustomerID: "changed_since_plan", parent.Id: "child_customer",
	}, why)
	admin.Must(t, 404, "GET", "/v1/customers/"+idle.CustomerID.String(), nil)
	require.Equal(t, openapi.JobStatus("processing"), readJob(t, admin, jobPath(stuck.Id)).Status)
}

// TestDeletionBesideJobs: whoever has the customer's lock first decides, and nothing waits in a circle. What comes second
// finds the customer gone, or the plan another one.
func TestDeletionBesideJobs(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for name, act := range map[string]struct {
		do       func(me *apitest.Caller, job openapi.Job) *apitest.Response
		afterAll int // how it is answered when the customer is gone
		plan     int // how the deletion is answered when it comes second
	}{
		"a job that starts processing": {func(_ *apitest.Caller, job openapi.Job) *apitest.Response {
			return moveJob(t, admin, job.Id, "processing")
		}, 404, 409},
		"a job that is added": {func(me *apitest.Caller, _ openapi.Job) *apitest.Response {
			return me.Do(t, "POST", ownJobs, apitest.Fields{"name": "late"})
		}, 401, 428},
		"a job that staff adds": {func(me *apitest.Caller, _ openapi.Job) *apitest.Response {
			return admin.Do(t, "POST", "/v1/customers/"+me.CustomerID.String()+"/jobs", apitest.Fields{"name": "late"})
		}, 404, 428},
		"a file that is added": {func(_ *apitest.Caller, job openapi.Job) *apitest.Response {
			return admin.Do(t, "PUT", jobPath(job.Id)+"/files/support", "late")
		}, 404, 428},
		"a job that is deleted": {func(_ *apitest.Caller, job openapi.Job) *apitest.Response {
			return admin.Do(t, "DELETE", jobPath(job.Id), nil)
		}, 404, 428},
	} {
		// The deletion comes first. It is made to wait after it has the lock, and the other behind it.
		me := portalUser(t, s, "member")
		job := jobIn(t, admin, me, "incoming")
		plan, err := customers.PlanDeletion(t.Context(), s.DB, s.Keyring, nil, me.CustomerID, etag.Versions{})
		require.NoError(t, err)
		var runs int
		var deleteErr error
		var answer *apitest.Response
		holding(t, s, lockRow(t, "jobs", job.Id),
			changing(t, s, &runs, &deleteErr, func(tx *postgres.Tx) error {
				return customers.Delete(t.Context(), tx, s.Keyring, me.CustomerID, etag.Versions{}, plan.Token)
			}),
			func() { answer = act.do(me, job) })
		require.NoError(t, deleteErr, name)
		require.Equal(t, 1, runs, name)
		require.Equal(t, act.afterAll, answer.Status, "%s: %s", name, answer.Body)

		// The deletion comes second: it waits for the lock, and then sees what there is.
		me = portalUser(t, s, "member")
		job = jobIn(t, admin, me, "incoming")
		customer := "/v1/customers/" + me.CustomerID.String()
		token := *admin.Must(t, 428, "DELETE", customer, nil).Problem(t).ConfirmationToken
		var refused *apitest.Response
		holding(t, s, func(tx *postgres.Tx) error { return besides(t, tx, name, me, job) },
			func() { refused = admin.Do(t, "DELETE", customer+"?confirm="+token, nil) })
		require.Equal(t, act.plan, refused.Status, "%s: %s", name, refused.Body)
		admin.Must(t, 200, "GET", customer, nil)
	}
}

// besides does in a transaction what the case of the name does by a request.
func besides(t *testing.T, tx *postgres.Tx, name string, me *apitest.Caller, job openapi.Job) (err error) {
	t.Helper()
	switch name {
	case "a job that starts processing":
		_, err = jobs.Move(t.Context(), tx, job.Id, etag.Versions{}, "processing")
	case "a file that is added":
		var blob blobs.Blob
		if err = tx.QueryRow(t.Context(), "SELECT blob_key FROM job_files WHERE job_id = $1", job.Id).Scan(&blob.Key); err != nil {
			return err
		}
		_, err = jobs.PutFile(t.Context(), tx, jobs.Staff(nil), job.Id, etag.Tags{}, jobs.Received{Kind: jobs.Support, Blob: blob})
	case "a job that is deleted":
		err = jobs.Delete(t.Context(), tx, jobs.Staff(nil), job.Id, etag.Versions{})
	default:
		_, err = jobs.Submit(t.Context(), tx, me.CustomerID, jobs.Submission{Name: "late"})
	}
	return err
}

// TestManyBesideADeletion lets clients do all they can with the jobs of customers while others delete these. Whatever comes
// of it, nobody waits in a circle, no answer is an error of ours, and no customer went with a job that was being processed.
func TestManyBesideADeletion(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	const rounds = 8
	expected := map[int]bool{200: true, 201: true, 204: true, 401: true, 404: true, 409: true, 412: true, 428: true}
	var mu sync.Mutex
	var unexpected []string
	note := func(response *apitest.Response) *apitest.Response {
		mu.Lock()
		defer mu.Unlock()
		if !expected[response.Status] {
			unexpected = append(unexpected, fmt.Sprint(response.Status, string(response.Body)))
		}
		return response
	}
	var wait sync.WaitGroup
	for round := range rounds {
		me := portalUser(t, s, "member")
		job := jobIn(t, admin, me, "incoming")
		customer := "/v1/customers/" + me.CustomerID.String()
		var began, putBack bool // as the answers told
		wait.Go(func() {
			for range 3 {
				began = note(moveJob(t, admin, job.Id, "processing")).Status == http.StatusOK
				if !began {
					return
				}
				if round%2 == 0 {
					return // it stays there, and so must the customer
				}
				putBack = note(moveJob(t, admin, job.Id, "incoming")).Status == http.StatusOK
				if !putBack {
					return
				}
			}
		})
		wait.Go(func() {
			for i := range 4 {
				note(admin.Do(t, "PUT", jobPath(job.Id)+"/files/support", fmt.Sprint(round, i)))
				note(me.Do(t, "POST", ownJobs, apitest.Fields{"name": "another"}))
			}
		})
		wait.Go(func() {
			for range 12 {
				answer := note(admin.Do(t, "DELETE", customer, nil))
				if answer.Status != 428 {
					continue
				}
				if note(admin.Do(t, "DELETE", customer+"?confirm="+*answer.Problem(t).ConfirmationToken, nil)).Status == 204 {
					return
				}
			}
		})
		wait.Wait()
		gone := admin.Do(t, "GET", customer, nil).Status == http.StatusNotFound
		found := admin.Do(t, "GET", jobPath(job.Id), nil).Status
		require.Equal(t, gone, found == http.StatusNotFound, "a job is there exactly as long as its customer")
		require.False(t, gone && began && !putBack, "a customer went with a job that was being processed")
	}
	require.Empty(t, unexpected)
}
