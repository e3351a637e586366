package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clientele-api/clientele/internal/config"
)

// runTool runs somebody else's program on the embedded database, such as pg_dump, which finds it by the variables of
// PostgreSQL. Nothing is migrated before: a dump may be restored into a database that is new and empty.
func runTool(ctx context.Context, env Environment, args []string) (err error) {
	flags := newFlags("database")
	settings, err := config.LoadLeading(flags, args, env.Getenv)
	if err := helped(env, flags, err); err != nil {
		return err
	}
	command := flags.Args()
	switch {
	case len(command) == 0:
		return &config.Error{Problems: []string{"clientele database needs a command, such as pg_dump"}}
	case settings.DatabaseURL != "":
		return &config.Error{Problems: []string{
			"clientele database is for the embedded database; that of CLIENTELE_DATABASE_URL can be reached without it",
		}}
	case !isInstallation(settings.DataDir):
		return &config.Error{Problems: []string{
			settings.DataDir + " is no data directory of Clientele: CLIENTELE_DATA_DIR says which is; put " + secretKeyFile +
				" into one that a dump is to be restored into",
		}}
	}
	found, err := openSource(ctx, settings, false, newLog(env, settings))
	if err != nil {
		return err
	}
	defer func() {
		if closing := found.close(); err == nil {
			err = closing
		}
	}()
	reached, err := pgconn.ParseConfig(found.url)
	if err != nil {
		return err
	}
	tool := exec.CommandContext(ctx, command[0], command[1:]...)
	tool.Stdin, tool.Stdout, tool.Stderr = env.Stdin, env.Stdout, env.Stderr
	tool.Env = append(os.Environ(), "PGHOST="+reached.Host, "PGPORT="+strconv.Itoa(int(reached.Port)), "PGUSER="+reached.User,
		"PGDATABASE="+reached.Database)
	tool.Cancel = func() error { return tool.Process.Signal(syscall.SIGTERM) }
	tool.WaitDelay = 10 * time.Second
	if err := tool.Run(); err != nil {
		return fmt.Errorf("%s: %w", command[0], err)
	}
	return nil
}

// isInstallation tells whether a directory is one that the program has served from, or one that was made ready for a dump. A
// dump of any other would be one of nothing.
func isInstallation(dir string) bool {
	for _, name := range []string{secretKeyFile, "postgres", "clientele.lock"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
