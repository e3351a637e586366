package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/clientele-api/clientele/api"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/background"
	"github.com/clientele-api/clientele/internal/backups"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/config"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/mail"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/ratelimit"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/tokens"
	"github.com/clientele-api/clientele/internal/webhooks"
)

// shutdownTimeout is how long requests may take to end once the program is asked to.
const shutdownTimeout = 15 * time.Second

// upkeepConns is how many connections are kept from requests: one to follow revocations, one to put events in order, one
// to have them sent to webhooks, one to count requests.
const upkeepConns = 4

// exportConns is how many exports are under way at a time, exportWait how long another one waits for its turn.
const (
	exportConns = 4
	exportWait  = 5 * time.Second
)

func serve(ctx context.Context, env Environment, args []string) (err error) {
	flags := newFlags("serve")
	migrates := flags.Bool("migrate", true, "apply migrations first")
	settings, err := load(env, flags, args)
	if err != nil {
		return err
	}
	log := newLog(env, settings)
	// Whether the address is free is known at once; the database takes longer.
	listener, err := listen(ctx, settings.Addr)
	if err != nil {
		return fmt.Errorf("%w: stop what uses the address, or set CLIENTELE_ADDR to another", err)
	}
	defer listener.Close()
	found, err := openSource(ctx, settings, true, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.close()) }()
	if *migrates {
		if err := postgres.MigrateUp(ctx, found.url, log); err != nil {
			return err
		}
	}
	database, err := postgres.Open(ctx, found.url, time.Now)
	if err != nil {
		return err
	}
	defer database.Close()
	upkeep, err := postgres.Open(ctx, found.url, time.Now, postgres.Conns(upkeepConns))
	if err != nil {
		return err
	}
	defer upkeep.Close()
	exporting, err := postgres.Open(ctx, found.url, time.Now, postgres.Conns(exportConns))
	if err != nil {
		return err
	}
	defer exporting.Close()
	store, err := openBlobs(ctx, database, settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	letters, err := openMail(settings)
	if err != nil {
		return err
	}
	email, password, err := firstAdministrator(ctx, database, settings)
	if err != nil {
		return err
	}
	s := &server{
		settings: settings, log: log, database: database, upkeep: upkeep, exporting: exporting, url: found.url,
		store: store, letters: letters, ended: found.ended(),
	}
	return s.run(ctx, listener, func(url string) {
		ready := fmt.Sprintf("Clientele is ready at %s, its documentation at %s/docs.", url, url)
		if password != "" {
			ready += fmt.Sprintf(" Sign in as %s with the password %s, which is shown only now.", email, password)
		}
		fmt.Fprintln(env.Stdout, ready)
	})
}

func openBlobs(ctx context.Context, database *postgres.DB, settings config.Config) (*blobs.Store, error) {
	return blobs.New(ctx, database, cmp.Or(settings.BlobURL, blobs.FileURL(filepath.Join(settings.DataDir, "blobs"))))
}

// server is what runs while the API is served.
type server struct {
	settings  config.Config
	log       *slog.Logger
	database  *postgres.DB
	upkeep    *postgres.DB // for what must go on though requests keep every connection of the other pool busy
	exporting *postgres.DB // for exports, which slow readers hold for long
	url       string       // of the database, for the connections of the queue
	store     *blobs.Store
	letters   letters
	ended     <-chan struct{} // closed when the embedded database ends by itself
}

