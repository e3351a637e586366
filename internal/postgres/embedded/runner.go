//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
)

// runner says as whom the server's processes run. PostgreSQL refuses user
// id 0, so root needs a way around; everybody else runs it as they are, which
// is the zero value.
type runner struct {
	// namespace: in a user namespace that shows root as an ordinary user. The
	// files stay root's, and root's folders can be entered.
	namespace bool
	// drop: as the system user uid and gid, who owns the files.
	drop     bool
	uid, gid int
}

// owner is the user and group that the cluster's files belong to, as this
// process sees them.
func (r runner) owner() (uid, gid int) {
	if r.drop {
		return r.uid, r.gid
	}
	return os.Geteuid(), os.Getegid()
}

func (r runner) String() string {
	switch {
	case r.namespace:
		return "root in a user namespace"
	case r.drop:
		return "user id " + strconv.Itoa(r.uid)
	}
	return "this user"
}

// rootRunner picks the way for root to run a new cluster.
func rootRunner(ctx context.Context, o Options) (runner, error) {
	if r := (runner{namespace: true}); haveNamespaces && !o.hooks.noNamespace && r.possible(ctx) {
		return r, nil
	}
	if err := ctx.Err(); err != nil {
		return runner{}, err
	}
	return systemRunner(o.hooks.dropTo)
}

// systemRunner drops to the first of the named users that exists.
func systemRunner(names []string) (runner, error) {
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return runner{drop: true, uid: uid, gid: gid}, nil
		}
	}
	return runner{}, fmt.Errorf("PostgreSQL does not run as root, user namespaces are not available and there is none of the users %s to run it as: create one, run the program as another user, or set CLIENTELE_DATABASE_URL", strings.Join(names, ", "))
}

// possible reports whether processes can be started this way at all.
func (r runner) possible(ctx context.Context) bool {
	return r.enter(ctx, "/") == nil
}

// canEnter reports whether the runner's processes can get into dir. Only
// trying tells: access lists and security modules have their say too.
func (r runner) canEnter(ctx context.Context, dir string) (bool, error) {
	err := r.enter(ctx, dir)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, nil
	}
	return err == nil, err
}

func (r runner) enter(ctx context.Context, dir string) error {
	cmd := exec.Command("/bin/sh", "-c", `cd "$1"`, "sh", dir)
	cmd.Env = childEnv()
	cmd.Dir = "/"
	return runChild(ctx, cmd, r)
}
