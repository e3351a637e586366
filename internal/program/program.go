// Package program is the command line: it reads what it is asked for, puts the parts together and runs them. It is the
// one place that knows all of them; nothing imports it but main and the tests that run the whole.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/term"

	"github.com/clientele-api/clientele/internal/config"
)

// Version of the program, as of the contract.
const Version = "0.1.0"

// Environment is what the program gets from outside.
type Environment struct {
	Args   []string // without the program's name
	Getenv func(string) string
	Stdin  *os.File
	Stdout io.Writer // what the command answers
	Stderr io.Writer // the log, and help
}

const usage = `Clientele keeps customers, behind one API.

  clientele [serve] [flags]                 start the API; applies migrations first
  clientele migrate up|down|status          migrations alone
  clientele staff create --email E --role R create a staff account
  clientele keys rotate                     make a new key for signing tokens
  clientele import customers FILE [flags]   import customers from CSV or lines of JSON
  clientele import domains FILE --customer ID [flags]
  clientele database [flags] COMMAND …      run pg_dump, pg_restore or psql on the embedded database
  clientele version                         version, commit and Go version

Every command takes the settings as environment variables or flags; clientele serve --help lists them.
`

// Run runs the command until it is done or the context ends, and gives the code to exit with.
func Run(ctx context.Context, env Environment) int {
	err := dispatch(ctx, env)
	var wrong *config.Error
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &wrong), errors.Is(err, errUsage):
		fmt.Fprintln(env.Stderr, "clientele:", err)
		return 2
	case isUnmigrated(err):
		fmt.Fprintln(env.Stderr, "clientele: the database has not been migrated; start the server, or run clientele migrate up")
		return 1
	default:
		fmt.Fprintln(env.Stderr, "clientele:", err)
		return 1
	}
}

// isUnmigrated tells whether a table is missing.
func isUnmigrated(err error) bool {
	const undefinedTable = "42P01"
	var missing *pgconn.PgError
	return errors.As(err, &missing) && missing.Code == undefinedTable
}

var errUsage = errors.New("unknown command; see clientele --help")

func dispatch(ctx context.Context, env Environment) error {
	args := env.Args
	command, subcommand := "serve", ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	if command == "migrate" || command == "staff" || command == "keys" || command == "import" {
		if len(args) == 0 {
			return errUsage
		}
		subcommand, args = args[0], args[1:]
	}
	switch command + " " + subcommand {
	case "serve ":
		return serve(ctx, env, args)
	case "migrate up", "migrate down", "migrate status":
		return migrate(ctx, env, subcommand, args)
	case "staff create":
		return createStaff(ctx, env, args)
	case "import customers", "import domains":
		return importFile(ctx, env, subcommand, args)
	case "keys rotate":
		return rotateKeys(ctx, env, args)
	case "database ":
		return runTool(ctx, env, args)
	case "version ":
		_, err := fmt.Fprintf(env.Stdout, "clientele %s, commit %s, %s\n", Version, commit(), runtime.Version())
		return err
	case "help ":
		_, err := io.WriteString(env.Stdout, usage)
		return err
	}
	return errUsage
}

// newFlags makes the flags of a command.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet("clientele "+name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong with them is told once, with everything else
	return flags
}

// load reads the settings of a command, or answers a call for help.
func load(env Environment, flags *flag.FlagSet, args []string) (config.Config, error) {
	settings, err := config.Load(flags, args, env.Getenv)
	return settings, helped(env, flags, err)
}

// helped shows the help that was asked for.
func helped(env Environment, flags *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(env.Stdout, usage, "\nFlags of ", flags.Name(), ":\n")
		flags.SetOutput(env.Stdout)
		flags.PrintDefaults()
	}
	return err
}

func newLog(env Environment, settings config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: settings.LogLevel}
	format := settings.LogFormat
	if file, ok := env.Stderr.(*os.File); format == "" && ok && term.IsTerminal(int(file.Fd())) {
		format = "text"
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(env.Stderr, options))
	}
	return slog.New(slog.NewJSONHandler(env.Stderr, options))
}

func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return "unknown"
}
