// Package embedded runs a PostgreSQL server as a child process, for an
// installation that was given no database of its own. It finds or downloads
// the binaries, makes the cluster, starts the server on a private socket, and
// sees to it that the server never outlives the program for long, whatever
// ends the program.
//
// It must not know what is in the database: it runs no migration and makes
// nothing but the empty database. It must never signal a process or remove a
// lock that it has not shown to be its own.
package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

const (
	// DatabaseName is the database that every started server has.
	DatabaseName = "clientele"
	// superuser is the role the cluster belongs to, and the only one in it.
	superuser = "clientele"
	// port numbers the socket's file; nothing listens on the network.
	port = "5432"
)

// Options says where the data lies and how the server runs. DataDir is the
// only field without a default.
type Options struct {
	// DataDir is the program's data directory. It is made when it is missing;
	// the cluster goes into a folder of it, see Server.DataDir for the
	// exception.
	DataDir string
	// Log receives what an operator should know. Nil means silence.
	Log *slog.Logger
	// Settings are further server settings by name, stronger than the built-in
	// ones.
	Settings map[string]string
	// Disposable trades all durability for speed, for data that need not
	// survive the machine: no fsync anywhere, and the server drops everything
	// at once when the program dies.
	Disposable bool

	hooks hooks
}

// hooks are what tests replace; their zero value is production.
type hooks struct {
	noNamespace   bool          // behave as if user namespaces were forbidden
	noDeathSignal bool          // behave like a system whose kernel does not stop orphans
	dropTo        []string      // users to drop to, instead of postgres and nobody
	fallbackRoot  string        // instead of /var/lib/clientele
	binDirs       []string      // where to look for a server, instead of everywhere
	repositoryURL string        // where to download from
	patience      time.Duration // how long Start waits for a command to end
	joinWait      time.Duration // how long Join waits for a server to come up
	grace         time.Duration // how long a fast shutdown may take
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &o.hooks
	if h.dropTo == nil {
		h.dropTo = []string{"postgres", "nobody"}
	}
	if h.fallbackRoot == "" {
		h.fallbackRoot = "/var/lib/clientele"
	}
	if h.patience == 0 {
		h.patience = 5 * time.Second
	}
	if h.joinWait == 0 {
		h.joinWait = 30 * time.Second
	}
	if h.grace == 0 {
		h.grace = 30 * time.Second
	}
	return o
}

// Server is a running PostgreSQL server: a child of this process, or one that
// another process of the program runs and this one may use.
type Server struct {
	dataDir string
	url     string
	done    chan struct{}
	err     error // written before done is closed
	stop    func(context.Context) error
}

// Start runs the server of o.DataDir as this process's own, for the process
// that serves. While another process serves from that directory it returns an
// *InUseError at once; while a command has the server for itself it waits a
// few seconds first. What a crashed process left behind is cleaned up.
// When ctx ends before Start has returned, nothing is left running; ctx has
// no say afterwards.
func Start(ctx context.Context, o Options) (*Server, error) {
	return start(ctx, o.withDefaults())
}

// Join gives access to the server of o.DataDir for the length of a command:
// to the one that another process runs, waiting up to 30 s for one that is
// just starting, or else to one of its own, which other commands may then
// join.
func Join(ctx context.Context, o Options) (*Server, error) {
	return join(ctx, o.withDefaults())
}

// Remove deletes o.DataDir with all that it holds, and what belongs to it
// elsewhere, after stopping a server that a dead process left running there.
// It returns an *InUseError while a live process owns the directory.
func Remove(ctx context.Context, o Options) error {
	return remove(ctx, o.withDefaults())
}

// URL is the connection string of the database, over the private socket.
func (s *Server) URL() string { return s.url }

// DataDir is the directory in which the cluster really lies (as its folder
// "postgres"): Options.DataDir, made absolute, unless the program runs as
// root and the user the server has to run as cannot enter that one; then it
// is a directory of /var/lib/clientele.
func (s *Server) DataDir() string { return s.dataDir }

// Done is closed when the server has ended. For a server that another process
// runs it is never closed: queries then tell.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says, once Done is closed, why the server ended without being asked to;
// nil when Stop ended it, and before.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stop shuts the server down, ending its connections, and waits until it is
// gone; a server that another process runs is merely let go. A command's
// server first waits for the commands that joined it. When ctx ends, or after
// 30 s of shutting down, the server is made to quit without a checkpoint: no
// data is lost, the next start recovers. Further calls wait for the first and
// return the same.
func (s *Server) Stop(ctx context.Context) error { return s.stop(ctx) }

// InUseError says that a live process of the program owns the data directory.
type InUseError struct {
	DataDir string
	PID     int       // 0 when the owner has not said yet
	Since   time.Time // zero with PID
	Command bool      // the owner is a command, not a serving process
}

// Error names the owner and the ways out.
func (e *InUseError) Error() string {
	who := "another process of the program"
	if e.PID != 0 {
		kind := "server"
		if e.Command {
			kind = "command"
		}
		who = fmt.Sprintf("a running %s (pid %d, since %s)", kind, e.PID, e.Since.Format(time.RFC3339))
	}
	return fmt.Sprintf("the data directory %s is in use by %s: stop it, or set CLIENTELE_DATA_DIR to another directory", e.DataDir, who)
}

// socketURL is the connection string of one database of the server that
// listens in socketDir. Blanks become %20: libpq does not take + for one.
func socketURL(socketDir, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(superuser),
		Path:     "/" + database,
		RawQuery: "host=" + url.PathEscape(socketDir) + "&port=" + port,
	}
	return u.String()
}
