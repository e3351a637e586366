package bench

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clientele-api/clientele/api"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/background"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/tokens"
	"github.com/clientele-api/clientele/internal/webhooks"
)

// product is the API as the program serves it.
type product struct {
	addr      string
	db        *postgres.DB
	authority *tokens.Authority
	queue     *queue.Queue // whose jobs nobody works, unless the benchmark has it
}

// newProduct serves the API over a database as the program does: with all that runs beside it, which has a small pool of
// its own. The statements of requests are shown to the tracer, which may be nil.
func newProduct(b testing.TB, databaseURL string, tracer pgx.QueryTracer) *product {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(b.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	p := &product{db: openDB(b, databaseURL, tracer)}
	upkeep, err := postgres.Open(ctx, databaseURL, time.Now, postgres.Conns(3))
	must(b, err)
	b.Cleanup(upkeep.Close)
	var running sync.WaitGroup
	b.Cleanup(func() { // before the pools are closed
		stop()
		running.Wait()
	})
	keyring, err := secrets.Parse("a secret key that is only for benchmarks")
	must(b, err)
	p.authority, err = tokens.NewAuthority(ctx, upkeep, keyring, "http://localhost", log)
	must(b, err)
	texts, err := messages.Load("")
	must(b, err)
	store, err := blobs.New(ctx, p.db, blobs.FileURL(b.TempDir()))
	must(b, err)
	loaded, err := contract.Load(openapi.Spec)
	must(b, err)
	work, err := background.New(background.Options{
		DB: p.db, Blobs: store, Keyring: keyring, Texts: texts, Contract: loaded, Log: log,
		Webhooks: webhooks.NewSender(webhooks.SenderOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
	})
	must(b, err)
	p.queue = work.Queue
	sequencer := events.NewSequencer(upkeep, log)
	handler, err := api.New(api.Options{
		DB: p.db, Authority: p.authority, Keyring: keyring, Hasher: passwords.NewHasher(),
		Activation: work.Activation, Operations: work.Operations, Contract: loaded, Blobs: store, Exports: exports.NewSnapshots(p.db, 5*time.Second), Log: log,
		Webhooks: work.Webhooks, Sequencer: sequencer,
	})
	must(b, err)
	running.Go(func() { p.authority.Follow(ctx) })
	running.Go(func() { sequencer.Run(ctx) })
	running.Go(func() { work.Webhooks.Follow(ctx, upkeep, sequencer) })
	p.addr = serve(b, handler)
	return p
}

// token issues a token of an administrator. It is good for ten minutes, which bounds -benchtime.
func (p *product) token(b testing.TB) string {
	b.Helper()
	token, err := p.authority.Issue(context.Background(), &access.Principal{
		Kind: access.KindStaff, ID: uuid.Must(uuid.NewV7()), Name: "Grace Hopper", SessionID: uuid.Must(uuid.NewV7()),
		Epoch: 1, Scopes: access.Administrator.Scopes(),
	}, "staff")
	must(b, err)
	return token
}

// settled waits until every event has its place.
func (p *product) settled(b testing.TB) {
	b.Helper()
	for {
		var open bool
		err := p.db.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM events WHERE position IS NULL)").Scan(&open)
		must(b, err)
		if !open {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// poolURL asks for a pool of the size that all servers here have.
func poolURL(b testing.TB, databaseURL string) string {
	b.Helper()
	parsed, err := url.Parse(databaseURL)
	must(b, err)
	query := parsed.Query()
	query.Set("pool_max_conns", strconv.Itoa(poolSize))
	parsed.RawQuery = query.Encode()
	return parsed.String()
}

// openDB opens a pool as the program does.
func openDB(b testing.TB, databaseURL string, tracer pgx.QueryTracer) *postgres.DB {
	b.Helper()
	ctx := context.Background()
	db, err := postgres.Open(ctx, poolURL(b, databaseURL), time.Now)
	must(b, err)
	if tracer != nil {
		config := db.Config()
		db.Close()
		config.ConnConfig.Tracer = tracer
		pool, err := pgxpool.NewWithConfig(ctx, config)
		must(b, err)
		db = postgres.New(pool, time.Now)
	}
	b.Cleanup(db.Close)
	return db
}

// serve serves the handler on a free port, with the limits that the program has, until the benchmark ends.
func serve(b testing.TB, handler http.Handler) (addr string) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	b.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	return listener.Addr().String()
}

func must(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
