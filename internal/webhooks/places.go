package webhooks

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
)

// A replica makes some requests to an endpoint at a time, and fewer to one that is slow or where nothing arrives, so that
// the others do not wait for it, however much is to be sent to it.
const (
	atOncePerEndpoint = 16
	atOnceWhenSlow    = 3
	slowFrom          = time.Second // that a request takes

	// waitersPerEndpoint is how many jobs may wait for a place, for placeTime: where requests are quick that is soon. All
	// others come back later, spread over the time that those before them are likely to take.
	waitersPerEndpoint = 8
	placeTime          = 100 * time.Millisecond
	leastPause         = time.Second
	mostPause          = 10 * time.Minute
)

// places are the requests that a replica makes to each endpoint. The zero value has none.
type places struct {
	mu  sync.Mutex
	all map[uuid.UUID]*endpointPlaces
}

type endpointPlaces struct {
	taken, waiting int
	slow           bool
	took           time.Duration // the last request
	last           time.Time     // when a place was given back last
	freed          chan struct{} // closed, and another one, when a place is free again
	next           time.Time     // when who comes now is to come back
}

// place is one that is taken.
type place struct {
	all *places
	id  uuid.UUID // of the endpoint
	of  *endpointPlaces
}

// take gives a place, or when to come back. It waits a moment where that is likely to help.
func (p *places) take(ctx context.Context, endpointID uuid.UUID, failing bool) (taken *place, later time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[endpointID]
	if one == nil {
		one = &endpointPlaces{slow: failing, last: time.Now(), freed: make(chan struct{})}
		if p.all == nil {
			p.all = map[uuid.UUID]*endpointPlaces{}
		}
		p.all[endpointID] = one
	}
	if one.taken >= one.places() && one.isQuick() && one.waiting < waitersPerEndpoint {
		p.await(ctx, one)
	}
	if one.taken >= one.places() {
		return nil, one.pause(time.Now())
	}
	one.taken++
	return &place{all: p, id: endpointID, of: one}, 0
}

// await waits until a place is free, or has waited long enough. The lock is let go meanwhile; who waits keeps the endpoint from
// being forgotten.
func (p *places) await(ctx context.Context, one *endpointPlaces) {
	one.waiting++
	timeout := time.NewTimer(placeTime)
	defer timeout.Stop()
	for waiting := true; waiting && one.taken >= one.places(); {
		freed := one.freed
		p.mu.Unlock()
		select {
		case <-freed:
		case <-timeout.C:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
		p.mu.Lock()
	}
	one.waiting--
}

// isQuick tells whether a place is likely to be free in a moment.
func (e *endpointPlaces) isQuick() bool { return !e.slow && time.Since(e.last) < slowFrom }

func (e *endpointPlaces) places() int {
	if e.slow {
		return atOnceWhenSlow
	}
	return atOncePerEndpoint
}

// pause gives when one more is to come back: after those who were told so before, at the pace of the requests.
func (e *endpointPlaces) pause(now time.Time) time.Duration {
	if e.next.Before(now) {
		e.next = now
	}
	if e.next.Sub(now) < mostPause {
		e.next = e.next.Add(max(e.took, now.Sub(e.last)) / time.Duration(e.places()))
	}
	pause := max(e.next.Sub(now), leastPause)
	return pause + rand.N(pause/4)
}

// sent notes what became of the request. By it the endpoint is slow, or not any more.
func (t *place) sent(made attempt) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.of.took = made.took
	t.of.slow = made.failure != "" || made.took >= slowFrom
}

// free gives the place back. Of an endpoint that is quick and has nothing under way nothing has to be remembered.
func (t *place) free() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	one := t.of
	one.taken--
	one.last = time.Now()
	close(one.freed)
	one.freed = make(chan struct{})
	if one.taken == 0 && one.waiting == 0 && !one.slow {
		delete(t.all.all, t.id)
	}
}
