package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// signIns is how many sign in at once.
	signIns = 20
	// readEvery is how often each of the other clients reads: they ask for a tenth of what the program can do, so that
	// what they wait for is not each other.
	readEvery = 10 * time.Millisecond

	readRound = time.Second
	// minReadRounds is how many pairs of rounds there are at least; -benchtime asks for more.
	minReadRounds = 10

	adminEmail = "grace@example.com"
	password   = "four words are better"
)

// BenchmarkSignIns reads one customer while many people sign in to the portal all the time and while nobody does, in
// turns, and compares the median latencies of the reads. Those who sign in have a login each or one together. The
// program is the one that is built, in a process of its own, so that its memory is known: on Linux only.
func BenchmarkSignIns(b *testing.B) {
	p := buildProgram(b)
	logins, customers := make([]string, signIns+1), make([]string, signIns+1)
	run := func(b *testing.B, do func(running process, admin *connection, token string)) {
		p.run(b, func(running process) {
			admin := dial(b, running.addr)
			do(running, admin, admin.signIn(b, "staff", adminEmail))
		}, "CLIENTELE_ADMIN_EMAIL="+adminEmail, "CLIENTELE_ADMIN_PASSWORD="+password)
	}
	run(b, func(_ process, admin *connection, token string) {
		for i := range logins {
			logins[i] = fmt.Sprintf("person-%d@example.com", i)
			customers[i] = admin.createWithLogin(b, token, logins[i])
		}
	})
	of := func(logins []string) func(b *testing.B) {
		return func(b *testing.B) {
			run(b, func(running process, admin *connection, token string) {
				// A login has room for so many tries at once only where it has signed in before.
				admin.signIn(b, "portal", logins[0])
				// The last customer is one whose login nobody uses.
				read := request(nil, http.MethodGet, "/v1/customers/"+customers[signIns], token, nil)
				compareReading(b, running, read, newRush(b, running.addr, logins))
			})
		}
	}
	b.Run("logins=many", of(logins[:signIns]))
	b.Run("logins=one", of(logins[:1]))
}

// compareReading measures the reading with and without the rush.
func compareReading(b *testing.B, running process, read []byte, rush *rush) {
	b.Helper()
	var readers []*connection
	for range clients {
		readers = append(readers, dial(b, running.addr))
	}
	var with, without, ratios []float64
	var signedIn, seconds float64
	pair := func() {
		quiet := readRegularly(b, readers, read)
		stop := rush.start()
		before, started := rush.count.Load(), time.Now()
		busy := readRegularly(b, readers, read)
		signedIn += float64(rush.count.Load() - before)
		seconds += time.Since(started).Seconds()
		must(b, stop())
		with, without = append(with, busy...), append(without, quiet...)
		ratios = append(ratios, median(busy)/median(quiet))
	}
	pair() // connections, statements and caches are made
	with, without, ratios, signedIn, seconds = nil, nil, nil, 0, 0
	for b.Loop() {
		pair()
	}
	for len(ratios) < minReadRounds {
		pair()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(with)*1e6, "µs-with")
	b.ReportMetric(median(without)*1e6, "µs-without")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(signedIn/seconds, "sign-ins/s")
	if megabytes, ok := running.memory(b, "VmHWM"); ok {
		b.ReportMetric(megabytes, "MB-peak")
	}
	b.Logf("%d pairs of rounds, ratio %.2f, half of them between %.2f and %.2f; of a hundred reads, 99 take less than "+
		"%.1f ms, without sign-ins %.1f ms", len(ratios), median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75),
		quantile(with, 0.99)*1e3, quantile(without, 0.99)*1e3)
}

// readRegularly lets all connections read for a round and gives what each read took, in seconds. A read that is late
// because the one before took too long has taken its delay, too: who is kept waiting must not count for less.
func readRegularly(b testing.TB, readers []*connection, read []byte) []float64 {
	b.Helper()
	var group sync.WaitGroup
	took := make([][]float64, len(readers))
	errs := make([]error, len(readers))
	started := time.Now()
	for i, c := range readers {
		first := started.Add(readEvery / time.Duration(len(readers)) * time.Duration(i))
		group.Go(func() {
			for n := range int(readRound / readEvery) {
				from := first.Add(readEvery * time.Duration(n))
				if wait := time.Until(from); wait > 0 {
					time.Sleep(wait)
					from = time.Now()
				}
				if errs[i] = c.expect(http.StatusOK, read); errs[i] != nil {
					return
				}
				took[i] = append(took[i], time.Since(from).Seconds())
			}
		})
	}
	group.Wait()
	must(b, errors.Join(errs...))
	return slices.Concat(took...)
}

// rush is many who sign in at once, each again as soon as it has.
type rush struct {
	connections []*connection
	requests    [][]byte
	count       atomic.Int64 // of those who have signed in
}

func newRush(b testing.TB, addr string, logins []string) *rush {
	b.Helper()
	r := &rush{}
	for i := range signIns {
		r.connections = append(r.connections, dial(b, addr))
		r.requests = append(r.requests, signInRequest("portal", logins[i%len(logins)]))
	}
	return r
}

// start returns when the first has signed in: by then all are at it. The function that it gives waits for the last.
func (r *rush) start() (stop func() error) {
	var group sync.WaitGroup
	var stopped atomic.Bool
	errs := make([]error, len(r.connections))
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	for i, c := range r.connections {
		group.Go(func() {
			defer begin()
			for !stopped.Load() {
				if errs[i] = c.expect(http.StatusOK, r.requests[i]); errs[i] != nil {
					return
				}
				r.count.Add(1)
				begin()
			}
		})
	}
	<-begun
	return func() error {
		stopped.Store(true)
		group.Wait()
		return errors.Join(errs...)
	}
}

func signInRequest(client, login string) []byte {
	form := url.Values{
		"grant_type": {"password"}, "client_id": {client}, "username": {login}, "password": {password},
	}.Encode()
	return fmt.Appendf(nil, "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)
}

// signIn signs in once, outside what is measured.
func (c *connection) signIn(b testing.TB, client, login string) (token string) {
	b.Helper()
	must(b, c.expect(http.StatusOK, signInRequest(client, login)))
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	must(b, json.Unmarshal(c.body, &granted))
	return granted.AccessToken
}

// createWithLogin makes a customer with a login.
func (c *connection) createWithLogin(b testing.TB, token, login string) (id string) {
	b.Helper()
	body := fmt.Appendf(nil, `{"name":"Katarzyna Lindstad","phone":"+48 22 5550123","company":"Lindstad Solar AB",`+
		`"properties":{"tier":"gold","score":4711},"identity":{"email":%q,"password":%q}}`, login, password)
	must(b, c.expect(http.StatusCreated, request(nil, http.MethodPost, "/v1/customers", token, body)))
	var customer struct{ ID string }
	must(b, json.Unmarshal(c.body, &customer))
	return customer.ID
}
