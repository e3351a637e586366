package bench

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	// clients is how many connections ask at once, and poolSize how many each server has to the database.
	clients  = 16
	poolSize = 16

	roundLength = 200 * time.Millisecond
	// minRounds is how many pairs of rounds there are at least; -benchtime asks for more.
	minRounds = 30
)

// side is one of two things that are compared: a server and the load that is put on it.
type side struct {
	name        string // of the metric that its throughput is reported as
	connections []*connection
	requests    requests
	status      int    // that every answer has
	rest        func() // waits for what is left to do after a round; nil for nothing
	perSecond   []float64
	seed        uint64
}

func newSide(b testing.TB, name, addr string, status int, requests requests) *side {
	s := &side{name: name, requests: requests, status: status}
	for range clients {
		s.connections = append(s.connections, dial(b, addr))
	}
	return s
}

// round asks for as long as a round takes and gives how many requests a second were answered.
func (s *side) round() (float64, error) {
	runtime.GC() // nobody pays for what the other side left behind
	var group sync.WaitGroup
	counts := make([]int, len(s.connections))
	errs := make([]error, len(s.connections))
	started := time.Now()
	for i, c := range s.connections {
		s.seed++
		random := rand.New(rand.NewPCG(s.seed, 0))
		group.Go(func() {
			var buffer []byte
			for time.Since(started) < roundLength && errs[i] == nil {
				buffer = s.requests(random, buffer)
				errs[i] = c.expect(s.status, buffer)
				counts[i]++
			}
		})
	}
	group.Wait()
	took := time.Since(started)
	total := 0
	for _, count := range counts {
		total += count
	}
	if s.rest != nil {
		s.rest()
	}
	return float64(total) / took.Seconds(), errors.Join(errs...)
}

// compare lets product and reference take turns, and reports both throughputs and the median of the ratios of each pair
// of rounds. What else the machine does falls on neighbours alike.
func compare(b *testing.B, product, reference *side) {
	b.Helper()
	var ratios []float64
	play := func(s *side) {
		perSecond, err := s.round()
		if err != nil {
			b.Fatal(err)
		}
		s.perSecond = append(s.perSecond, perSecond)
	}
	pair := func() {
		first, second := product, reference
		if len(ratios)%2 == 1 {
			first, second = second, first
		}
		play(first)
		play(second)
		ratios = append(ratios, last(product.perSecond)/last(reference.perSecond))
	}
	for range 3 { // connections, statements and caches are made
		pair()
	}
	ratios, product.perSecond, reference.perSecond = nil, nil, nil
	for b.Loop() {
		pair()
	}
	for len(ratios) < minRounds {
		pair()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(product.perSecond), product.name+"/s")
	b.ReportMetric(median(reference.perSecond), reference.name+"/s")
	b.ReportMetric(median(ratios), "ratio")
	b.Logf("%d pairs of rounds, ratio %.3f, half of them between %.3f and %.3f",
		len(ratios), median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75))
}

func last[T any](values []T) T { return values[len(values)-1] }

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}
