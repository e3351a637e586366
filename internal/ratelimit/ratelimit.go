// Package ratelimit keeps single callers from taking the whole service: it counts the requests of each credential, for
// all replicas together, and how many expensive ones of it are under way on this one. It knows credentials by their names
// and nothing of requests; who calls it decides what counts.
//
// A request is judged by what this replica knows, without asking the database. Once a second replicas tell each other what
// they have counted, so that together they let through some more than the quota, for a second.
package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Window is the time that a quota is for. Windows begin with the minute, for all credentials.
const Window = time.Minute

// shareEvery is how often replicas tell each other what they have counted.
const shareEvery = time.Second

// Limiter counts the requests of credentials. It is safe for concurrent use.
type Limiter struct {
	db    *postgres.DB
	quota int64

	mu     sync.Mutex
	window time.Time
	counts map[string]*count // of the window; of those alone that have called in it
}

// count is how many requests a credential has made in the window.
type count struct {
	here   int64 // on this replica
	told   int64 // of these, the others know
	others int64 // on the other replicas, as far as they have told
}

// New makes a Limiter that lets each credential make so many requests in a window.
func New(database *postgres.DB, quota int64) *Limiter {
	return &Limiter{db: database, quota: quota, counts: map[string]*count{}}
}

// State is how a credential stands after a request.
type State struct {
	Quota     int64         // requests in a window
	Remaining int64         // requests that are left in this one
	Reset     time.Duration // until the next window
	Refused   bool          // whether the request was one too many, and was not counted
}

// Take counts a request of the credential, unless it is one too many.
func (l *Limiter) Take(credential string) State {
	now := l.db.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	counted := l.counts[credential]
	if counted == nil {
		counted = &count{}
		l.counts[credential] = counted
	}
	state := State{Quota: l.quota, Reset: l.window.Add(Window).Sub(now)}
	if counted.here+counted.others >= l.quota {
		state.Refused = true
		return state
	}
	counted.here++
	state.Remaining = l.quota - counted.here - counted.others
	return state
}

// turn begins a new window when the present one is over.
func (l *Limiter) turn(now time.Time) {
	if window := now.Truncate(Window); !window.Equal(l.window) {
		l.window, l.counts = window, map[string]*count{}
	}
}

// Fault is what a caller is told whose request was one too many.
func (s State) Fault() error {
	return &fault.Error{
		Kind: fault.TooManyRequests, Code: "rate_limited", RetryAfter: s.Reset,
		Detail: fmt.Sprintf("There may be %d requests a minute. The next minute begins soon.", s.Quota),
	}
}

// Run tells the other replicas what this one counts, and learns what they do, until the context ends. Without the database
// each replica goes on with what it knows.
func (l *Limiter) Run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(shareEvery)
	defer ticker.Stop()
	var swept time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		window, err := l.share(ctx)
		if err == nil && !window.IsZero() && !window.Equal(swept) {
			swept = window
			err = db.New().RequestCountDeleteBefore(ctx, l.db, window.Add(-Window))
		}
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "requests could not be counted together with other replicas", "error", err)
		}
	}
}

// share tells what is not told yet, and gives the window that it belongs to; nothing is asked when there is nothing to tell.
func (l *Limiter) share(ctx context.Context) (window time.Time, err error) {
	window, untold := l.untold()
	if len(untold) == 0 {
		return time.Time{}, nil
	}
	credentials := slices.Sorted(maps.Keys(untold))
	requests := make([]int64, len(credentials))
	for i, credential := range credentials {
		requests[i] = untold[credential]
	}
	rows, err := db.New().RequestCountAddAll(ctx, l.db, credentials, window, requests)
	if err != nil {
		return window, fmt.Errorf("adding counts: %w", err)
	}
	l.learn(window, untold, rows)
	return window, nil
}

func (l *Limiter) untold() (window time.Time, untold map[string]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(l.db.Now())
	untold = map[string]int64{}
	for credential, counted := range l.counts {
		if counted.here > counted.told {
			untold[credential] = counted.here - counted.told
		}
	}
	return l.window, untold
}

// learn takes in what all replicas together have counted, unless the window is over meanwhile.
func (l *Limiter) learn(window time.Time, told map[string]int64, rows []db.RequestCountAddAllRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !window.Equal(l.window) {
		return
	}
	for _, row := range rows {
		counted := l.counts[row.Credential]
		if counted == nil { // the clock was put forward and back
			continue
		}
		counted.told += told[row.Credential]
		counted.others = max(0, row.Requests-counted.told)
	}
}
