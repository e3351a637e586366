package ratelimit

import (
	"sync"
	"time"

	"github.com/clientele-api/clientele/internal/fault"
)

// Slots counts the requests of a kind that are under way at once on this replica. It is safe for concurrent use.
type Slots struct {
	mu    sync.Mutex
	taken map[string]int // by what they are of, where there are any
}

// Bound is how many requests of the same may be under way at once.
type Bound struct {
	Of     string // a credential, a customer, or a name for many of them
	Most   int
	Shared bool // with callers that the one who is refused has nothing to do with
}

// NewSlots makes Slots of which none is taken.
func NewSlots() *Slots { return &Slots{taken: map[string]int{}} }

// Take takes a slot within all of the bounds, to be given back by release. It does not wait: with none left it gives the
// fault of the first bound that is reached.
func (s *Slots) Take(bounds ...Bound) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, bound := range bounds {
		if s.taken[bound.Of] < bound.Most {
			continue
		}
		if bound.Shared {
			return nil, &fault.Error{
				Kind: fault.Unavailable, Code: "busy", RetryAfter: 2 * time.Second,
				Detail: "There are too many such requests under way at once.",
			}
		}
		return nil, &fault.Error{
			Kind: fault.TooManyRequests, Code: "too_many_at_once", RetryAfter: 2 * time.Second,
			Detail: "There are too many such requests of yours under way. Wait until one of them has ended.",
		}
	}
	for _, bound := range bounds {
		s.taken[bound.Of]++
	}
	return sync.OnceFunc(func() { s.release(bounds) }), nil
}

func (s *Slots) release(bounds []Bound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, bound := range bounds {
		if s.taken[bound.Of]--; s.taken[bound.Of] == 0 {
			delete(s.taken, bound.Of)
		}
	}
}
