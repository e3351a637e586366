package dbtest

import (
	"context"
	"errors"
	"testing"

	"github.com/clientele-api/clientele/internal/postgres/embedded"
)

// PrivateServer is a server of one test's own, which the test can take away
// and bring back. It is removed at the test's end.
type PrivateServer struct {
	run     *run
	current *embedded.Server // nil while stopped
	url     string
}

// Server starts a server for t alone, with one migrated database. It takes
// some tenths of a second: for tests about a database that is away.
func Server(t testing.TB) *PrivateServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	s, err := startServer(ctx)
	if err != nil {
		t.Fatalf("no test database: %v", err)
	}
	p := &PrivateServer{run: s.run, current: s.embedded}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(p.stop(ctx), p.run.remove(ctx)); err != nil {
			t.Errorf("removing the private server: %v", err)
		}
	})
	name := databaseName(t.Name(), databases.Add(1))
	err = s.clone(name)
	if s.admin != nil {
		_ = s.admin.Close(ctx) // its work is done
	}
	if err != nil {
		t.Fatalf("making the test's database: %v", err)
	}
	p.url = databaseURL(s.embedded.URL(), name)
	return p
}

// URL is the connection string of the server's database, the same after a
// restart.
func (p *PrivateServer) URL() string { return p.url }

// Stop ends all connections and the server.
func (p *PrivateServer) Stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.stop(ctx); err != nil {
		t.Fatalf("stopping the private server: %v", err)
	}
}

// Start brings a stopped server back, with its data.
func (p *PrivateServer) Start(t testing.TB) {
	t.Helper()
	if p.current != nil {
		t.Fatal("the private server runs already")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	started, err := embedded.Start(ctx, options(p.run.dir))
	if err != nil {
		t.Fatalf("starting the private server again: %v", err)
	}
	p.current = started
}

func (p *PrivateServer) stop(ctx context.Context) error {
	if p.current == nil {
		return nil
	}
	defer func() { p.current = nil }()
	return p.current.Stop(ctx)
}
