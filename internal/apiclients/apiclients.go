// Package apiclients keeps the credentials of programs: what each may do, from where and for how long, and which secrets it
// has. It also signs them in and judges their secrets, of which only hashes are stored. Which customers a limited client
// reaches is for the queries of the resources to say.
package apiclients

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oapi-codegen/nullable"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/mergepatch"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/tokens"
	"github.com/clientele-api/clientele/internal/webhooks"
)

// Client is an API client with the time of its last use.
type Client struct {
	db.ApiClient
	LastUsedAt *time.Time
}

// PreviousSecretExpiresAt gives until when the secret before the last rotation works; nil when it does not, at that moment.
func (c Client) PreviousSecretExpiresAt(now time.Time) *time.Time {
	if ends := c.ApiClient.PreviousSecretExpiresAt; ends != nil && now.Before(*ends) {
		return ends
	}
	return nil
}

// Input is what a caller says of a new client. Networks are checked.
type Input struct {
	Name            string
	Scopes          []string
	CustomerID      *uuid.UUID // that it is limited to; nil for no limit
	ExpiresAt       *time.Time
	AllowedNetworks []string
}

// Create adds a client and gives its secret, which nobody can tell later.
func Create(ctx context.Context, tx *postgres.Tx, input Input) (client Client, secret string, err error) {
	edited := db.ApiClient{
		ID: uuid.Must(uuid.NewV7()), Name: input.Name, Scopes: input.Scopes, CustomerID: input.CustomerID,
		ExpiresAt: input.ExpiresAt, AllowedNetworks: input.AllowedNetworks,
	}
	if err := normalize(&edited); err != nil {
		return Client{}, "", err
	}
	if err := lockCustomer(ctx, tx, edited.CustomerID); err != nil {
		return Client{}, "", err
	}
	secret = newSecret()
	client.ApiClient, err = db.New().ApiClientInsert(ctx, tx, db.ApiClientInsertParams{
		ID: edited.ID, Name: edited.Name, Scopes: edited.Scopes, CustomerID: edited.CustomerID, ExpiresAt: edited.ExpiresAt,
		AllowedNetworks: edited.AllowedNetworks, SecretHash: hash(secret), CreatedAt: tx.Now,
	})
	if err != nil {
		return Client{}, "", err
	}
	return client, secret, record(ctx, tx, "created", nil, &client.ApiClient)
}

// normalize brings the fields into the form that is stored, and refuses scopes that a limited client cannot have.
func normalize(client *db.ApiClient) error {
	var faults []fault.Field
	for i, scope := range client.Scopes {
		if !access.ClientMayHold(access.Scope(scope), client.CustomerID != nil) {
			faults = append(faults, fault.Field{
				Pointer: fmt.Sprintf("/scopes/%d", i), Code: "scope_not_allowed",
				Message: "cannot be had by a client that is limited to a customer",
			})
		}
	}
	networks := make([]string, len(client.AllowedNetworks))
	for i, text := range client.AllowedNetworks {
		network, err := access.ParseNetwork(text)
		if err != nil {
			faults = append(faults, fault.Field{
				Pointer: fmt.Sprintf("/allowed_networks/%d", i), Code: "invalid_format", Message: err.Error(),
			})
		}
		networks[i] = network.String()
	}
	slices.Sort(networks)
	client.AllowedNetworks = slices.Compact(networks)
	// In the order in which scopes are shown, whatever order they came in.
	client.Scopes = slices.DeleteFunc(scopeNames(access.Scopes()), func(s string) bool { return !slices.Contains(client.Scopes, s) })
	if len(faults) > 0 {
		return fault.InvalidBody(faults...)
	}
	return nil
}

func scopeNames(scopes []access.Scope) []string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return names
}

// lockCustomer keeps the customer that a client is to be limited to, before the client itself is locked.
func lockCustomer(ctx context.Context, tx *postgres.Tx, id *uuid.UUID) error {
	if id == nil {
		return nil
	}
	_, err := db.New().CustomerLockForKeyShare(ctx, tx, *id, nil)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.InvalidBody(fault.Field{
			Pointer: "/customer_id", Code: "reference_not_found", Message: "there is no such customer",
		})
	}
	return err
}