// run serves until the context ends or something fails that cannot be done without.
func (s *server) run(ctx context.Context, listener net.Listener, ready func(url string)) error {
	// What runs beside the requests goes on until the last of them is answered.
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()

	url := s.settings.PublicURL
	if url == "" {
		url = urlOf(listener.Addr())
	}
	keyring, err := openKeyring(ctx, s.database, s.settings)
	if err != nil {
		return err
	}
	authority, err := tokens.NewAuthority(ctx, s.upkeep, keyring, url, s.log)
	if err != nil {
		return err
	}
	loaded, err := contract.Load(openapi.Spec)
	if err != nil {
		return err
	}
	work, err := background.New(background.Options{
		DB: s.database, Blobs: s.store, Keyring: keyring, Texts: s.letters.texts, Sender: s.letters.sender, Contract: loaded,
		Webhooks: webhooks.NewSender(webhooks.SenderOptions{Allow: s.settings.WebhookAllow}),
		BaseURL:  cmp.Or(s.settings.PortalURL, url), Log: s.log,
	})
	if err != nil {
		return err
	}
	var limiter *ratelimit.Limiter
	if s.settings.RateLimit > 0 {
		limiter = ratelimit.New(s.upkeep, s.settings.RateLimit)
		running.Go(func() { limiter.Run(beside, s.log) })
	}
	sequencer := events.NewSequencer(s.upkeep, s.log)
	handler, metrics, err := s.handler(authority, keyring, work, limiter, sequencer, loaded)
	if err != nil {
		return err
	}
	failed := make(chan error, 3)
	running.Go(func() { authority.Follow(beside) })
	running.Go(func() { sequencer.Run(beside) })
	running.Go(func() { work.Webhooks.Follow(beside, s.upkeep, sequencer) })
	running.Go(func() { work.Operations.Resume(beside) })
	running.Go(func() {
		if err := work.Queue.Run(beside, s.url); err != nil {
			failed <- err
		}
	})

	main := newHTTPServer(handler, s.log, requestTimes)
	servers := []*http.Server{main}
	go func() { failed <- main.Serve(listener) }()
	s.log.InfoContext(ctx, "serving", "address", listener.Addr().String(), "url", url)
	if metrics != nil {
		metricsListener, err := listen(ctx, s.settings.MetricsAddr)
		if err != nil {
			return errors.Join(err, main.Close())
		}
		metricsServer := newHTTPServer(metrics, s.log, requestTimes)
		servers = append(servers, metricsServer)
		go func() { failed <- metricsServer.Serve(metricsListener) }()
		s.log.InfoContext(ctx, "serving metrics", "address", metricsListener.Addr().String())
	}
	ready(url)
	debug.FreeOSMemory() // starting, such as reading the contract, needs more than what comes after it

	select {
	case <-ctx.Done():
		err = nil
		s.log.InfoContext(ctx, "stopping: no new requests are taken, those that run may end", "within", shutdownTimeout.String())
	case err = <-failed:
	case <-s.ended:
		err = errors.New("the embedded database ended")
	}
	sequencer.EndWaiting()
	return errors.Join(err, shutDown(servers))
}

// letters is what mails need: their texts and, where a mail server is set, who sends them.
type letters struct {
	texts  *messages.Texts
	sender *mail.Sender
}

func openMail(settings config.Config) (letters, error) {
	texts, err := messages.Load(settings.TemplatesDir)
	if err != nil || settings.SMTPURL == "" {
		return letters{texts: texts}, err
	}
	sender, err := mail.NewSender(settings.SMTPURL, settings.MailFrom)
	return letters{texts: texts, sender: sender}, err
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return listener, nil
}

func shutDown(servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var errs []error
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("shutting down: %w", err), server.Close())
		}
	}
	return errors.Join(errs...)
}

func (s *server) handler(
	authority *tokens.Authority, keyring *secrets.Keyring, work background.Work, limiter *ratelimit.Limiter, sequencer *events.Sequencer,
	loaded *contract.Contract,
) (handler, metrics http.Handler, err error) {
	snapshots := exports.NewSnapshots(s.exporting, exportWait)
	backingUp, err := backups.New(backups.Options{
		DB: s.database, Snapshots: snapshots, Blobs: s.store, Contract: loaded, Version: Version, Log: s.log,
	})
	if err != nil {
		return nil, nil, err
	}
	options := api.Options{
		DB: s.database, Authority: authority, Keyring: keyring, Hasher: passwords.NewHasher(),
		Activation: work.Activation, Operations: work.Operations, Contract: loaded, Blobs: s.store,
		Exports: snapshots, Backups: backingUp, Limiter: limiter, Webhooks: work.Webhooks, Sequencer: sequencer,
		TermsRequired: s.settings.TermsRequired, TrustedProxies: s.settings.TrustedProxies,
		CORSOrigins: s.settings.CORSOrigins, Log: s.log,
	}
	if s.settings.MetricsAddr != "" {
		options.Metrics, metrics = s.metrics(work.Webhooks.Attempts())
	}
	handler, err = api.New(options)
	return handler, metrics, err
}

// times is how long the parts of a request may take.
type times struct {
	header time.Duration // until its header is there
	read   time.Duration // until its body is there too; also when nobody wants it, and it is read to be thrown away
	write  time.Duration // from the header on until it is answered
}

// requestTimes is for ordinary requests. Handlers that stream, whether to or from the client, lift both deadlines through
// http.ResponseController and set one of their own before each chunk.
var requestTimes = times{header: 10 * time.Second, read: 30 * time.Second, write: time.Minute}

func newHTTPServer(handler http.Handler, log *slog.Logger, limits times) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: limits.header,
		ReadTimeout:       limits.read,
		WriteTimeout:      limits.write,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// urlOf gives the URL at which the address is reached from this machine.
func urlOf(address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return "http://" + address.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
