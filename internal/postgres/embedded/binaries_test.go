//go:build unix

package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeServer makes a directory with binaries that state a version.
func fakeServer(t *testing.T, version string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bin")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for _, name := range []string{"postgres", "initdb"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s (Fake 1.2-3)'\n", name, version)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

func TestFindInstalled(t *testing.T) {
	t.Parallel()
	old, some, newer, beta := fakeServer(t, "14.9"), fakeServer(t, "16.3"), fakeServer(t, "17.1"), fakeServer(t, "19beta2")
	incomplete := fakeServer(t, "17.1")
	require.NoError(t, os.Remove(filepath.Join(incomplete, "initdb")))
	dirs := []string{"/no/such/dir", incomplete, old, some, newer, beta}

	for want, found := range map[int]Installation{
		0:  {BinDir: some, Version: "16.3", Major: 16},
		17: {BinDir: newer, Version: "17.1", Major: 17},
		19: {BinDir: beta, Version: "19beta2", Major: 19},
		14: {BinDir: old, Version: "14.9", Major: 14},
	} {
		got, err := findInstalled(t.Context(), dirs, want)
		require.NoError(t, err)
		require.Equal(t, found, got)
	}

	_, err := findInstalled(t.Context(), []string{old}, 0)
	require.EqualError(t, err, "no PostgreSQL 15 or newer was found on this machine (only 14.9 in "+old+")")
	_, err = findInstalled(t.Context(), nil, 18)
	require.EqualError(t, err, "no PostgreSQL 18 was found on this machine")
}

func TestInstalledFindsTheServerOfThisMachine(t *testing.T) {
	t.Parallel()
	found, err := Installed(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, found.Major, oldestMajor)
	require.NoError(t, checkTrigrams(t.Context(), found))
}

func TestNewestFirst(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "7")
	for _, name := range []string{"9.6", "18", "15"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, name, "bin"), 0o755))
	}
	require.Equal(t, []string{root + "/18/bin", root + "/15/bin", root + "/9.6/bin"}, newestFirst(root+"/*/bin"))
}

func TestMissingTrigramsAreReported(t *testing.T) {
	t.Parallel()
	i := Installation{BinDir: fakeServer(t, "16.3"), Version: "16.3", Major: 16}
	require.NoError(t, checkTrigrams(t.Context(), i), "nothing can be told")
	extensions := filepath.Join(filepath.Dir(i.BinDir), "share", "extension")
	require.NoError(t, os.MkdirAll(extensions, 0o755))
	err := checkTrigrams(t.Context(), i)
	require.ErrorContains(t, err, "lacks the extension pg_trgm")
	require.ErrorContains(t, err, "apt install postgresql-contrib")
	require.NoError(t, os.WriteFile(filepath.Join(extensions, "pg_trgm.control"), nil, 0o644))
	require.NoError(t, checkTrigrams(t.Context(), i))
}

func TestClusterOfAnotherMajorVersionIsNotOpened(t *testing.T) {
	t.Parallel()
	installed := fakeServer(t, "16.3")
	for version, hint := range map[string]string{
		"17": "apt install postgresql-17",
		"14": "install PostgreSQL 14", // too old to download
	} {
		o := options(newDir(t))
		o.hooks.binDirs = []string{installed}
		o.hooks.repositoryURL = "http://127.0.0.1:1"
		require.NoError(t, os.MkdirAll(clusterIn(o.DataDir), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(clusterIn(o.DataDir), "PG_VERSION"), []byte(version+"\n"), 0o600))
		_, err := Start(t.Context(), o)
		require.ErrorContains(t, err, "was made by PostgreSQL "+version)
		require.ErrorContains(t, err, "only 16.3 in "+installed)
		require.ErrorContains(t, err, hint)
		require.NotContains(t, err.Error(), "\n")
	}
}

