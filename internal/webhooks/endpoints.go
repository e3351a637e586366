package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/weburl"
)

// maxEndpoints is how many endpoints there are at most: each event is sent to all of them.
const maxEndpoints = 100

// The reasons why an endpoint is off.
const (
	byHand       = "manual"
	gone         = "gone"
	failing      = "failing"
	clientEnded  = "api_client_ended"
	clientMayNot = scopeMissing
)

// Input is what a caller says of a new endpoint.
type Input struct {
	URL         string
	EventTypes  []string // patterns
	Description string
}

// Create adds an endpoint, which gets what happens from now on. The secret is given back here and never again.
func (s *Service) Create(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, input Input,
) (created db.WebhookEndpoint, secret string, err error) {
	if err := s.check(caller, input.URL, input.EventTypes); err != nil {
		return created, "", err
	}
	if err := db.New().WebhookEndpointsLock(ctx, tx); err != nil {
		return created, "", err
	}
	count, err := db.New().WebhookEndpointCount(ctx, tx)
	if err != nil {
		return created, "", err
	}
	if count >= maxEndpoints {
		return created, "", &fault.Error{
			Kind: fault.Conflict, Code: "too_many_endpoints",
			Detail: fmt.Sprintf("There are %d webhook endpoints already. Delete one that nobody needs.", count),
		}
	}
	last, err := db.New().EventLastPosition(ctx, tx)
	if err != nil {
		return created, "", err
	}
	id := uuid.Must(uuid.NewV7())
	secret = newSecret()
	created, err = db.New().WebhookEndpointInsert(ctx, tx, db.WebhookEndpointInsertParams{
		ID: id, Url: input.URL, Description: input.Description, EventTypes: input.EventTypes,
		Scopes: events.ReadScopes(caller.Scopes), SecretSealed: seal(s.keyring, id, secret), AfterPosition: last,
		OwnerKind: tx.Actor.Kind, OwnerID: tx.Actor.ID, OwnerName: tx.Actor.Name, CreatedAt: tx.Now,
	})
	if err != nil {
		return created, "", err
	}
	return created, secret, record(ctx, tx, "created", nil, &created)
}

// check refuses a URL that nothing could be sent to, and types whose kind of resource the caller may not read.
func (s *Service) check(caller *access.Principal, url string, patterns []string) error {
	var faults []fault.Field
	parsed, err := weburl.Parse(url)
	if err != nil {
		return fault.InvalidBody(fault.Field{Pointer: "/url", Code: "invalid_format", Message: err.Error()})
	}
	address, isAddress := weburl.Address(parsed)
	switch {
	case parsed.Scheme == "http" && len(s.sender.allow) == 0:
		faults = append(faults, fault.Field{Pointer: "/url", Code: "https_required", Message: "must be an https URL"})
	case !isAddress: // where a name leads is known when something is sent
	case s.sender.mayReach(parsed.Scheme, address):
	case s.sender.mayReach("https", address):
		faults = append(faults, fault.Field{
			Pointer: "/url", Code: "https_required", Message: "must be an https URL, since the address is a public one",
		})
	default:
		faults = append(faults, fault.Field{
			Pointer: "/url", Code: "address_not_allowed", Message: "must not lead to an address that is not public",
		})
	}
	for i, pattern := range patterns {
		if scope := events.ScopeOf(pattern); scope != "" && !caller.Has(scope) {
			faults = append(faults, fault.Field{
				Pointer: fmt.Sprintf("/event_types/%d", i), Code: "scope_missing",
				Message: "needs the scope " + string(scope) + ", which you lack",
			})
		}
	}
	if len(faults) > 0 {
		return fault.InvalidBody(faults...)
	}
	return nil
}

// Patch is what to change of an endpoint; nil stays.
type Patch struct {
	URL         *string
	EventTypes  *[]string
	Description *string
	Enabled     *bool
}

