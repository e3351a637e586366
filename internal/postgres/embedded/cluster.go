//go:build unix

package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// makeCluster runs initdb in a sibling of the cluster's folder and renames
// the result, so that the folder either is complete or does not exist.
func makeCluster(ctx context.Context, o Options, p place, i Installation) (err error) {
	fresh := filepath.Join(p.base, "postgres.new-"+strconv.Itoa(os.Getpid()))
	defer func() {
		if err != nil {
			_ = os.RemoveAll(fresh) // else the next start does
		}
	}()
	for _, locale := range locales {
		if err := os.RemoveAll(fresh); err != nil {
			return err
		}
		if err := makePrivateDir(fresh, p.as); err != nil {
			return err
		}
		err = initdb(ctx, o, p, i, fresh, locale)
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "locale") {
			break
		}
		o.Log.DebugContext(ctx, "initdb refused a locale", "arguments", locale, "error", err)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(fresh, p.cluster()); err != nil {
		return err
	}
	if o.Disposable {
		return nil
	}
	return syncDir(p.base)
}

// locales are initdb's arguments in order of preference. The collation is
// always by code point, which no library upgrade changes under an index; the
// character classes should know more than ASCII, for trigrams depend on them.
var locales = [][]string{
	{"--locale=C.UTF-8"},
	{"--locale=C", "--lc-ctype=en_US.UTF-8"},
	{"--locale=C", "--lc-ctype=UTF-8"},
	{"--locale=C"},
}

func initdb(ctx context.Context, o Options, p place, i Installation, dir string, locale []string) error {
	args := append([]string{
		"--pgdata=" + dir,
		"--username=" + superuser,
		"--encoding=UTF8",
		"--auth=trust", // whoever reaches the socket's private directory is us
		"--no-instructions",
	}, locale...)
	if o.Disposable {
		args = append(args, "--no-sync", "--wal-segsize=1")
	}
	var out bytes.Buffer
	cmd := exec.Command(i.initdb(), args...)
	cmd.Env = childEnv()
	cmd.Dir = dir
	cmd.Stdout = &out
	cmd.Stderr = &out
	err := runChild(ctx, cmd, p.as)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%s as %s: %w: %s", i.initdb(), p.as, err, lastLines(out.Bytes()))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // file systems that cannot need not
	}
	return errors.Join(err, d.Close())
}

// lastLines is the end of a program's output, on one line.
func lastLines(out []byte) string {
	const most = 2000
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return strings.Join(strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' }), " / ")
}

// clusterMajor reads the major version of the PostgreSQL that made the
// cluster.
func clusterMajor(cluster string) (int, error) {
	content, err := os.ReadFile(filepath.Join(cluster, "PG_VERSION"))
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("%s does not hold a version: %w", filepath.Join(cluster, "PG_VERSION"), err)
	}
	return major, nil
}
