package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/config"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/postgres/embedded"
	"github.com/clientele-api/clientele/internal/secrets"
)

// source is where the database is: a server that was named, or the embedded one.
type source struct {
	url    string
	server *embedded.Server // nil for a server that was named
}

// openSource finds the database of the settings. Serving needs an embedded server for itself; other commands join one
// that runs.
func openSource(ctx context.Context, settings config.Config, serving bool, log *slog.Logger) (source, error) {
	if settings.DatabaseURL != "" {
		return source{url: settings.DatabaseURL}, nil
	}
	open := embedded.Join
	if serving {
		open = embedded.Start
	}
	server, err := open(ctx, embedded.Options{DataDir: settings.DataDir, Log: log})
	if err != nil {
		return source{}, err
	}
	return source{url: server.URL(), server: server}, nil
}

func (s source) close() error {
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return s.server.Stop(ctx)
}

// ended is closed when an embedded server ends without being asked to.
func (s source) ended() <-chan struct{} {
	if s.server == nil {
		return nil
	}
	return s.server.Done()
}

const secretKeyFile = "secret.key"

// openKeyring gives the secret key: the one that is set or, with the embedded database, the one that was generated into
// the data directory beside it. One is generated only for a database that needs none yet: another key would not open what
// is sealed in it.
func openKeyring(ctx context.Context, database *postgres.DB, settings config.Config) (*secrets.Keyring, error) {
	if settings.SecretKey != "" {
		return secrets.Parse(settings.SecretKey)
	}
	path := filepath.Join(settings.DataDir, secretKeyFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		used, usedErr := db.New().SigningKeyExists(ctx, database)
		if usedErr != nil {
			return nil, usedErr
		}
		if used {
			return nil, fmt.Errorf("the secret key of this database is missing: put %s back from your backup", path)
		}
		content, err = generateSecretKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the secret key: %w", err)
	}
	keyring, err := secrets.Parse(strings.TrimSpace(string(content)))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return keyring, nil
}

// generateSecretKey makes the file whole or not at all, and never over one that is there.
func generateSecretKey(path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), secretKeyFile+".*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(temporary.Name())
	_, writeErr := temporary.WriteString(secrets.Generate() + "\n")
	if err := errors.Join(writeErr, temporary.Sync(), temporary.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(temporary.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// withDatabase runs a command that needs the database and little else.
func withDatabase(
	ctx context.Context, settings config.Config, log *slog.Logger, do func(*postgres.DB, string) error,
) (err error) {
	found, err := openSource(ctx, settings, false, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.close()) }()
	database, err := postgres.Open(ctx, found.url, time.Now)
	if err != nil {
		return err
	}
	defer database.Close()
	return do(database, found.url)
}
