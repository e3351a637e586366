package api_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/api"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/webhooks"
)

func feedOf(t *testing.T, caller *apitest.Caller, query string) openapi.EventFeed {
	t.Helper()
	var feed openapi.EventFeed
	caller.Must(t, 200, "GET", "/v1/events?"+query, nil).JSON(t, &feed)
	return feed
}

func typesIn(feed openapi.EventFeed) []string {
	types := []string{}
	for _, event := range feed.Data {
		types = append(types, event.Type)
	}
	return types
}

// TestTypesOfEvents: the contract lists the types that the program has, and says what their data holds.
func TestTypesOfEvents(t *testing.T) {
	t.Parallel()
	schemas, listed := apitest.Contract().Events()
	require.ElementsMatch(t, append(events.Types(), webhooks.TestType), listed)
	require.ElementsMatch(t, events.Types(), slices.Collect(maps.Keys(schemas)))
	for _, eventType := range events.Types() {
		require.NoError(t, events.CheckPattern(eventType))
		require.NotEmpty(t, events.ScopeOf(eventType), "%s is shown to nobody", eventType)
	}
}

func TestFeedOfWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer)
	one, other := admin.Customer(t, nil), admin.Customer(t, nil)
	admin.Note(t, one.Id, "a note")
	admin.Domain(t, other.Id, nil)
	admin.Must(t, 200, "PATCH", path(one), apitest.Fields{"phone": "1"})
	settled(t, s)
	for query, expected := range map[string][]string{
		"types=note.created":                                              {"note.created"},
		"types=customer.updated,domain.*":                                 {"domain.created", "customer.updated"},
		"customer_id=" + one.Id.String():                                  {"customer.created", "note.created", "customer.updated"},
		"customer_id=" + uuid.NewString():                                 {},
		"types=staff.*":                                                   {},
		"types=*&customer_id=" + other.Id.String():                        {"customer.created", "domain.created"},
		"types=customer.*,staff.created&customer_id=" + other.Id.String(): {"customer.created"},
	} {
		require.Equal(t, expected, typesIn(feedOf(t, viewer, query)), query)
	}
	require.Equal(t, []string{"staff.created", "staff.created"}, typesIn(feedOf(t, admin, "types=staff.*")))
	for _, wrong := range []string{"customer", "customer.painted", "customer.created,", "webhook_endpoint.test", "*.created", " customer.*"} {
		requireFaults(t, viewer.Must(t, 400, "GET", "/v1/events?types="+url.QueryEscape(wrong), nil), "types invalid_format")
	}
	const none = "must be types of events such as customer.created, customer.* for all of a kind, or *; these are not: "
	for wrong, named := range map[string]string{
		"customer.*,customer.painted,note.created": `"customer.painted"`,
		"customer.*,":          `""`,
		"note.created, *,a\nb": `" *", "a\nb"`,
		strings.Repeat("ż", 500) + ",x,x,note.*,y,z,v,w": `"` + strings.Repeat("ż", 40) + `…", "x", "y", "z", "v", …`,
	} {
		problem := viewer.Must(t, 400, "GET", "/v1/events?types="+url.QueryEscape(wrong), nil).Problem(t)
		require.Len(t, *problem.Errors, 1)
		require.Equal(t, none+named, (*problem.Errors)[0].Message)
	}

	// A cursor goes on from where it is, whatever is asked for.
	first := feedOf(t, admin, "types=customer.*&limit=1")
	require.Equal(t, []string{"customer.created", "note.created", "domain.created", "customer.updated"}, typesIn(feedOf(t, admin, "cursor="+first.NextCursor)))
	end := feedOf(t, viewer, "types=note.deleted")
	require.Empty(t, end.Data)
	require.Empty(t, feedOf(t, admin, "cursor="+end.NextCursor).Data, "what was not asked for is passed")
}

