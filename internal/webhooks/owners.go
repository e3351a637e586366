package webhooks

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/mergepatch"
	"github.com/clientele-api/clientele/internal/postgres"
)

// An endpoint goes by what its owner might see when they chose what is sent where. That of a person stays as it is. That of
// an API client has no more than the client has, and ends with it: at once where the client is changed, and by a job where
// it just expires. Whatever the row says, this is looked at again before something is sent.

// neededScope is what an API client needs for having something sent.
const neededScope access.Scope = "webhooks:write"

func ownedBy(endpoint db.WebhookEndpoint, actor postgres.Actor) bool {
	return endpoint.OwnerKind == actor.Kind && mergepatch.Same(endpoint.OwnerID, actor.ID)
}

// entitled gives an endpoint as its owner may have it at that moment, and whether that differs. The client is the API client
// that owns it; nil for one that is gone, and for people.
func entitled(endpoint db.WebhookEndpoint, client *db.ApiClient, now time.Time) (edited db.WebhookEndpoint, differs bool) {
	if endpoint.OwnerKind != access.KindAPIClient {
		return endpoint, false
	}
	edited = endpoint
	reason := ""
	switch {
	case client == nil || client.CustomerID != nil || client.ExpiresAt != nil && !now.Before(*client.ExpiresAt):
		reason = clientEnded
	case !slices.Contains(client.Scopes, string(neededScope)):
		reason = clientMayNot
	}
	if reason != "" && endpoint.Enabled {
		edited.Enabled, edited.DisabledReason = false, &reason
	}
	if client != nil {
		edited.Scopes = slices.DeleteFunc(slices.Clone(endpoint.Scopes), func(scope string) bool {
			return !slices.Contains(client.Scopes, scope)
		})
	}
	return edited, edited.Enabled != endpoint.Enabled || len(edited.Scopes) != len(endpoint.Scopes)
}

// clientOf reads the API client that owns an endpoint; nil when it is gone, and for people.
func clientOf(ctx context.Context, database db.DBTX, endpoint db.WebhookEndpoint) (*db.ApiClient, error) {
	if endpoint.OwnerKind != access.KindAPIClient {
		return nil, nil
	}
	client, err := db.New().ApiClientGet(ctx, database, *endpoint.OwnerID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &client, err
}

// settle stores an endpoint, which is locked, as its owner may have it by now.
func settle(ctx context.Context, tx *postgres.Tx, endpoint db.WebhookEndpoint) (db.WebhookEndpoint, error) {
	client, err := clientOf(ctx, tx, endpoint)
	if err != nil {
		return endpoint, err
	}
	edited, differs := entitled(endpoint, client, tx.Now)
	if !differs {
		return endpoint, nil
	}
	return update(ctx, tx, endpoint, edited)
}

// settled is settle for an endpoint that was just read, with its client.
func settled(
	ctx context.Context, database *postgres.DB, endpoint db.WebhookEndpoint, client *db.ApiClient,
) (db.WebhookEndpoint, error) {
	if _, differs := entitled(endpoint, client, database.Now()); !differs {
		return endpoint, nil
	}
	err := database.Change(ctx, system, func(tx *postgres.Tx) (err error) {
		endpoint, err = lock(ctx, tx, endpoint.ID, etag.Versions{})
		return err
	})
	return endpoint, err
}

// SettleAPIClient brings the endpoints of an API client to what it may have by now, when it has been changed or deleted.
func SettleAPIClient(ctx context.Context, tx *postgres.Tx, clientID uuid.UUID) error {
	endpoints, err := db.New().WebhookEndpointListOfAPIClients(ctx, tx, &clientID)
	if err != nil {
		return err
	}
	for _, endpoint := range endpoints {
		if _, err := lock(ctx, tx, endpoint.ID, etag.Versions{}); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	return nil
}

// settleInterval is how long an endpoint may still look as if it were on when its API client has expired.
const settleInterval = time.Minute

// settleArgs is the job that does so for all API clients.
type settleArgs struct{}

// Kind names the job.
func (settleArgs) Kind() string { return "webhook_endpoint_settle" }

type settleWorker struct {
	river.WorkerDefaults[settleArgs]
	db *postgres.DB
}

// Work looks at all endpoints of API clients.
func (w *settleWorker) Work(ctx context.Context, _ *river.Job[settleArgs]) error {
	endpoints, err := db.New().WebhookEndpointListOfAPIClients(ctx, w.db, nil)
	if err != nil {
		return err
	}
	var errs []error
	for _, endpoint := range endpoints {
		client, err := clientOf(ctx, w.db, endpoint)
		if err == nil {
			_, err = settled(ctx, w.db, endpoint, client)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