// Update changes an endpoint. Who says what is sent where, be it what is there already, owns it from then on, and it goes by
// the scopes that they have by now.
func (s *Service) Update(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, id uuid.UUID, versions etag.Versions, patch Patch,
) (db.WebhookEndpoint, error) {
	before, err := lock(ctx, tx, id, versions)
	if err != nil {
		return before, err
	}
	edited := patch.apply(before)
	scopes := events.ReadScopes(caller.Scopes)
	chosen := patch.chooses() && (edited.Url != before.Url || !slices.Equal(edited.EventTypes, before.EventTypes) ||
		edited.Enabled && !before.Enabled || !ownedBy(before, tx.Actor) || !slices.Equal(scopes, before.Scopes))
	if chosen {
		if err := s.check(caller, edited.Url, edited.EventTypes); err != nil {
			return before, err
		}
		edited.Scopes = scopes
		edited.OwnerKind, edited.OwnerID, edited.OwnerName = tx.Actor.Kind, tx.Actor.ID, tx.Actor.Name
	}
	if edited.Url != before.Url {
		edited.FailingSince = nil
	}
	switch {
	case edited.Enabled && !before.Enabled:
		edited.DisabledReason, edited.FailingSince = nil, nil
		reason := endpointOff
		if err := db.New().WebhookDeliveryFailAll(ctx, tx, &reason, &tx.Now, id); err != nil { // what was to be sent before
			return before, err
		}
		if edited.AfterPosition, err = db.New().EventLastPosition(ctx, tx); err != nil {
			return before, err
		}
	case before.Enabled && !edited.Enabled:
		reason := byHand
		edited.DisabledReason = &reason
	case !chosen && edited.Description == before.Description:
		return before, nil
	}
	return update(ctx, tx, before, edited)
}

// chooses tells whether the patch says what is sent where, be it what is there already.
func (p Patch) chooses() bool {
	return p.URL != nil || p.EventTypes != nil || p.Enabled != nil && *p.Enabled
}

func (p Patch) apply(endpoint db.WebhookEndpoint) db.WebhookEndpoint {
	if p.URL != nil {
		endpoint.Url = *p.URL
	}
	if p.EventTypes != nil {
		endpoint.EventTypes = *p.EventTypes
	}
	if p.Description != nil {
		endpoint.Description = *p.Description
	}
	if p.Enabled != nil {
		endpoint.Enabled = *p.Enabled
	}
	return endpoint
}

// RotateSecret gives an endpoint a new secret. The one before it signs, too, for as long as the overlap.
func (s *Service) RotateSecret(
	ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions, overlap time.Duration,
) (endpoint db.WebhookEndpoint, secret string, err error) {
	before, err := lock(ctx, tx, id, versions)
	if err != nil {
		return before, "", err
	}
	secret = newSecret()
	edited := before
	edited.SecretSealed = seal(s.keyring, id, secret)
	edited.PreviousSecretSealed, edited.PreviousSecretUntil = nil, nil
	if overlap > 0 {
		until := tx.Now.Add(overlap)
		edited.PreviousSecretSealed, edited.PreviousSecretUntil = before.SecretSealed, &until
	}
	endpoint, err = update(ctx, tx, before, edited)
	return endpoint, secret, err
}