// TestFeedAfterTheDatabaseWasRestored: a cursor of events that are gone is refused, also once others have their positions.
// What was read before the state that was restored stays good, and so do the cursors of version 0.1, which name no event.
func TestFeedAfterTheDatabaseWasRestored(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	empty := feedOf(t, admin, "from=now").NextCursor // nobody has given the first events their positions yet, or somebody has
	admin.Customer(t, nil)
	settled(t, s)
	before := feedOf(t, admin, "").NextCursor
	feedOf(t, admin, "cursor="+before)
	old := func(position int64) string { return paging.CursorsOf("events").Encode(position) }
	lost := admin.Customer(t, nil)
	settled(t, s)
	seen := feedOf(t, admin, "cursor="+before)
	require.Equal(t, lost.Id, seen.Data[0].Resource.Id)
	end := *seen.Data[0].Position
	feedOf(t, admin, "cursor="+old(end))
	require.Len(t, feedOf(t, admin, "cursor="+old(end-1)).Data, 1)

	_, err := s.DB.Exec(t.Context(), "DELETE FROM events WHERE position >= $1", end)
	require.NoError(t, err)
	refused := func(cursor string) {
		t.Helper()
		problem := admin.Must(t, 400, "GET", "/v1/events?wait=1&cursor="+cursor, nil).Problem(t)
		require.Equal(t, "invalid_cursor", (*problem.Errors)[0].Code)
		require.Contains(t, (*problem.Errors)[0].Message, "restored")
	}
	refused(seen.NextCursor)
	refused(old(end))
	other := admin.Customer(t, nil)
	settled(t, s)
	refused(seen.NextCursor)
	for _, good := range []string{empty, before, old(end - 1)} {
		found := feedOf(t, admin, "cursor="+good).Data
		require.Equal(t, other.Id, found[len(found)-1].Resource.Id)
		require.Equal(t, end, *found[len(found)-1].Position)
	}
}

// TestFeedOfRareEvents: among very many others one is found, a bounded piece of the log at a time.
func TestFeedOfRareEvents(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	settled(t, s)
	last := feedOf(t, admin, "from=now").NextCursor
	_, err := s.DB.Exec(t.Context(), `INSERT INTO events (position, id, type, resource_kind, resource_id, version, actor_kind, actor_name, at)
		SELECT (SELECT max(position) FROM events) + n, gen_random_uuid(), 'staff.updated', 'staff', gen_random_uuid(), 1, 'system', '', now()
		FROM generate_series(1, 120000) AS n`)
	require.NoError(t, err)
	customer := admin.Customer(t, nil)
	settled(t, s)
	started := time.Now()
	found := feedOf(t, admin, "types=customer.*&cursor="+last)
	require.Len(t, found.Data, 1)
	require.Equal(t, customer.Id, found.Data[0].Resource.Id)
	require.Less(t, time.Since(started), 10*time.Second)
}