// Patch is what to change of a client (RFC 7396): what is not specified stays, null clears. Networks are checked.
type Patch struct {
	Name            *string
	Scopes          *[]string
	CustomerID      nullable.Nullable[uuid.UUID]
	ExpiresAt       nullable.Nullable[time.Time]
	AllowedNetworks nullable.Nullable[[]string]
}

func (p Patch) apply(client db.ApiClient) (db.ApiClient, error) {
	if p.Name != nil {
		client.Name = *p.Name
	}
	if p.Scopes != nil {
		client.Scopes = *p.Scopes
	}
	if p.AllowedNetworks.IsSpecified() {
		client.AllowedNetworks, _ = p.AllowedNetworks.Get() // null empties
	}
	mergepatch.Set(&client.CustomerID, p.CustomerID)
	mergepatch.Set(&client.ExpiresAt, p.ExpiresAt)
	return client, normalize(&client)
}

// Update changes a client. Nothing is written when the patch changes nothing. What decides about its access ends its access
// tokens, and the next one goes by what is new. So do its webhook endpoints.
func Update(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions, patch Patch) (Client, error) {
	if customerID, err := patch.CustomerID.Get(); err == nil {
		if err := lockCustomer(ctx, tx, &customerID); err != nil {
			return Client{}, err
		}
	}
	before, err := db.New().ApiClientGetForNoKeyUpdate(ctx, tx, id)
	if err != nil {
		return Client{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Client{}, err
	}
	edited, err := patch.apply(before)
	if err != nil {
		return Client{}, err
	}
	sameAccess := slices.Equal(before.Scopes, edited.Scopes) && mergepatch.Same(before.CustomerID, edited.CustomerID) &&
		slices.Equal(before.AllowedNetworks, edited.AllowedNetworks) && mergepatch.SameMoment(before.ExpiresAt, edited.ExpiresAt)
	if sameAccess && before.Name == edited.Name {
		return Get(ctx, tx, id)
	}
	if !sameAccess {
		edited.TokenEpoch++
		if err := tokens.RevokeBefore(ctx, tx, id, edited.TokenEpoch); err != nil {
			return Client{}, err
		}
	}
	if err := update(ctx, tx, before, edited); err != nil {
		return Client{}, err
	}
	if err := webhooks.SettleAPIClient(ctx, tx, id); err != nil {
		return Client{}, err
	}
	return Get(ctx, tx, id)
}

// RotateSecret gives a client a new secret. The one that it had goes on working for as long as the overlap; one from an
// earlier rotation ends. Access tokens are left alone.
func RotateSecret(
	ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions, overlap time.Duration,
) (client Client, secret string, err error) {
	before, err := db.New().ApiClientGetForNoKeyUpdate(ctx, tx, id)
	if err != nil {
		return Client{}, "", err
	}
	if err := versions.Check(before.Version); err != nil {
		return Client{}, "", err
	}
	secret = newSecret()
	edited := before
	edited.SecretHash, edited.SecretChangedAt = hash(secret), tx.Now
	edited.PreviousSecretHash, edited.PreviousSecretExpiresAt = nil, nil
	if overlap > 0 {
		ends := tx.Now.Add(overlap)
		edited.PreviousSecretHash, edited.PreviousSecretExpiresAt = before.SecretHash, &ends
	}
	if err := update(ctx, tx, before, edited); err != nil {
		return Client{}, "", err
	}
	client, err = Get(ctx, tx, id)
	return client, secret, err
}

// update stores a client as it was edited, with its event.
func update(ctx context.Context, tx *postgres.Tx, before, edited db.ApiClient) error {
	after, err := db.New().ApiClientUpdate(ctx, tx, db.ApiClientUpdateParams{
		ID: edited.ID, Name: edited.Name, Scopes: edited.Scopes, CustomerID: edited.CustomerID, ExpiresAt: edited.ExpiresAt,
		AllowedNetworks: edited.AllowedNetworks, SecretHash: edited.SecretHash, SecretChangedAt: edited.SecretChangedAt,
		PreviousSecretHash: edited.PreviousSecretHash, PreviousSecretExpiresAt: edited.PreviousSecretExpiresAt,
		TokenEpoch: edited.TokenEpoch, UpdatedAt: tx.Now,
	})
	if err != nil {
		return err
	}
	return record(ctx, tx, "updated", &before, &after)
}

// Delete removes a client with its access tokens and its secrets, also those that answers have shown, and ends its webhook
// endpoints. What it did stays in the change log.
func Delete(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions) error {
	client, err := db.New().ApiClientGetForUpdate(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := versions.Check(client.Version); err != nil {
		return err
	}
	if err := tokens.RevokeSubjectForGood(ctx, tx, id); err != nil {
		return err
	}
	if err := db.New().ApiClientDelete(ctx, tx, id); err != nil {
		return err
	}
	if err := idempotency.Erase(ctx, tx, id); err != nil {
		return err
	}
	if err := record(ctx, tx, "deleted", &client, nil); err != nil {
		return err
	}
	return webhooks.SettleAPIClient(ctx, tx, id)
}

// EndAllOfCustomers ends the access tokens of the clients that are limited to the customers, which are about to be deleted
// and take their clients with them, and forgets the secrets that answers have shown.
func EndAllOfCustomers(ctx context.Context, tx *postgres.Tx, customerIDs ...uuid.UUID) error {
	ended, err := db.New().ApiClientListForUpdateByCustomers(ctx, tx, customerIDs)
	if err != nil {
		return err
	}
	if err := tokens.RevokeSubjectForGood(ctx, tx, ended...); err != nil {
		return err
	}
	return idempotency.Erase(ctx, tx, ended...)
}

// Get reads a client.
func Get(ctx context.Context, database db.DBTX, id uuid.UUID) (Client, error) {
	row, err := db.New().ApiClientGetWithActivity(ctx, database, id)
	return Client{ApiClient: row.ApiClient, LastUsedAt: row.LastUsedAt}, err
}

// List reads a page of clients, the oldest first.
func List(ctx context.Context, database *postgres.DB, page paging.Request) (paging.Page[Client], error) {
	return paging.Read(page, paging.Query[Client, paging.ByTime]{
		Cursors: paging.CursorsOf("api clients"),
		Rows: func(after paging.ByTime, limit int32) ([]Client, error) {
			rows, err := db.New().ApiClientListOldestFirst(ctx, database, after.CreatedAt, after.ID, limit)
			clients := make([]Client, len(rows))
			for i, row := range rows {
				clients[i] = Client{ApiClient: row.ApiClient, LastUsedAt: row.LastUsedAt}
			}
			return clients, err
		},
		PlaceOf: func(client Client) paging.ByTime { return paging.ByTime{CreatedAt: client.CreatedAt, ID: client.ID} },
		Count:   func() (int64, error) { return db.New().ApiClientCount(ctx, database) },
	})
}

const secretPrefix = "cls_"

// newSecret makes a secret that cannot be guessed: 260 bits.
func newSecret() string { return secretPrefix + rand.Text() + rand.Text() }

// hash is what is kept of a secret. It needs no salt and no slowness: there are no two alike, and none that can be guessed.
func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// snapshot is a client as events show it: without its secrets. A new column is in no event until it is here.
type snapshot struct {
	ID                      uuid.UUID  `json:"id"`
	Name                    string     `json:"name"`
	Scopes                  []string   `json:"scopes"`
	CustomerID              *uuid.UUID `json:"customer_id"`
	ExpiresAt               *time.Time `json:"expires_at"`
	AllowedNetworks         []string   `json:"allowed_networks"`
	SecretChangedAt         time.Time  `json:"secret_changed_at"`
	PreviousSecretExpiresAt *time.Time `json:"previous_secret_expires_at"`
	Version                 int64      `json:"version"`
	CreatedAt               time.Time  `json:"created_at"`
	UpdatedAt               time.Time  `json:"updated_at"`
}

func snapshotOf(c db.ApiClient) snapshot {
	return snapshot{
		c.ID, c.Name, c.Scopes, c.CustomerID, c.ExpiresAt, c.AllowedNetworks, c.SecretChangedAt, c.PreviousSecretExpiresAt,
		c.Version, c.CreatedAt, c.UpdatedAt,
	}
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.ApiClient) error {
	event := events.Event{Kind: events.APIClient, What: what}
	if before != nil {
		event.Before = snapshotOf(*before)
		event.ResourceID, event.CustomerID, event.Version = before.ID, before.CustomerID, before.Version+1
	}
	if after != nil {
		event.After = snapshotOf(*after)
		event.ResourceID, event.CustomerID, event.Version = after.ID, after.CustomerID, after.Version
	}
	return events.Append(ctx, tx, event)
}