// Delete removes an endpoint with its deliveries, and its secrets wherever answers have shown them.
func (s *Service) Delete(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions) error {
	endpoint, err := db.New().WebhookEndpointGetForUpdate(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := versions.Check(endpoint.Version); err != nil {
		return err
	}
	if err := db.New().WebhookEndpointDelete(ctx, tx, id); err != nil {
		return err
	}
	if err := idempotency.Erase(ctx, tx, id); err != nil {
		return err
	}
	endpoint.Version++
	return record(ctx, tx, "deleted", &endpoint, nil)
}

// disable switches an endpoint off for what was seen of it, unless somebody changed that or something arrived meanwhile.
func (s *Service) disable(ctx context.Context, tried db.WebhookEndpoint, reason string) error {
	return s.db.Change(ctx, system, func(tx *postgres.Tx) error {
		before, err := db.New().WebhookEndpointGetForNoKeyUpdate(ctx, tx, tried.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if !before.Enabled || before.Url != tried.Url || reason == failing && before.FailingSince == nil {
			return nil
		}
		edited := before
		edited.Enabled, edited.DisabledReason = false, &reason
		_, err = update(ctx, tx, before, edited)
		return err
	})
}

// lock keeps others from changing an endpoint, which is given as its owner may have it by now.
func lock(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions) (db.WebhookEndpoint, error) {
	endpoint, err := db.New().WebhookEndpointGetForNoKeyUpdate(ctx, tx, id)
	if err != nil {
		return endpoint, err
	}
	if err := versions.Check(endpoint.Version); err != nil {
		return endpoint, err
	}
	return settle(ctx, tx, endpoint)
}

// update stores an endpoint as it was edited, with its event.
func update(ctx context.Context, tx *postgres.Tx, before, edited db.WebhookEndpoint) (db.WebhookEndpoint, error) {
	after, err := db.New().WebhookEndpointUpdate(ctx, tx, db.WebhookEndpointUpdateParams{
		ID: edited.ID, Url: edited.Url, Description: edited.Description, EventTypes: edited.EventTypes, Scopes: edited.Scopes,
		OwnerKind: edited.OwnerKind, OwnerID: edited.OwnerID, OwnerName: edited.OwnerName,
		Enabled: edited.Enabled, DisabledReason: edited.DisabledReason, SecretSealed: edited.SecretSealed,
		PreviousSecretSealed: edited.PreviousSecretSealed, PreviousSecretUntil: edited.PreviousSecretUntil,
		AfterPosition: edited.AfterPosition, FailingSince: edited.FailingSince, UpdatedAt: tx.Now,
	})
	if err != nil {
		return after, err
	}
	return after, record(ctx, tx, "updated", &before, &after)
}

// Get reads an endpoint.
func Get(ctx context.Context, database db.DBTX, id uuid.UUID) (db.WebhookEndpoint, error) {
	return db.New().WebhookEndpointGet(ctx, database, id)
}

// List reads a page of endpoints, the oldest first.
func List(ctx context.Context, database *postgres.DB, page paging.Request) (paging.Page[db.WebhookEndpoint], error) {
	return paging.Read(page, paging.Query[db.WebhookEndpoint, paging.ByTime]{
		Cursors: paging.CursorsOf("webhook endpoints"),
		Rows: func(after paging.ByTime, limit int32) ([]db.WebhookEndpoint, error) {
			return db.New().WebhookEndpointListOldestFirst(ctx, database, after.CreatedAt, after.ID, limit)
		},
		PlaceOf: func(endpoint db.WebhookEndpoint) paging.ByTime {
			return paging.ByTime{CreatedAt: endpoint.CreatedAt, ID: endpoint.ID}
		},
		Count: func() (int64, error) { return db.New().WebhookEndpointCount(ctx, database) },
	})
}

// snapshot is an endpoint as events show it: without its secrets.
type snapshot struct {
	ID             uuid.UUID `json:"id"`
	URL            string    `json:"url"`
	Description    string    `json:"description"`
	EventTypes     []string  `json:"event_types"`
	Scopes         []string  `json:"scopes"`
	Enabled        bool      `json:"enabled"`
	DisabledReason *string   `json:"disabled_reason"`
	Version        int64     `json:"version"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`

	Owner                   owner      `json:"owner"`
	PreviousSecretExpiresAt *time.Time `json:"previous_secret_expires_at"`
}

// owner is who owns an endpoint, as events show it.
type owner struct {
	Kind string     `json:"kind"`
	ID   *uuid.UUID `json:"id"`
	Name string     `json:"name"`
}

func snapshotOf(e *db.WebhookEndpoint) snapshot {
	return snapshot{
		e.ID, e.Url, e.Description, e.EventTypes, e.Scopes, e.Enabled, e.DisabledReason, e.Version, e.CreatedAt, e.UpdatedAt,
		owner{e.OwnerKind, e.OwnerID, e.OwnerName}, e.PreviousSecretUntil,
	}
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.WebhookEndpoint) error {
	event := events.Event{Kind: events.WebhookEndpoint, What: what}
	if before != nil {
		event.Before, event.ResourceID, event.Version = snapshotOf(before), before.ID, before.Version
	}
	if after != nil {
		event.After, event.ResourceID, event.Version = snapshotOf(after), after.ID, after.Version
	}
	return events.Append(ctx, tx, event)
}
