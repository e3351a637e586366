// Command import-csv creates a customer for each row of a CSV file. It shows how a program works with the generated Go
// client: signing in and staying signed in, creating several customers at a time, and reading what the server says of
// those it refuses.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/clientele-api/clientele/gen/client"
)

// The codes that the program exits with.
const (
	exitDone    = 0 // every row is a customer now
	exitRefused = 1 // some are not; the report says why
	exitUnable  = 2 // nothing was tried: wrong flags, an unreadable file, no sign-in
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are the flags.
type settings struct {
	url, email, password string
	file                 string
	refusedFile          string
	delimiter            rune
	workers              int
	columns              columnFlags
	empty                listFlag
}

// run imports a file and gives the code to exit with.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	settings, err := parse(args, getenv, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	var outcome report
	if err == nil {
		outcome, err = importFile(ctx, settings, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "import-csv:", err)
		return exitUnable
	}
	if err := outcome.write(stdout, settings.refusedFile); err != nil {
		fmt.Fprintln(stderr, "import-csv:", err)
		return exitRefused
	}
	if len(outcome.refused) > 0 {
		return exitRefused
	}
	return exitDone
}

const usage = `import-csv creates a customer for each row of a CSV file.

  import-csv [flags] FILE

The first row names the columns. A column named like a field of a customer fills that field; -map sends it elsewhere.
All other columns become properties. Empty cells are left out.

`

// parse reads the flags. What is not given is taken from the environment, where it is safer: other users of a machine
// can see the arguments of a program.
func parse(args []string, getenv func(string) string, stderr io.Writer) (settings, error) {
	s := settings{columns: columnFlags{}}
	flags := flag.NewFlagSet("import-csv", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&s.url, "url", or(getenv("CLIENTELE_URL"), "http://127.0.0.1:8080"), "`URL` of the installation [CLIENTELE_URL]")
	flags.StringVar(&s.email, "email", getenv("CLIENTELE_EMAIL"), "`email` to sign in with [CLIENTELE_EMAIL]")
	password := flags.String("password", "", "`password` to sign in with, better given as [CLIENTELE_PASSWORD]")
	flags.Var(s.columns, "map", "`column=field`: where a column goes, a field, properties.KEY, or - for nowhere; repeatable")
	flags.Var(&s.empty, "empty", "`text` that stands for an empty cell, such as NULL; repeatable")
	delimiter := flags.String("delimiter", ",", "what separates cells, one `character`")
	flags.IntVar(&s.workers, "workers", 4, "how many customers are created at a time, a `number` from 1 to 32")
	flags.StringVar(&s.refusedFile, "refused", "", "`file` for the refused rows (default FILE's name with .refused.csv, in this folder)")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.password = or(*password, getenv("CLIENTELE_PASSWORD"))
	s.url = strings.TrimRight(s.url, "/")
	s.delimiter, _ = utf8.DecodeRuneInString(*delimiter)
	s.file = flags.Arg(0)
	address, err := url.Parse(s.url)
	switch {
	case flags.NArg() != 1:
		return s, errors.New("name one file, after the flags; see import-csv -help")
	case err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "":
		return s, errors.New("CLIENTELE_URL, or -url, must be an address such as https://clientele.example.com")
	case s.email == "" || s.password == "":
		return s, errors.New("set CLIENTELE_EMAIL and CLIENTELE_PASSWORD, or -email and -password")
	case utf8.RuneCountInString(*delimiter) != 1:
		return s, fmt.Errorf("-delimiter must be one character, not %q", *delimiter)
	case s.workers < 1 || s.workers > 32:
		return s, fmt.Errorf("-workers must be from 1 to 32, not %d", s.workers)
	}
	if s.refusedFile == "" {
		name := filepath.Base(s.file)
		s.refusedFile = strings.TrimSuffix(name, filepath.Ext(name)) + ".refused.csv"
	}
	return s, nil
}

// importFile reads the file twice: to see that it can be read and how long it is, then to import it.
func importFile(ctx context.Context, s settings, stderr io.Writer) (report, error) {
	rows, err := countRows(s)
	if err != nil {
		return report{}, err
	}
	file, err := os.Open(s.file)
	if err != nil {
		return report{}, err
	}
	defer file.Close()
	source, err := newSource(file, s)
	if err != nil {
		return report{}, err
	}
	calls := &caller{wait: sleep}
	api, err := client.NewClient(s.url, client.WithHTTPClient(&http.Client{Timeout: callTimeout}))
	if err != nil {
		return report{}, err
	}
	session := &session{api: api, calls: calls, email: s.email, password: s.password, now: time.Now}
	if _, err := session.token(ctx); err != nil {
		return report{}, fmt.Errorf("signing in at %s: %w", s.url, err)
	}
	bar := newBar(rows, stderr)
	importer := &importer{api: api, calls: calls, session: session, done: func() { _ = bar.Add(1) }}
	return importer.run(ctx, source, s.workers), nil
}

func countRows(s settings) (int, error) {
	file, err := os.Open(s.file)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	source, err := newSource(file, s)
	if err != nil {
		return 0, err
	}
	rows := 0
	for range source.rows() {
		rows++
	}
	return rows, source.err
}

// newBar makes a progress bar that shows itself on terminals only.
func newBar(rows int, stderr io.Writer) *progressbar.ProgressBar {
	file, isFile := stderr.(*os.File)
	return progressbar.NewOptions(rows,
		progressbar.OptionSetWriter(stderr),
		progressbar.OptionSetVisibility(isFile && term.IsTerminal(int(file.Fd()))),
		progressbar.OptionSetDescription("importing"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("rows"),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(stderr) }),
	)
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