func TestFeedWaits(t *testing.T) {
	t.Parallel()
	first := apitest.New(t)
	second := apitest.NewOn(t, first.DB.Config().ConnString(), apitest.PublicURL(first.URL))
	writer, viewer := first.Staff(t, access.Administrator), first.Staff(t, access.Viewer)
	settled(t, first)
	requireFaults(t, viewer.Must(t, 400, "GET", "/v1/events?from=now&wait=5", nil), "from contradiction")
	now := feedOf(t, viewer, "from=now").NextCursor
	started := time.Now()
	require.Equal(t, now, feedOf(t, viewer, "wait=1&cursor="+now).NextCursor)
	require.GreaterOrEqual(t, time.Since(started), time.Second)

	// On both replicas they come as soon as there is something for them, and not for anything else.
	elsewhere := bearing(second, viewer.Token)
	customer := writer.Customer(t, nil)
	settled(t, first)
	now = feedOf(t, viewer, "from=now").NextCursor
	answers := map[string]openapi.EventFeed{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for query, caller := range map[string]*apitest.Caller{
		"": viewer, "&limit=1": elsewhere, "&types=note.*": elsewhere, "&types=note.*&limit=1": viewer, "&customer_id=" + customer.Id.String(): viewer,
	} {
		group.Go(func() {
			feed := feedOf(t, caller, "wait=25&cursor="+now+query)
			mu.Lock()
			defer mu.Unlock()
			answers[query] = feed
		})
	}
	waiting := func(count int) {
		t.Helper()
		require.Eventually(t, func() bool { return first.Sequencer.Waiting()+second.Sequencer.Waiting() == count },
			20*time.Second, 5*time.Millisecond)
	}
	waiting(5)
	writer.Customer(t, nil)
	waiting(3)
	noted := time.Now()
	writer.Note(t, customer.Id, "a note")
	group.Wait()
	require.Less(t, time.Since(noted), 15*time.Second, "long before they need to be answered")
	for query, feed := range answers {
		require.Len(t, feed.Data, 1, query)
		expected := "customer.created"
		if strings.Contains(query, "note") || strings.Contains(query, "customer_id") {
			expected = "note.created"
		}
		require.Equal(t, expected, feed.Data[0].Type, query)
	}
}

// TestTheLongestWaitIsAnswered before the time of a request is over.
func TestTheLongestWaitIsAnswered(t *testing.T) {
	t.Parallel()
	longest := document().Paths.Find("/v1/events").Get.Parameters.GetByInAndName("query", "wait").Schema.Value.Max
	require.LessOrEqual(t, time.Duration(*longest)*time.Second+5*time.Second, api.AnswerTime)
}

// TestWaitingIsBounded for each caller, so that others find a place.
func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	viewer, other := s.Staff(t, access.Viewer), s.Staff(t, access.Viewer)
	settled(t, s)
	now := feedOf(t, viewer, "from=now").NextCursor
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() { viewer.Do(t, "GET", "/v1/events?wait=25&cursor="+now, nil) })
	}
	require.Eventually(t, func() bool { return s.Sequencer.Waiting() == 16 }, 10*time.Second, 5*time.Millisecond)
	response := viewer.Must(t, 429, "GET", "/v1/events?wait=25&cursor="+now, nil)
	require.Equal(t, "too_many_at_once", response.Problem(t).Code)
	feedOf(t, viewer, "cursor="+now)
	feedOf(t, other, "wait=1&cursor="+now)
	s.Sequencer.EndWaiting()
	group.Wait()
	feedOf(t, viewer, "wait=25&cursor="+now)
}

// TestWaitingEnds when the program does, and with the right to see what comes.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer, operator := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer), s.Staff(t, access.Operator)
	settled(t, s)
	now := feedOf(t, viewer, "from=now").NextCursor
	var group sync.WaitGroup
	started := time.Now()
	group.Go(func() {
		response := operator.Do(t, "GET", "/v1/events?wait=25&types=customer.*&cursor="+now, nil)
		if response.Status != 401 {
			t.Errorf("%d: %s", response.Status, response.Body)
		}
	})
	group.Go(func() {
		if feed := feedOf(t, viewer, "wait=25&types=note.*&cursor="+now); len(feed.Data) > 0 {
			t.Error("there is nothing to be seen")
		}
	})
	waiting := func(count int) {
		t.Helper()
		require.Eventually(t, func() bool { return s.Sequencer.Waiting() == count }, 10*time.Second, 5*time.Millisecond)
	}
	waiting(2)
	admin.Must(t, 204, "DELETE", "/v1/staff/"+operator.ID.String(), nil)
	require.Eventually(t, func() bool { return operator.Do(t, "GET", "/v1/events?from=now", nil).Status == 401 }, 5*time.Second, 20*time.Millisecond)
	admin.Customer(t, nil)
	waiting(1)
	s.Sequencer.EndWaiting()
	group.Wait()
	require.Less(t, time.Since(started), 20*time.Second)
	require.Empty(t, feedOf(t, viewer, "wait=25&types=note.*&cursor="+now).Data, "nobody waits any more")
	require.Less(t, time.Since(started), 20*time.Second)
}
