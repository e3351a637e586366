package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clientele-api/clientele/internal/config"
)

// runTool runs somebody else's program on the embedded database, such as pg_dump, which finds it by the variables of
// PostgreSQL. Nothing is migrated before: a dump may be restored into a database that is new and empty.
func runTool(ctx context.Context, env Environment, args []string) (err error) {
	var command []string
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args, nil
	}
	settings, err := load(env, newFlags("database"), args)
	switch {
	case err != nil:
		return err
	case command == nil:
		return &config.Error{Problems: []string{"clientele database needs a command, such as pg_dump; its settings are variables"}}
	case settings.DatabaseURL != "":
		return &config.Error{Problems: []string{
			"clientele database is for the embedded database; that of CLIENTELE_DATABASE_URL can be reached without it",
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
