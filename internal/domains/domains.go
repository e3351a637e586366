// Package domains keeps the inventory of hosts that customers have, and how each is served. It configures nothing: what is
// in it is for people and for other programs.
package domains

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/hostname"
	"github.com/clientele-api/clientele/internal/mergepatch"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/rawjson"
	"github.com/clientele-api/clientele/internal/reach"
	"github.com/clientele-api/clientele/internal/textfold"
)

// What a domain has of which nothing else is said.
const defaultScheme = "https"

var defaultPorts = []int32{80}

// Input is what a caller says of a new domain. Host and origin are checked.
type Input struct {
	Host               string
	HTTPPorts          []int32 // nil for the default
	Scheme             string  // "" for the default
	Origin             *string
	OriginPort         *int32
	CacheConfiguration json.RawMessage // an object; nil for none, as the next ones
	Redirection        json.RawMessage
	SSLExpiresAt       *time.Time
	TLSProtocol        *string
	WAFConfiguration   json.RawMessage
}

// Create adds a domain to a customer.
func Create(ctx context.Context, tx *postgres.Tx, customerID uuid.UUID, input Input) (db.Domain, error) {
	if err := customers.LockForKeyShare(ctx, tx, customerID); err != nil {
		return db.Domain{}, err
	}
	domain := db.Domain{
		Host: input.Host, HttpPorts: input.HTTPPorts, Scheme: input.Scheme, Origin: input.Origin,
		OriginPort: input.OriginPort, CacheConfiguration: input.CacheConfiguration, Redirection: input.Redirection,
		SslExpiresAt: input.SSLExpiresAt, TlsProtocol: input.TLSProtocol, WafConfiguration: input.WAFConfiguration,
	}
	if err := normalize(&domain); err != nil {
		return db.Domain{}, err
	}
	created, err := db.New().DomainInsert(ctx, tx, db.DomainInsertParams{
		ID: uuid.Must(uuid.NewV7()), CustomerID: customerID, Host: domain.Host, HttpPorts: domain.HttpPorts,
		Scheme: domain.Scheme, Origin: domain.Origin, OriginPort: domain.OriginPort,
		CacheConfiguration: domain.CacheConfiguration, Redirection: domain.Redirection,
		SslExpiresAt: domain.SslExpiresAt, TlsProtocol: domain.TlsProtocol, WafConfiguration: domain.WafConfiguration,
		CreatedAt: tx.Now, SearchText: domain.SearchText,
	})
	if err != nil {
		return db.Domain{}, err
	}
	return created, record(ctx, tx, "created", nil, &created)
}

// normalize brings host and origin into the form that is stored, and fills in what follows from the other fields.
func normalize(domain *db.Domain) (err error) {
	if domain.Host, err = hostname.Normalize(domain.Host); err != nil {
		return fault.InvalidBody(fault.Field{Pointer: "/host", Code: "invalid_format", Message: err.Error()})
	}
	search := []string{domain.Host, hostname.Unicode(domain.Host)}
	if domain.Origin != nil {
		origin, err := hostname.NormalizeOrigin(*domain.Origin)
		if err != nil {
			return fault.InvalidBody(fault.Field{Pointer: "/origin", Code: "invalid_format", Message: err.Error()})
		}
		domain.Origin = &origin
		search = append(search, origin)
	}
	if domain.HttpPorts == nil {
		domain.HttpPorts = defaultPorts
	}
	if domain.Scheme == "" {
		domain.Scheme = defaultScheme
	}
	domain.SearchText = textfold.SearchText(search...)
	return nil
}

// Patch is what to change of a domain (RFC 7396), by the names of the contract: what is not specified stays, null clears,
// configurations are merged.
type Patch struct {
	Host               *string                            `json:"host"`
	HTTPPorts          *[]int32                           `json:"http_ports"`
	Scheme             *string                            `json:"scheme"`
	Origin             nullable.Nullable[string]          `json:"origin"`
	OriginPort         nullable.Nullable[int32]           `json:"origin_port"`
	CacheConfiguration nullable.Nullable[json.RawMessage] `json:"cache_configuration"`
	Redirection        nullable.Nullable[json.RawMessage] `json:"redirection"`
	SSLExpiresAt       nullable.Nullable[time.Time]       `json:"ssl_expires_at"`
	TLSProtocol        nullable.Nullable[string]          `json:"tls_protocol"`
	WAFConfiguration   nullable.Nullable[json.RawMessage] `json:"waf_configuration"`
	Replaces           bool                               `json:"-"` // configurations instead of merging them
}

func (p Patch) apply(domain db.Domain) (db.Domain, error) {
	if p.Host != nil {
		domain.Host = *p.Host
	}
	if p.HTTPPorts != nil {
		domain.HttpPorts = *p.HTTPPorts
	}
	if p.Scheme != nil {
		domain.Scheme = *p.Scheme
	}
	mergepatch.Set(&domain.Origin, p.Origin)
	mergepatch.Set(&domain.OriginPort, p.OriginPort)
	mergepatch.Set(&domain.SslExpiresAt, p.SSLExpiresAt)
	mergepatch.Set(&domain.TlsProtocol, p.TLSProtocol)
	for _, one := range []struct {
		pointer string
		field   *json.RawMessage
		patch   nullable.Nullable[json.RawMessage]
	}{
		{"/cache_configuration", &domain.CacheConfiguration, p.CacheConfiguration},
		{"/redirection", &domain.Redirection, p.Redirection},
		{"/waf_configuration", &domain.WafConfiguration, p.WAFConfiguration},
	} {
		if p.Replaces {
			mergepatch.Replace(one.field, one.patch)
		} else if err := merge(one.pointer, one.field, one.patch); err != nil {
			return domain, err
		}
	}
	return domain, normalize(&domain)
}

