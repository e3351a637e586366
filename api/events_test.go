package api_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

type change struct {
	Before map[string]any `json:"before"`
	After  map[string]any `json:"after"`
}

func data(t *testing.T, event openapi.Event) change {
	t.Helper()
	require.NotNil(t, event.Data)
	var decoded change
	require.NoError(t, json.Unmarshal(*event.Data, &decoded))
	return decoded
}

func history(t *testing.T, caller *apitest.Caller, customer openapi.Customer) []openapi.Event {
	t.Helper()
	var found []openapi.Event
	cursor := ""
	for {
		var page openapi.EventPage
		caller.Must(t, 200, "GET", path(customer)+"/events?limit=2"+cursor, nil).JSON(t, &page)
		found = append(found, page.Data...)
		if page.NextCursor == nil {
			return found
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

func TestHistoryTellsWhatChanged(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, apitest.Fields{"name": "Name", "company": "Old"})
	admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"company": "New"}, apitest.Header("X-Request-Id", "my-request"))
	admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"company": "New"}) // changes nothing
	note := admin.Note(t, customer.Id, "a note")

	events := history(t, admin, customer)
	require.Len(t, events, 3)
	require.Equal(t, []string{"note.created", "customer.updated", "customer.created"},
		[]string{events[0].Type, events[1].Type, events[2].Type})
	require.Equal(t, "a note", data(t, events[0]).After["text"])
	require.Equal(t, note.Id, events[0].Resource.Id)

	updated := events[1]
	require.Equal(t, "my-request", *updated.RequestId)
	require.Equal(t, admin.ID, *updated.Actor.Id)
	require.EqualValues(t, 2, updated.Version)
	require.Equal(t, "Old", data(t, updated).Before["company"])
	require.NotContains(t, data(t, updated).Before, "name", "only what changed")
	require.Equal(t, "New", data(t, updated).After["company"])
	require.Equal(t, "Name", data(t, updated).After["name"])
	for _, internal := range []string{"search_text", "search_grams", "name_key", "email_key"} {
		require.NotContains(t, data(t, updated).After, internal)
	}
	require.Nil(t, data(t, events[2]).Before)
	admin.Must(t, 404, "GET", "/v1/customers/"+uuid.NewString()+"/events", nil)
}

func TestDeletionErasesWhatTheChangeLogKnows(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, apitest.Fields{"name": "Erased Person"})
	note := admin.Note(t, customer.Id, "secret note")
	admin.Must(t, 204, "DELETE", path(customer)+"/notes/"+note.Id.String(), nil)
	for _, event := range history(t, admin, customer) {
		if event.Resource.Kind == "note" {
			require.Nil(t, event.Data, "of a deleted note the text is gone")
		}
	}
	admin.Note(t, customer.Id, "another note")
	remove(t, admin, customer)
	events := history(t, admin, customer)
	require.Equal(t, "customer.deleted", events[0].Type)
	require.Len(t, events, 5)
	for _, event := range events {
		require.Nil(t, event.Data, event.Type)
	}
	var rest int
	require.NoError(t, s.DB.QueryRow(t.Context(),
		`SELECT count(*) FROM events WHERE data::text ~ 'Erased Person|secret note|another note'`).Scan(&rest))
	require.Zero(t, rest)
}

func TestEventsShowOnlyWhatTheCallerMayRead(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer)
	admin.Customer(t, nil)
	kinds := func(caller *apitest.Caller) map[string]bool {
		var feed openapi.EventFeed
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			caller.Must(t, 200, "GET", "/v1/events", nil).JSON(t, &feed)
			require.NotEmpty(c, feed.Data)
		}, 5*time.Second, 20*time.Millisecond)
		found := map[string]bool{}
		for _, event := range feed.Data {
			found[event.Resource.Kind] = true
		}
		return found
	}
	require.Equal(t, map[string]bool{"customer": true}, kinds(viewer))
	require.Equal(t, map[string]bool{"customer": true, "staff": true}, kinds(admin))
}

func TestFeedFromNow(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	admin.Customer(t, nil)
	time.Sleep(200 * time.Millisecond) // until the event has its place
	var feed openapi.EventFeed
	end := admin.Must(t, 200, "GET", "/v1/events?from=now", nil)
	end.JSON(t, &feed)
	require.Empty(t, feed.Data)
	require.Empty(t, end.Header.Get("Link"), "who follows links comes to an end")
	require.NotEmpty(t, admin.Must(t, 200, "GET", "/v1/events?limit=1", nil).Header.Get("Link"))
	admin.Must(t, 400, "GET", "/v1/events?from=now&cursor="+feed.NextCursor, nil)
	customer := admin.Customer(t, nil)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var next openapi.EventFeed
		admin.Must(t, 200, "GET", "/v1/events?cursor="+feed.NextCursor, nil).JSON(t, &next)
		require.Len(c, next.Data, 1)
		require.Equal(c, customer.Id, next.Data[0].Resource.Id)
	}, 5*time.Second, 20*time.Millisecond)
}

// Writers commit in another order than they began, on two replicas, while a reader follows: it sees every event once,
// positions without gaps, and the events of each customer in the order of its versions.
func TestFeedNeitherSkipsNorReorders(t *testing.T) {
	t.Parallel()
	first := apitest.New(t)
	second := apitest.NewOn(t, first.DB.Config().ConnString())
	reader := first.Staff(t, access.Administrator)
	const writers, changes = 8, 15
	var done atomic.Bool
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			caller := []*apitest.Server{first, second}[w%2].Staff(t, access.Administrator)
			customer := caller.Customer(t, nil)
			for i := range changes {
				// Notes only share a lock on the customer; other customers' writers run beside.
				if i%5 == 4 {
					caller.Note(t, customer.Id, "note")
				} else {
					caller.Must(t, 200, "PATCH", path(customer), apitest.Fields{"phone": fmt.Sprint(i)})
				}
			}
		})
	}
	go func() { group.Wait(); done.Store(true) }()

	cursor, position := "", int64(0)
	versions := map[uuid.UUID]int64{}
	seen, idle := 0, 0
	for idle < 10 {
		if done.Load() {
			idle++
			time.Sleep(50 * time.Millisecond)
		}
		var feed openapi.EventFeed
		reader.Must(t, 200, "GET", "/v1/events?limit=7"+cursor, nil).JSON(t, &feed)
		for _, event := range feed.Data {
			position++
			require.Equal(t, position, *event.Position, "no gaps, nothing twice")
			if event.Resource.Kind == "customer" {
				versions[event.Resource.Id]++
				require.Equal(t, versions[event.Resource.Id], event.Version)
			}
			seen++
			idle = 0
		}
		cursor = "&cursor=" + feed.NextCursor
	}
	var written int
	require.NoError(t, first.DB.QueryRow(t.Context(), `SELECT count(*) FROM events`).Scan(&written))
	require.Equal(t, written, seen)
	require.Equal(t, writers*(changes+1)+writers+1, seen)
}