// repository serves what the module's download looks for. Only the archive's
// content is of this test's making: the binaries call the installed ones.
func repository(t *testing.T, change func(files map[string]string)) *httptest.Server {
	t.Helper()
	installed, err := Installed(t.Context())
	require.NoError(t, err)
	script := func(path string) string { return "#!/bin/sh\nexec " + path + " \"$@\"\n" }
	files := map[string]string{
		"bin/postgres": script(installed.postgres()),
		"bin/initdb":   script(installed.initdb()),
		"share/postgresql/extension/pg_trgm.control": "",
	}
	if change != nil {
		change(files)
	}
	jar := makeJar(t, files)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.Path, "/io/zonky/test/postgres/embedded-postgres-binaries-"):
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".jar"):
			_, _ = w.Write(jar)
		case strings.HasSuffix(r.URL.Path, ".jar.sha256"):
			_, _ = w.Write([]byte(checksum(jar)))
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// bare are options for a machine without any server, that downloads from url.
func bare(dir, url string) Options {
	o := options(dir)
	o.hooks.binDirs = []string{}
	o.hooks.repositoryURL = url
	return o
}

func TestDownloadedServerRuns(t *testing.T) {
	t.Parallel()
	source := repository(t, nil)
	o := bare(newDir(t), source.URL)
	s := mustStart(t, o)
	execute(t, s.URL(), makeMark)
	mustStop(t, s)

	source.Close() // once is enough
	s = mustStart(t, o)
	require.Equal(t, "kept", query(t, s.URL(), readMark))
	mustStop(t, s)
	left, err := os.ReadDir(filepath.Join(o.DataDir, "postgres-binaries"))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestDownloadedServerRunsForRootWithoutNamespaces(t *testing.T) {
	t.Parallel()
	source := repository(t, nil)
	for _, dir := range []string{closedDir(t), newDir(t)} {
		o := rootOptions(t, dir)
		o.hooks.noNamespace = true
		o.hooks.binDirs = []string{}
		o.hooks.repositoryURL = source.URL
		s := mustStart(t, o)
		execute(t, s.URL(), "SELECT 1")
		mustStop(t, s)
	}
}

func TestFailedDownloadIsOneSentenceOfAdvice(t *testing.T) {
	t.Parallel()
	broken := repository(t, func(files map[string]string) {
		files["bin/postgres"] = "#!/bin/sh\nexit 127\n"
	})
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("no such thing"))
	}))
	t.Cleanup(garbage.Close)
	for url, reason := range map[string]string{
		"http://127.0.0.1:1":           "unable to connect to http://127.0.0.1:1",
		garbage.URL:                    "checksums do not match",
		broken.URL + "/somewhere/else": "no version found",
		broken.URL:                     "does not run on this machine",
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			o := bare(newDir(t), url)
			_, err := Start(t.Context(), o)
			require.ErrorContains(t, err, reason)
			require.ErrorContains(t, err, "install PostgreSQL 15 or newer, for example with `apt install postgresql`, or set CLIENTELE_DATABASE_URL")
			require.NotContains(t, err.Error(), "\n")
			require.False(t, exists(filepath.Join(o.DataDir, "postgres-binaries", "download")))
		})
	}
}

func TestDownloadCanBeCancelled(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	asked := make(chan struct{}, 1)
	source := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(source.Close)
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	begin := time.Now()
	_, err := Start(ctx, bare(newDir(t), source.URL))
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestIncompleteDownloadIsNotUsed(t *testing.T) {
	t.Parallel()
	source := repository(t, func(files map[string]string) {
		files["share/"+strings.Repeat("n", 300)] = "no file can be called that"
	})
	o := bare(newDir(t), source.URL).withDefaults()
	o.Log = slog.New(slog.DiscardHandler)
	require.NoError(t, os.MkdirAll(o.DataDir, 0o700))
	_, err := binariesFor(t.Context(), o, place{base: o.DataDir})
	require.ErrorContains(t, err, "unable to extract postgres archive")
	found, globErr := filepath.Glob(filepath.Join(o.DataDir, "postgres-binaries", "*"))
	require.NoError(t, globErr)
	require.Empty(t, found)
}
