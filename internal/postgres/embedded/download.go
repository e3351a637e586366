//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// downloadable lists the version to download for each major version; 0 stands
// for a new cluster.
var downloadable = map[int]embeddedpostgres.PostgresVersion{
	0:  embeddedpostgres.V18,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// binariesFor finds the server for the cluster: an installed one, one that was
// downloaded before, or one downloaded now. An existing cluster needs a server
// of its own major version.
func binariesFor(ctx context.Context, o Options, p place) (Installation, error) {
	want := 0
	if p.exists {
		var err error
		if want, err = clusterMajor(p.cluster()); err != nil {
			return Installation{}, err
		}
	}
	dirs := o.hooks.binDirs
	if dirs == nil {
		dirs = candidateDirs(ctx)
	}
	downloads := filepath.Join(p.base, "postgres-binaries")
	dirs = append(slices.Clone(dirs), newestFirst(filepath.Join(globEscape(downloads), "*", "bin"))...)
	found, missing := findInstalled(ctx, dirs, want)
	if missing == nil || ctx.Err() != nil {
		return found, missing
	}
	version, ok := downloadable[want]
	if !ok {
		return Installation{}, fmt.Errorf("the database in %s was made by PostgreSQL %d, and %w: install PostgreSQL %d", p.cluster(), want, missing, want)
	}
	dir := filepath.Join(downloads, string(version))
	o.Log.InfoContext(ctx, "downloading PostgreSQL", "version", string(version), "to", dir)
	err := download(ctx, o, p.as, version, dir)
	switch {
	case ctx.Err() != nil:
		return Installation{}, ctx.Err()
	case err != nil && want != 0:
		return Installation{}, fmt.Errorf("the database in %s was made by PostgreSQL %d, %w, and it could not be downloaded (%w): install it, for example with `apt install postgresql-%d`", p.cluster(), want, missing, err, want)
	case err != nil:
		return Installation{}, fmt.Errorf("%w, and none could be downloaded (%w): %s", missing, err, installHint)
	}
	if found, err = inspect(ctx, filepath.Join(dir, "bin")); err != nil {
		return Installation{}, fmt.Errorf("the downloaded PostgreSQL %s does not run on this machine (%w): %s", version, err, installHint)
	}
	return found, nil
}

// download fetches the binaries of version and unpacks them to dir, which
// then is complete or does not exist.
func download(ctx context.Context, o Options, as runner, version embeddedpostgres.PostgresVersion, dir string) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	if as.drop {
		if err := os.Chmod(parent, 0o755); err != nil {
			return err
		}
	}
	// What an interrupted download left is in nobody's use: the data
	// directory is locked.
	work := filepath.Join(parent, "download")
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	result := make(chan error, 1)
	go func() { result <- fetch(o, version, work) }()
	select {
	case err := <-result:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err() // the module knows no cancellation; its work is removed
	}
	unpacked := filepath.Join(work, "binaries")
	if as.drop {
		if err := openToAll(unpacked); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(unpacked, dir)
}

// fetch lets the module download version and unpack it to work/binaries.
//
// The module has no call for that alone. Its Start downloads, unpacks, makes
// the runtime directory, and then clears the data directory to make a cluster
// and run a server on a TCP port, as the current user, none of which is
// wanted here. A data directory below a regular file cannot be cleared, so
// that it stops right there, before it runs anything; and the runtime
// directory, made after the last file was unpacked, is the witness that
// nothing is missing.
func fetch(o Options, version embeddedpostgres.PostgresVersion, work string) (err error) {
	defer func() {
		if r := recover(); r != nil { // the module panics when it cannot tidy up
			err = fmt.Errorf("%v", r)
		}
	}()
	defer removeNewLogs(moduleLogs())
	file := filepath.Join(work, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	runtime := filepath.Join(work, "runtime")
	config := embeddedpostgres.DefaultConfig().
		Version(version).
		Port(0). // it insists on a free port
		Logger(io.Discard).
		CachePath(work).
		RuntimePath(runtime).
		BinariesPath(filepath.Join(work, "binaries")).
		DataPath(filepath.Join(file, "data"))
	if o.hooks.repositoryURL != "" {
		config = config.BinaryRepositoryURL(o.hooks.repositoryURL)
	}
	startErr := embeddedpostgres.NewDatabase(config).Start()
	switch _, err := os.Stat(runtime); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case startErr == nil:
		return errors.New("the download left nothing behind")
	}
	return startErr
}

// moduleLogs lists the files that the module makes for its server's output and
// never removes.
func moduleLogs() []string {
	found, _ := filepath.Glob(filepath.Join(globEscape(os.TempDir()), "embedded_postgres_log*")) // well-formed
	return found
}

// removeNewLogs removes the module's empty files that are not among those
// there were before. One of another process, should it be downloading right
// now, is empty too, and only read when a server of the module's fails.
func removeNewLogs(before []string) {
	for _, path := range moduleLogs() {
		if info, err := os.Lstat(path); err == nil && info.Size() == 0 && !slices.Contains(before, path) {
			_ = os.Remove(path)
		}
	}
}

// openToAll lets every user read what root unpacked under a narrow umask.
func openToAll(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if info.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}
