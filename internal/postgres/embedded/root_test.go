//go:build unix

package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rootOptions are the options of a run as root. There is nothing to test for
// anybody else, who runs PostgreSQL as they are.
func rootOptions(t *testing.T, dir string) Options {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("about running as root")
	}
	o := options(dir)
	o.hooks.fallbackRoot = filepath.Join(filepath.Dir(newDir(t)), "fallback") // one that can be entered
	return o
}

func clusterOwner(t *testing.T, s *Server) int {
	t.Helper()
	owner, err := ownerOf(clusterIn(s.DataDir()))
	require.NoError(t, err)
	return owner.uid
}

// systemUser is whom root drops to.
func systemUser(t *testing.T) runner {
	t.Helper()
	r, err := systemRunner([]string{"postgres", "nobody"})
	require.NoError(t, err)
	return r
}

func requireNamespaces(t *testing.T) {
	t.Helper()
	if !haveNamespaces || !(runner{namespace: true}).possible(t.Context()) {
		t.Skip("this machine forbids user namespaces")
	}
}

func TestRootInANamespaceStaysInADirectoryOfRootAlone(t *testing.T) {
	t.Parallel()
	dir := closedDir(t) // in a directory of mode 0700, like /root
	o := rootOptions(t, dir)
	requireNamespaces(t)
	s := mustStart(t, o)
	require.Equal(t, dir, s.DataDir())
	require.Zero(t, clusterOwner(t, s))
	mustStop(t, s)
}

func TestRootWithoutNamespacesGoesWhereTheUserCanGo(t *testing.T) {
	t.Parallel()
	dir := closedDir(t)
	o := rootOptions(t, dir)
	o.hooks.noNamespace = true
	s := mustStart(t, o)
	require.Equal(t, fallbackDir(o), s.DataDir())
	require.Equal(t, systemUser(t).uid, clusterOwner(t, s))
	execute(t, s.URL(), makeMark)

	joined := mustJoin(t, o)
	require.Equal(t, s.DataDir(), joined.DataDir())
	require.Equal(t, s.URL(), joined.URL())
	mustStop(t, joined)
	mustStop(t, s)

	// It is found again, with namespaces or without.
	for _, noNamespace := range []bool{true, false} {
		o.hooks.noNamespace = noNamespace
		s = mustStart(t, o)
		require.Equal(t, fallbackDir(o), s.DataDir())
		require.Equal(t, "kept", query(t, s.URL(), readMark))
		mustStop(t, s)
	}
	require.NoError(t, Remove(t.Context(), o))
	require.False(t, exists(fallbackDir(o)))
}

func TestRootWithoutNamespacesUsesADirectoryThatTheUserCanEnter(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	o := rootOptions(t, dir)
	o.hooks.noNamespace = true
	s := mustStart(t, o)
	require.Equal(t, dir, s.DataDir())
	require.Equal(t, systemUser(t).uid, clusterOwner(t, s))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o711), info.Mode().Perm())
	mustStop(t, s)
}

func TestClusterMadeInANamespaceOpensWithoutOne(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	o := rootOptions(t, dir)
	requireNamespaces(t)
	require.NoError(t, os.Mkdir(dir, 0o711))
	s := mustStart(t, o)
	require.Zero(t, clusterOwner(t, s))
	execute(t, s.URL(), makeMark)
	mustStop(t, s)

	for _, noNamespace := range []bool{true, false} {
		o.hooks.noNamespace = noNamespace
		s = mustStart(t, o)
		require.Equal(t, dir, s.DataDir())
		require.Equal(t, systemUser(t).uid, clusterOwner(t, s))
		require.Equal(t, "kept", query(t, s.URL(), readMark))
		mustStop(t, s)
	}
}

func TestClusterOutOfTheUsersReachIsReported(t *testing.T) {
	t.Parallel()
	dir := closedDir(t)
	o := rootOptions(t, dir)
	requireNamespaces(t)
	mustStop(t, mustStart(t, o))

	o.hooks.noNamespace = true
	_, err := Start(t.Context(), o)
	require.ErrorContains(t, err, "cannot be reached by user id")
	require.ErrorContains(t, err, fallbackDir(o))
	require.NotContains(t, err.Error(), "\n")
}

func TestRootOpensTheClusterOfAnOrdinaryUserAsThatUser(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	o := rootOptions(t, dir)
	user := systemUser(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, user.uid, user.gid))
	s := mustStart(t, o)
	require.Equal(t, dir, s.DataDir())
	require.Equal(t, user.uid, clusterOwner(t, s))
	mustStop(t, s)

	for _, name := range []string{ownerFile, "postgres.log", "run", "postgres"} {
		owner, err := ownerOf(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, user.uid, owner.uid, "%s must not become root's", name)
	}
}

func TestRootWithoutAnyWaySaysWhatToDo(t *testing.T) {
	t.Parallel()
	o := rootOptions(t, closedDir(t))
	o.hooks.noNamespace = true
	o.hooks.dropTo = []string{"no-such-user"}
	_, err := Start(t.Context(), o)
	require.ErrorContains(t, err, "no-such-user")
	require.ErrorContains(t, err, "CLIENTELE_DATABASE_URL")
}
