package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/api"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/apitest"
)

// TestRateLimit: each caller has a quota of its own, every answer to it says how it stands, and what is refused for the
// quota is refused before anything else is looked at.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.RateLimit(3))
	s.Clock.Advance(time.Minute - time.Duration(s.Clock.Now().UnixNano())%time.Minute) // all in one minute
	admin, viewer := s.Staff(t, "administrator"), s.Staff(t, "viewer")
	for _, left := range []string{"2", "1", "0"} {
		response := viewer.Do(t, "POST", "/v1/customers", map[string]any{"name": "Ann"})
		require.Equal(t, 403, response.Status, "what is refused counts, too")
		require.Equal(t, `"requests";q=3;w=60`, response.Header.Get("RateLimit-Policy"))
		require.Regexp(t, `^"requests";r=`+left+`;t=[0-9]+$`, response.Header.Get("RateLimit"))
	}
	refused := viewer.Do(t, "POST", "/v1/customers", map[string]any{"nonsense": 1})
	require.Equal(t, 429, refused.Status)
	require.Equal(t, "rate_limited", refused.Problem(t).Code)
	wait, err := strconv.Atoi(refused.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf(`"requests";r=0;t=%d`, wait), refused.Header.Get("RateLimit"))
	admin.Must(t, 200, "GET", "/v1/customers", nil)
	require.Empty(t, s.Anonymous().Do(t, "GET", "/healthz", nil).Header.Get("RateLimit"))
	s.Clock.Advance(time.Duration(wait) * time.Second)
	viewer.Must(t, 200, "GET", "/v1/customers", nil)
}

// TestExpensiveRequestsAtOnce: a caller cannot have more than some uploads under way.
func TestExpensiveRequestsAtOnce(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, operator := s.Staff(t, "administrator"), s.Staff(t, "operator")
	// One more than may be under way: that one is answered, and the others wait for their files.
	const uploads = 9
	answers := make(chan *apitest.Response, uploads)
	var sending sync.WaitGroup
	var ends []*io.PipeWriter
	for range uploads {
		body, end := io.Pipe()
		ends = append(ends, end)
		sending.Go(func() {
			// Who is refused learns of it without sending anything.
			answers <- admin.Do(t, "POST", "/v1/customers/import", body, apitest.Header("Content-Type", "text/csv"),
				apitest.Header("Expect", "100-continue"))
		})
	}
	refused := <-answers
	require.Equal(t, http.StatusTooManyRequests, refused.Status)
	require.Equal(t, "too_many_at_once", refused.Problem(t).Code)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	send := func(caller *apitest.Caller) *apitest.Response {
		return caller.Do(t, "POST", "/v1/customers/import", "name\nAnn\n", apitest.Header("Content-Type", "text/csv"))
	}
	require.Equal(t, 429, send(admin).Status)
	require.Equal(t, 202, send(operator).Status, "others are not held up")
	for _, end := range ends {
		require.NoError(t, end.Close())
	}
	sending.Wait()
	require.Equal(t, 202, send(admin).Status)
}

// TestExpensiveRequestsOfACustomersPeople: several logins of one customer have no more together than two have by themselves.
func TestExpensiveRequestsOfACustomersPeople(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	first := portalUser(t, s, "member")
	people := []*apitest.Caller{first, colleague(t, s, first), colleague(t, s, first)}
	job := first.Job(t, uuid.Nil, nil)
	const each, room = 6, 16
	answers := make(chan *apitest.Response, each*len(people))
	var ends []*io.PipeWriter
	for _, person := range people {
		for range each {
			body, end := io.Pipe()
			ends = append(ends, end)
			go func() {
				answers <- person.Do(t, "PUT", "/v1/portal/jobs/"+job.Id.String()+"/files/support", body,
					apitest.Header("Content-Type", "application/octet-stream"), whenLetIn)
			}()
		}
	}
	for range each*len(people) - room {
		refused := <-answers
		require.Equal(t, http.StatusTooManyRequests, refused.Status)
		require.Equal(t, "too_many_at_once", refused.Problem(t).Code)
	}
	upload := func(by *apitest.Caller, job openapi.Job) *apitest.Response {
		return by.Do(t, "PUT", "/v1/portal/jobs/"+job.Id.String()+"/files/support", "x",
			apitest.Header("Content-Type", "application/octet-stream"))
	}
	elsewhere := portalUser(t, s, "member")
	require.Equal(t, 201, upload(elsewhere, elsewhere.Job(t, uuid.Nil, nil)).Status, "others are not held up")
	for _, end := range ends {
		require.NoError(t, end.Close())
	}
	for range room {
		<-answers
	}
	require.NotEqual(t, http.StatusTooManyRequests, upload(first, job).Status)
}

// TestNoRequestTakesForEver: what is not answered in time is given up, in the database too.
func TestNoRequestTakesForEver(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.AnswerTime(300*time.Millisecond))
	admin := s.Staff(t, "administrator")
	tx, err := s.DB.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE customers")
	require.NoError(t, err)
	response := admin.Do(t, "GET", "/v1/customers", nil)
	require.Equal(t, 503, response.Status)
	require.Equal(t, "too_slow", response.Problem(t).Code)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	var waiting bool
	require.Eventually(t, func() bool {
		require.NoError(t, tx.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'customers'::regclass)").Scan(&waiting))
		return !waiting
	}, 10*time.Second, 10*time.Millisecond, "nothing waits for the table any more")
	require.NoError(t, tx.Rollback(t.Context()))
	admin.Must(t, 200, "GET", "/v1/customers", nil)
}

// TestTheLogSaysWhoIsRefused: also whoever is not let in.
func TestTheLogSaysWhoIsRefused(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.RateLimit(1))
	viewer := s.Staff(t, "viewer")
	var log bytes.Buffer
	options := s.Options
	options.Log = slog.New(slog.NewJSONHandler(&log, nil))
	handler, err := api.New(options)
	require.NoError(t, err)
	for _, status := range []int{403, 429} {
		log.Reset()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/staff", http.NoBody)
		request.Header.Set("Authorization", "Bearer "+viewer.Token)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		require.Equal(t, status, answer.Code)
		var line struct {
			Caller string
			Status int
		}
		require.NoError(t, json.Unmarshal(log.Bytes(), &line), log.String())
		require.Equal(t, "staff:"+viewer.ID.String(), line.Caller)
		require.Equal(t, status, line.Status)
	}
}
