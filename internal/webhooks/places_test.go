package webhooks

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	var p places
	busy, other := uuid.New(), uuid.New()
	var all []*place
	for range atOncePerEndpoint {
		taken, _ := p.take(t.Context(), busy, false)
		require.NotNil(t, taken)
		all = append(all, taken)
	}
	taken, later := p.take(t.Context(), busy, false)
	require.Nil(t, taken)
	require.GreaterOrEqual(t, later, leastPause)
	taken, _ = p.take(t.Context(), other, false)
	require.NotNil(t, taken, "another one does not wait for it")
	taken.free()

	// Who waits gets the first that is free.
	got := make(chan *place)
	go func() {
		for {
			if taken, _ := p.take(context.Background(), busy, false); taken != nil {
				got <- taken
				return
			}
		}
	}()
	all[0].free()
	all[0] = <-got
	for _, one := range all {
		one.sent(attempt{took: time.Millisecond})
		one.free()
	}
	require.Empty(t, p.all)
}

// TestASlowEndpointHasFewPlaces, and what finds none is spread over the time that all of it takes.
func TestASlowEndpointHasFewPlaces(t *testing.T) {
	t.Parallel()
	var p places
	slow := uuid.New()
	first, _ := p.take(t.Context(), slow, false)
	first.sent(attempt{took: 15 * time.Second, failure: timedOut})
	var all []*place
	for range atOnceWhenSlow - 1 {
		taken, _ := p.take(t.Context(), slow, false)
		require.NotNil(t, taken)
		all = append(all, taken)
	}
	var last time.Duration
	for range 500 {
		taken, later := p.take(t.Context(), slow, false)
		require.Nil(t, taken)
		require.LessOrEqual(t, later, mostPause*3/2)
		last = later
	}
	require.Greater(t, last, mostPause/2)
	first.sent(attempt{took: time.Millisecond})
	taken, _ := p.take(t.Context(), slow, true)
	require.NotNil(t, taken, "it is not slow any more")
	for _, one := range append(all, first, taken) {
		one.free()
	}
	failing, _ := p.take(t.Context(), uuid.New(), true)
	failing.free()
}
