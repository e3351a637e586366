package program

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/term"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/config"
	"github.com/clientele-api/clientele/internal/email"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/staff"
	"github.com/clientele-api/clientele/internal/tokens"
	"github.com/clientele-api/clientele/internal/webhooks"
)

// commandLine is who makes changes that are asked for on the command line, system who makes them unasked.
var (
	commandLine = postgres.Change{Actor: postgres.Actor{Kind: access.KindSystem, Name: "command line"}}
	system      = postgres.Change{Actor: postgres.Actor{Kind: access.KindSystem, Name: "system"}}
)

func migrate(ctx context.Context, env Environment, what string, args []string) error {
	settings, err := load(env, newFlags("migrate "+what), args)
	if err != nil {
		return err
	}
	log := newLog(env, settings)
	return withDatabase(ctx, settings, log, func(_ *postgres.DB, url string) error {
		switch what {
		case "up":
			return postgres.MigrateUp(ctx, url, log)
		case "down":
			return postgres.MigrateDown(ctx, url, log)
		}
		migrations, err := postgres.MigrationStatus(ctx, url)
		if err != nil {
			return err
		}
		for _, migration := range migrations {
			applied := "pending"
			if migration.AppliedAt != nil {
				applied = migration.AppliedAt.UTC().Format(time.RFC3339)
			}
			if _, err := fmt.Fprintf(env.Stdout, "%-22s %s\n", applied, migration.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

func createStaff(ctx context.Context, env Environment, args []string) error {
	flags := newFlags("staff create")
	address := flags.String("email", "", "email address that the account signs in with")
	role := flags.String("role", "", "administrator, operator or viewer")
	name := flags.String("name", "", "name of the person (default the email address)")
	settings, err := load(env, flags, args)
	if err != nil {
		return err
	}
	var problems []string
	if err := email.Check(*address); err != nil {
		problems = append(problems, "--email "+err.Error())
	}
	if len(access.Role(*role).Scopes()) == 0 {
		problems = append(problems, "--role must be administrator, operator or viewer")
	}
	if len(problems) > 0 {
		return &config.Error{Problems: problems}
	}
	if *name == "" {
		*name = *address
	}
	password, generated, err := askPassword(env)
	if err != nil {
		return err
	}
	return withDatabase(ctx, settings, newLog(env, settings), func(database *postgres.DB, _ string) error {
		account := staff.Input{Name: *name, Email: *address, Role: access.Role(*role)}
		err := addStaff(ctx, database, commandLine, account, password)
		if fault.IsKind(err, fault.Conflict) {
			return fmt.Errorf("there is a staff account with the email address %s already", *address)
		}
		if err != nil {
			return err
		}
		answer := fmt.Sprintf("Created %s, %s.", *address, *role)
		if generated {
			answer += " The password is " + password + " and is shown only now."
		}
		_, err = fmt.Fprintln(env.Stdout, answer)
		return err
	})
}

func addStaff(
	ctx context.Context, database *postgres.DB, change postgres.Change, account staff.Input, password string,
) error {
	var err error
	if account.PasswordHash, err = passwords.NewHasher().Hash(ctx, password); err != nil {
		return err
	}
	return database.Change(ctx, change, func(tx *postgres.Tx) error {
		_, err := staff.Create(ctx, tx, account)
		return err
	})
}

// askPassword prompts for a password on a terminal, reads a line of what is piped in, or makes one up.
func askPassword(env Environment) (password string, generated bool, err error) {
	if env.Stdin == nil {
		return passwords.Generate(), true, nil
	}
	if term.IsTerminal(int(env.Stdin.Fd())) {
		fmt.Fprint(env.Stderr, "Password (empty to have one made up): ")
		typed, err := term.ReadPassword(int(env.Stdin.Fd()))
		fmt.Fprintln(env.Stderr)
		if err != nil {
			return "", false, fmt.Errorf("reading the password: %w", err)
		}
		password = string(typed)
	} else if info, err := env.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 {
		line, _ := bufio.NewReader(env.Stdin).ReadString('\n')
		password = strings.TrimRight(line, "\r\n")
	}
	if password == "" {
		return passwords.Generate(), true, nil
	}
	if err := passwords.Check(password); err != nil {
		return "", false, fmt.Errorf("the password %w", err)
	}
	return password, false, nil
}

func rotateKeys(ctx context.Context, env Environment, args []string) error {
	settings, err := load(env, newFlags("keys rotate"), args)
	if err != nil {
		return err
	}
	return withDatabase(ctx, settings, newLog(env, settings), func(database *postgres.DB, _ string) error {
		keyring, err := openKeyring(ctx, database, settings)
		if err != nil {
			return err
		}
		key, err := tokens.NewKey()
		if err != nil {
			return err
		}
		var id uuid.UUID
		err = database.Change(ctx, commandLine, func(tx *postgres.Tx) (err error) {
			if id, err = tokens.RotateKey(ctx, tx, keyring, key); err != nil {
				return err
			}
			return webhooks.Reseal(ctx, tx, keyring)
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.Stdout, "Signing tokens with key %s begins in about two seconds.\n", id)
		return err
	})
}

// firstAdministrator makes the first administrator when there is no staff at all. It gives the password when it had to
// make one up.
func firstAdministrator(ctx context.Context, database *postgres.DB, settings config.Config) (address, password string, err error) {
	exists, err := db.New().StaffExists(ctx, database)
	if err != nil || exists {
		return "", "", err
	}
	address, password = settings.AdminEmail, settings.AdminPassword
	generated := password == ""
	if generated {
		address, password = "admin@clientele.local", passwords.Generate()
	}
	account := staff.Input{Name: "Administrator", Email: address, Role: access.Administrator}
	if err := addStaff(ctx, database, system, account, password); err != nil {
		// Another replica that started at the same moment may have been first.
		if exists, existsErr := db.New().StaffExists(ctx, database); existsErr == nil && exists {
			return "", "", nil
		}
		return "", "", fmt.Errorf("making the first administrator: %w", err)
	}
	if !generated {
		return "", "", nil
	}
	return address, password, nil
}
