//go:build unix

package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// place is where a cluster lies and who runs it. It follows from the data
// directory alone, so that every command finds the same one.
type place struct {
	base   string // holds the cluster and the downloaded binaries
	exists bool   // a cluster is there
	as     runner
	// adopt says that the cluster is root's and has to be given to the runner.
	adopt bool
}

func (p place) cluster() string { return clusterIn(p.base) }

func clusterIn(base string) string { return filepath.Join(base, "postgres") }

// choosePlace finds the cluster of o.DataDir, or decides where to make it.
// made says that this start created the directory. It changes nothing but
// the mode of a directory just created, and creates the fallback directory.
func choosePlace(ctx context.Context, o Options, made bool) (place, error) {
	for _, base := range []string{o.DataDir, fallbackDir(o)} {
		owner, err := ownerOf(filepath.Join(clusterIn(base), "PG_VERSION"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return place{}, err
		}
		return existingPlace(ctx, o, base, owner)
	}
	return newPlace(ctx, o, made)
}

// existingPlace settles who runs the cluster in base, which belongs to owner:
// its owner, whoever that is, so that a directory made by an ordinary user,
// or on a machine without user namespaces, opens for root as well and stays
// theirs.
func existingPlace(ctx context.Context, o Options, base string, owner runner) (place, error) {
	p := place{base: base, exists: true}
	switch {
	case os.Geteuid() != 0 && owner.uid != os.Geteuid():
		return place{}, fmt.Errorf("the database in %s belongs to user id %d: run the program as that user", base, owner.uid)
	case os.Geteuid() != 0:
		return p, nil
	case owner.uid != 0:
		p.as = owner
	default:
		as, err := rootRunner(ctx, o)
		if err != nil {
			return place{}, err
		}
		p.as, p.adopt = as, as.drop
	}
	ok, err := p.as.canEnter(ctx, base)
	if err != nil {
		return place{}, fmt.Errorf("start a process as %s: %w", p.as, err)
	}
	if !ok {
		return place{}, fmt.Errorf("the database in %s cannot be reached by %s, which has to run it: move that directory's folder postgres to %s, or allow user namespaces", base, p.as, fallbackDir(o))
	}
	return p, nil
}

func newPlace(ctx context.Context, o Options, made bool) (place, error) {
	if os.Geteuid() != 0 {
		return place{base: o.DataDir}, nil
	}
	as, err := ownerOf(o.DataDir)
	if err != nil {
		return place{}, err
	}
	if as.uid == 0 {
		if as, err = rootRunner(ctx, o); err != nil {
			return place{}, err
		}
		if as.drop && made {
			// Passing through is all that others may do; whatever is secret
			// in the directory has a mode of its own.
			if err := os.Chmod(o.DataDir, 0o711); err != nil {
				return place{}, err
			}
		}
	}
	for _, base := range []string{o.DataDir, fallbackDir(o)} {
		if base != o.DataDir {
			if err := makeFallback(base, as); err != nil {
				return place{}, err
			}
		}
		ok, err := as.canEnter(ctx, base)
		if err != nil {
			return place{}, fmt.Errorf("start a process as %s: %w", as, err)
		}
		if ok {
			return place{base: base, as: as}, nil
		}
	}
	return place{}, fmt.Errorf("neither %s nor %s can be entered by %s, which has to run PostgreSQL for root: set CLIENTELE_DATA_DIR to a directory it can enter, or CLIENTELE_DATABASE_URL", o.DataDir, fallbackDir(o), as)
}

// fallbackDir is where the cluster of o.DataDir goes when nobody who can run
// a server for root can enter that directory. For other users there is no
// such place, and asking for it finds nothing.
func fallbackDir(o Options) string {
	return filepath.Join(o.hooks.fallbackRoot, derivedName(o.DataDir))
}

// derivedName is a file name that stands for the path dir: readable, and
// different for different paths.
func derivedName(dir string) string {
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, filepath.Base(dir))
	sum := sha256.Sum256([]byte(dir))
	return readable[:min(len(readable), 24)] + "-" + hex.EncodeToString(sum[:6])
}

func makeFallback(dir string, as runner) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	return makePrivateDir(dir, as)
}

// makePrivateDir makes dir for r alone, or checks that it is so already:
// a directory that somebody else controls is refused, as whoever owns it
// could put a server of theirs, or a link, in its place.
func makePrivateDir(dir string, r runner) error {
	uid, gid := r.owner()
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		// Mkdir's mode went through the umask.
		return errors.Join(os.Lchown(dir, uid, gid), os.Chmod(dir, 0o700))
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner := statOwner(info)
	if !info.IsDir() || owner.uid != uid && owner.uid != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of user id %d, so PostgreSQL must not use it: remove it", dir, uid)
	}
	if owner.uid != uid {
		// Made for another runner of ours; root alone gets here.
		if err := os.Lchown(dir, uid, gid); err != nil {
			return err
		}
	}
	if info.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s has mode %#o where 0700 is needed: correct or remove it", dir, info.Mode().Perm())
	}
	return nil
}

// ownerOf returns a runner that drops to the owner of path.
func ownerOf(path string) (runner, error) {
	info, err := os.Stat(path)
	if err != nil {
		return runner{}, err
	}
	return statOwner(info), nil
}

func statOwner(info fs.FileInfo) runner {
	stat := info.Sys().(*syscall.Stat_t) // what every unix has
	return runner{drop: true, uid: int(stat.Uid), gid: int(stat.Gid)}
}

// chownTree gives a tree to r. Links are given, never followed.
func chownTree(root string, r runner) error {
	uid, gid := r.owner()
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}

// socketDir is the directory of the server's socket: beside the cluster when
// the path fits into a socket address, else one in the temporary directory. A
// comma would separate hosts in the connection string.
func (p place) socketDir() (string, error) {
	fits := func(dir string) bool {
		return len(filepath.Join(dir, ".s.PGSQL."+port)) <= maxSocketPath && !strings.Contains(dir, ",")
	}
	uid, _ := p.as.owner()
	name := "clientele-" + strconv.Itoa(uid) + "-" + derivedName(p.base)
	for _, dir := range []string{filepath.Join(p.base, "run"), filepath.Join(os.TempDir(), name), filepath.Join("/tmp", name)} {
		if fits(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no directory for the socket of the database in %s has a path short enough: set TMPDIR or CLIENTELE_DATA_DIR to a shorter one", p.base)
}
