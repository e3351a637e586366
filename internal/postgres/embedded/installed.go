//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// oldestMajor is the oldest PostgreSQL that the program's SQL runs on.
const oldestMajor = 15

// Installation is a set of PostgreSQL binaries on this machine.
type Installation struct {
	BinDir  string // holds postgres and initdb
	Version string // as the server states it, "15.18"
	Major   int
}

func (i Installation) postgres() string { return filepath.Join(i.BinDir, "postgres") }
func (i Installation) initdb() string   { return filepath.Join(i.BinDir, "initdb") }

// Installed finds an installed PostgreSQL server of a version the program can
// use: in PATH, through pg_config, or where packages put it.
func Installed(ctx context.Context) (Installation, error) {
	found, err := findInstalled(ctx, candidateDirs(ctx), 0)
	if err != nil {
		return Installation{}, fmt.Errorf("%w: %s", err, installHint)
	}
	return found, nil
}

const installHint = "install PostgreSQL 15 or newer, for example with `apt install postgresql`, or set CLIENTELE_DATABASE_URL"

// notFoundError says which servers are there when none of them will do.
type notFoundError struct {
	want int // major version of the existing cluster, 0 for any
	seen []Installation
}

func (e *notFoundError) Error() string {
	what := fmt.Sprintf("no PostgreSQL %d or newer was found on this machine", oldestMajor)
	if e.want != 0 {
		what = fmt.Sprintf("no PostgreSQL %d was found on this machine", e.want)
	}
	if len(e.seen) == 0 {
		return what
	}
	var versions []string
	for _, i := range e.seen {
		versions = append(versions, i.Version+" in "+i.BinDir)
	}
	return what + " (only " + strings.Join(versions, ", ") + ")"
}

// findInstalled returns the first server in dirs of major version want, or,
// when want is 0, the first that is new enough.
func findInstalled(ctx context.Context, dirs []string, want int) (Installation, error) {
	notFound := &notFoundError{want: want}
	for _, dir := range dirs {
		found, err := inspect(ctx, dir)
		switch {
		case ctx.Err() != nil:
			return Installation{}, ctx.Err()
		case err != nil:
			continue
		case want != 0 && found.Major == want, want == 0 && found.Major >= oldestMajor:
			return found, nil
		}
		notFound.seen = append(notFound.seen, found)
	}
	return Installation{}, notFound
}

var serverVersion = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// inspect asks the server in dir for its version.
func inspect(ctx context.Context, dir string) (Installation, error) {
	i := Installation{BinDir: dir}
	for _, binary := range []string{i.initdb(), i.postgres()} {
		if _, err := exec.LookPath(binary); err != nil {
			return Installation{}, err
		}
	}
	out, err := output(ctx, i.postgres(), "--version")
	if err != nil {
		return Installation{}, err
	}
	match := serverVersion.FindStringSubmatch(out)
	if match == nil {
		return Installation{}, fmt.Errorf("%s does not state its version", i.postgres())
	}
	i.Version = match[1]
	i.Major, err = strconv.Atoi(match[2])
	return i, err
}

// candidateDirs lists where servers may be, each directory once, the
// operator's choice (PATH) first.
func candidateDirs(ctx context.Context) []string {
	var dirs []string
	add := func(found ...string) {
		for _, dir := range found {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	for _, name := range []string{"postgres", "initdb"} {
		if path, err := exec.LookPath(name); err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				add(filepath.Dir(real))
			}
			add(filepath.Dir(path))
		}
	}
	if path, err := exec.LookPath("pg_config"); err == nil {
		if dir, err := output(ctx, path, "--bindir"); err == nil {
			add(dir)
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/usr/local/pgsql/bin",
		"/usr/local/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/usr/libexec/postgresql*",
	} {
		add(newestFirst(pattern)...)
	}
	return dirs
}

var firstNumber = regexp.MustCompile(`\d+`)

// newestFirst expands pattern and orders what it names by major version, which
// is a part of the directory's name, or of its parent's for one called bin.
func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern) // the patterns are well-formed
	version := func(dir string) int {
		name := filepath.Base(strings.TrimSuffix(dir, "/bin"))
		n, _ := strconv.Atoi(firstNumber.FindString(name)) // no number: 0, last
		return n
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	return dirs
}

// checkTrigrams reports in one sentence what to install when the pg_trgm
// extension is missing, which packagers ship apart. Where the extensions'
// directory cannot be found at all the check passes, and the migration that
// needs the extension decides.
func checkTrigrams(ctx context.Context, i Installation) error {
	looked := false
	for _, share := range shareDirs(ctx, i) {
		dir := filepath.Join(share, "extension")
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		looked = true
		if _, err := os.Stat(filepath.Join(dir, "pg_trgm.control")); err == nil {
			return nil
		}
	}
	if !looked {
		return nil
	}
	return fmt.Errorf("PostgreSQL %s in %s lacks the extension pg_trgm: install its contrib package, for example with `apt install postgresql-contrib` or `dnf install postgresql-contrib`", i.Version, i.BinDir)
}

func shareDirs(ctx context.Context, i Installation) []string {
	prefix := filepath.Dir(i.BinDir)
	major := strconv.Itoa(i.Major)
	dirs := []string{
		filepath.Join(prefix, "share"),
		filepath.Join(prefix, "share/postgresql"),
		filepath.Join(prefix, "share/postgresql@"+major),
		filepath.Join(prefix, "share/pgsql"),
	}
	if strings.HasPrefix(i.BinDir, "/usr/lib/postgresql/") {
		dirs = append(dirs, filepath.Join("/usr/share/postgresql", major))
	}
	if dir, err := output(ctx, filepath.Join(i.BinDir, "pg_config"), "--sharedir"); err == nil {
		dirs = append(dirs, dir)
	}
	return dirs
}

// output runs a program that answers with one line. A program that was written a moment ago is busy while a child that
// is being forked at the same time still holds the file; it is tried again.
func output(ctx context.Context, path string, args ...string) (string, error) {
	var out []byte
	var err error
	for attempt := range 20 {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = childEnv()
		cmd.Dir = "/"
		if out, err = cmd.Output(); !errors.Is(err, syscall.ETXTBSY) {
			break
		}
		time.Sleep(time.Duration(attempt) * 5 * time.Millisecond)
	}
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("%s: %w: %s", path, err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// childEnv is all that a child process sees of the environment. The program's
// own settings hold secrets, and PG* variables would change what the server
// does.
func childEnv() []string {
	env := []string{"LANG=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
