package events

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

const (
	// placeInterval is how long an event waits for its place, at most, while a sequencer runs.
	placeInterval = 50 * time.Millisecond
	placeBatch    = 5000

	// maxHeaders is how many events are looked at for those who wait; of more at once, all of them look for themselves.
	maxHeaders = 2000
)

// Sequencer gives committed events their position in the feed. Every replica runs one; a lock lets one at a time through.
// Transactions commit in another order than they drew their sequence numbers in, so a reader that went by those would
// skip events; positions are given only to what has committed, and a reader that has seen a position has seen all before
// it.
//
// It also is the one of its replica that looks for news, for all who wait for some: what it reads anyway tells whether
// there are any, also such as another replica gave their positions.
type Sequencer struct {
	database *postgres.DB
	log      *slog.Logger

	mu      sync.Mutex
	last    int64         // position that is known
	moved   chan struct{} // closed when the last position is another one
	waiting map[*waiter]struct{}
	ended   bool // nobody waits any more
}

// waiter is a request that waits for events after a position that its filter lets through.
type waiter struct {
	filter Filter
	after  int64
	woken  chan struct{} // closed when there are such events, and when waiting ends
}

// NewSequencer makes a sequencer, which begins with Run.
func NewSequencer(database *postgres.DB, log *slog.Logger) *Sequencer {
	return &Sequencer{
		database: database, log: log, moved: make(chan struct{}), waiting: map[*waiter]struct{}{},
	}
}

// Run gives positions until the context ends.
func (s *Sequencer) Run(ctx context.Context) {
	ticker := time.NewTicker(placeInterval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := s.assignPositions(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			s.log.Warn("events get no position for now", "error", err)
		}
		failing = err != nil
	}
}

// assignPositions gives the events that have committed so far their positions, unless another sequencer is at it, and
// wakes whoever waits for them.
func (s *Sequencer) assignPositions(ctx context.Context) error {
	for {
		// Most of the time there is nothing to do, which one cheap look tells.
		state, err := db.New().EventFeedState(ctx, s.database)
		if err != nil {
			return err
		}
		s.tell(ctx, state.Last)
		if !state.Unplaced {
			return nil
		}
		var mine bool
		err = s.database.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) (err error) {
			mine, err = db.New().SequencerTryLock(ctx, tx)
			if err != nil || !mine {
				return err
			}
			_, err = db.New().EventPlace(ctx, tx, placeBatch)
			return err
		})
		if err != nil || !mine {
			return err
		}
	}
}

// tell wakes those who wait for the events up to the last position.
func (s *Sequencer) tell(ctx context.Context, last int64) {
	s.mu.Lock()
	before, anybody := s.last, len(s.waiting) > 0
	s.mu.Unlock()
	if last <= before {
		return
	}
	var headers []db.EventListHeadersRow
	known := true
	if anybody {
		var err error
		headers, err = db.New().EventListHeaders(ctx, s.database, before, maxHeaders)
		known = err == nil && len(headers) < maxHeaders
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
	close(s.moved)
	s.moved = make(chan struct{})
	for w := range s.waiting {
		if !known || !anybody || w.isAbout(headers) {
			s.wake(w)
		}
	}
}

func (w *waiter) isAbout(headers []db.EventListHeadersRow) bool {
	for _, header := range headers {
		if header.Position > w.after && w.filter.Lets(header) {
			return true
		}
	}
	return false
}

func (s *Sequencer) wake(w *waiter) {
	close(w.woken)
	delete(s.waiting, w)
}

// Moved waits until there are events after the position, and gives the last position then. It gives false when the
// context ends before.
func (s *Sequencer) Moved(ctx context.Context, after int64) (last int64, moved bool) {
	for {
		s.mu.Lock()
		last, news := s.last, s.moved
		s.mu.Unlock()
		if last > after {
			return last, true
		}
		select {
		case <-news:
		case <-ctx.Done():
			return last, false
		}
	}
}

// wait waits until there may be events after the position that the filter lets through, until the time is over, and not
// at all once waiting has ended. It tells whether it is worth looking.
func (s *Sequencer) wait(ctx context.Context, filter Filter, after int64, timeout <-chan time.Time) (bool, error) {
	w := &waiter{filter: filter, after: after, woken: make(chan struct{})}
	s.mu.Lock()
	switch {
	case s.ended:
		s.mu.Unlock()
		return false, nil
	case s.last > after: // between the look of who asks and now
		s.mu.Unlock()
		return true, nil
	}
	s.waiting[w] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, w)
		s.mu.Unlock()
	}()
	select {
	case <-w.woken:
		return true, nil
	case <-timeout:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// Waiting tells how many requests wait for events.
func (s *Sequencer) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

// EndWaiting has all who wait answered with what there is, and keeps others from waiting: the program is about to end.
func (s *Sequencer) EndWaiting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for w := range s.waiting {
		s.wake(w)
	}
}
