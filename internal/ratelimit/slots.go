package ratelimit

import (
	"sync"
	"time"

	"github.com/clientele-api/clientele/internal/fault"
)

// Slots bounds how many expensive requests are under way at once on this replica: of each credential, and of all. It is
// safe for concurrent use.
type Slots struct {
	each, all int

	mu    sync.Mutex
	taken map[string]int // by credential, of those that have any
	total int
}

// NewSlots makes Slots for so many of each credential and so many of all.
func NewSlots(each, all int) *Slots {
	return &Slots{each: each, all: all, taken: map[string]int{}}
}

// Take takes a slot for the credential, to be given back by release. It does not wait: with none left it gives a fault.
func (s *Slots) Take(credential string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.taken[credential] >= s.each:
		return nil, &fault.Error{
			Kind: fault.TooManyRequests, Code: "too_many_at_once", RetryAfter: 2 * time.Second,
			Detail: "There are too many such requests of yours under way. Wait until one of them has ended.",
		}
	case s.total >= s.all:
		return nil, &fault.Error{
			Kind: fault.Unavailable, Code: "busy", RetryAfter: 2 * time.Second,
			Detail: "There are too many such requests under way at once.",
		}
	}
	s.taken[credential]++
	s.total++
	return sync.OnceFunc(func() { s.release(credential) }), nil
}

func (s *Slots) release(credential string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.taken[credential]--; s.taken[credential] == 0 {
		delete(s.taken, credential)
	}
}