// The limits of a configuration.
const (
	maxConfigurationBytes = 16 * 1024
	maxConfigurationDepth = 8
)

// merge merges a patch into a configuration and refuses an outcome beyond the limits.
func merge(pointer string, field *json.RawMessage, patch nullable.Nullable[json.RawMessage]) error {
	if !patch.IsSpecified() {
		return nil
	}
	if patch.IsNull() {
		*field = nil
		return nil
	}
	present := *field
	if present == nil {
		present = json.RawMessage("{}")
	}
	merged, err := mergepatch.Apply(present, patch.MustGet())
	if err != nil {
		return err
	}
	if len(merged) > maxConfigurationBytes || rawjson.Depth(merged) > maxConfigurationDepth {
		return fault.InvalidBody(fault.Field{
			Pointer: pointer, Code: "too_large", Message: "would have more than 16 KiB or be deeper than 8 levels",
		})
	}
	*field = merged
	return nil
}

// lock reads a domain for a change, and holds it until the transaction ends.
func lock(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (db.Domain, error) {
	if err := reach.Hold(ctx, tx); err != nil {
		return db.Domain{}, err
	}
	return db.New().DomainGetForUpdate(ctx, tx, id, tx.Reach)
}

// Update changes a domain. Nothing is written when the patch changes nothing.
func Update(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions, patch Patch) (db.Domain, error) {
	before, err := lock(ctx, tx, id)
	if err != nil {
		return db.Domain{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return db.Domain{}, err
	}
	edited, err := patch.apply(before)
	if err != nil || same(before, edited) {
		return before, err
	}
	return store(ctx, tx, before, edited)
}

// store writes a locked domain as it was edited, and its event.
func store(ctx context.Context, tx *postgres.Tx, before, edited db.Domain) (db.Domain, error) {
	after, err := db.New().DomainUpdate(ctx, tx, db.DomainUpdateParams{
		ID: before.ID, Host: edited.Host, HttpPorts: edited.HttpPorts, Scheme: edited.Scheme, Origin: edited.Origin,
		OriginPort: edited.OriginPort, CacheConfiguration: edited.CacheConfiguration, Redirection: edited.Redirection,
		SslExpiresAt: edited.SslExpiresAt, TlsProtocol: edited.TlsProtocol, WafConfiguration: edited.WafConfiguration,
		UpdatedAt: tx.Now, SearchText: edited.SearchText,
	})
	if err != nil {
		return db.Domain{}, err
	}
	return after, record(ctx, tx, "updated", &before, &after)
}

// same tells whether nothing has changed, however the configurations are written.
func same(before, edited db.Domain) bool {
	return before.Host == edited.Host && slices.Equal(before.HttpPorts, edited.HttpPorts) && before.Scheme == edited.Scheme &&
		mergepatch.Same(before.Origin, edited.Origin) && mergepatch.Same(before.OriginPort, edited.OriginPort) &&
		mergepatch.Same(before.TlsProtocol, edited.TlsProtocol) && mergepatch.SameMoment(before.SslExpiresAt, edited.SslExpiresAt) &&
		rawjson.Same(before.CacheConfiguration, edited.CacheConfiguration) &&
		rawjson.Same(before.Redirection, edited.Redirection) && rawjson.Same(before.WafConfiguration, edited.WafConfiguration)
}

// Delete removes a domain.
func Delete(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions) error {
	domain, err := lock(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := versions.Check(domain.Version); err != nil {
		return err
	}
	if err := db.New().DomainDelete(ctx, tx, id); err != nil {
		return err
	}
	return record(ctx, tx, "deleted", &domain, nil)
}

// snapshot is a domain as events show it. A new column is in no event until it is here.
type snapshot struct {
	ID                 uuid.UUID       `json:"id"`
	CustomerID         uuid.UUID       `json:"customer_id"`
	Host               string          `json:"host"`
	HTTPPorts          []int32         `json:"http_ports"`
	Scheme             string          `json:"scheme"`
	Origin             *string         `json:"origin"`
	OriginPort         *int32          `json:"origin_port"`
	CacheConfiguration json.RawMessage `json:"cache_configuration"`
	Redirection        json.RawMessage `json:"redirection"`
	SSLExpiresAt       *time.Time      `json:"ssl_expires_at"`
	TLSProtocol        *string         `json:"tls_protocol"`
	WAFConfiguration   json.RawMessage `json:"waf_configuration"`
	RestoredAt         *time.Time      `json:"restored_at"`
	Version            int64           `json:"version"`
	CreatedAt          time.Time       `json:"created_at"`
	UpdatedAt          time.Time       `json:"updated_at"`
}

func snapshotOf(d db.Domain) snapshot {
	return snapshot{
		d.ID, d.CustomerID, d.Host, d.HttpPorts, d.Scheme, d.Origin, d.OriginPort, d.CacheConfiguration, d.Redirection,
		d.SslExpiresAt, d.TlsProtocol, d.WafConfiguration, d.RestoredAt, d.Version, d.CreatedAt, d.UpdatedAt,
	}
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.Domain) error {
	return events.Append(ctx, tx, eventOf(what, before, after))
}

func eventOf(what string, before, after *db.Domain) events.Event {
	event := events.Event{Kind: events.Domain, What: what}
	if before != nil {
		event.Before = snapshotOf(*before)
		event.ResourceID, event.CustomerID, event.Version = before.ID, &before.CustomerID, before.Version+1
	}
	if after != nil {
		event.After = snapshotOf(*after)
		event.ResourceID, event.CustomerID, event.Version = after.ID, &after.CustomerID, after.Version
	}
	return event
}
