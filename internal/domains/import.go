package domains

import (
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/bulk"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/hostname"
	"github.com/clientele-api/clientele/internal/postgres"
)

// ImportRow is a domain of a file: a patch of the one with its host, or a new one.
type ImportRow struct{ Patch Patch }

// Keys gives the value by which the row names its domain.
func (r ImportRow) Keys() []bulk.Key {
	if host := r.host(); host != "" {
		return []bulk.Key{{Field: "host", Value: host}}
	}
	return nil
}

// host is the host of the row as it is stored; "" for none.
func (r ImportRow) host() string {
	if r.Patch.Host == nil {
		return ""
	}
	host, _ := hostname.Normalize(*r.Patch.Host)
	return host
}

// Import creates the customer's domains of the rows, or changes those that have their hosts, and tells of each row what
// became of it. Rows that are refused keep no other from being written. Without write it only tells. No two rows have the
// same host. When somebody else creates a domain of the rows at the same moment the transaction fails, and may be tried
// again.
func Import(
	ctx context.Context, tx *postgres.Tx, customerID uuid.UUID, rows []ImportRow, onConflict bulk.OnConflict, write bool,
) ([]bulk.Result, error) {
	if err := customers.LockForKeyShare(ctx, tx, customerID); err != nil {
		return nil, err
	}
	i := importing{tx: tx, customerID: customerID, rows: rows, results: make([]bulk.Result, len(rows)), write: write}
	hosts := make([]string, 0, len(rows))
	for _, row := range rows {
		hosts = append(hosts, row.host())
	}
	found, err := db.New().DomainFindByHosts(ctx, tx, hosts)
	if err != nil {
		return nil, err
	}
	present := map[string]db.DomainFindByHostsRow{}
	for _, domain := range found {
		present[domain.Host] = domain
	}
	changes := map[uuid.UUID]int{}
	var additions []int
	for at := range rows {
		domain, there := present[hosts[at]]
		switch {
		case !there:
			additions = append(additions, at)
		case domain.CustomerID != customerID:
			i.results[at] = bulk.Refuse(hostTaken("a domain of another customer has this host"))
		case onConflict == bulk.Skip:
			i.results[at] = bulk.Result{Outcome: bulk.Skipped, ResourceID: &domain.ID}
		case onConflict == bulk.Fail:
			i.results[at] = bulk.Refuse(hostTaken("the customer has a domain with this host already"))
			i.results[at].ResourceID = &domain.ID
		default:
			changes[domain.ID] = at
			i.results[at].ResourceID = &domain.ID
		}
	}
	if err := i.change(ctx, changes); err != nil {
		return nil, err
	}
	return i.results, i.add(ctx, additions)
}

// importing is an import of rows, with what became of those that are judged.
type importing struct {
	tx         *postgres.Tx
	customerID uuid.UUID
	rows       []ImportRow
	results    []bulk.Result
	write      bool
}

// judge refuses a row by an error that is the row's. Any other is given back.
func (i *importing) judge(at int, err error) error {
	why := bulk.RowFault(err)
	if why == nil {
		return err
	}
	i.results[at].Outcome, i.results[at].Fault = bulk.Refused, why
	return nil
}

// change changes domains, each as its row says. One that was deleted since it was found is new again.
func (i *importing) change(ctx context.Context, changes map[uuid.UUID]int) error {
	if len(changes) == 0 {
		return nil
	}
	present, err := db.New().DomainListForUpdate(ctx, i.tx, slices.Collect(maps.Keys(changes)))
	if err != nil {
		return err
	}
	for _, before := range present {
		if err := i.changeOne(ctx, changes[before.ID], before); err != nil {
			return err
		}
		delete(changes, before.ID)
	}
	return i.add(ctx, slices.Sorted(maps.Values(changes)))
}

func (i *importing) changeOne(ctx context.Context, at int, before db.Domain) error {
	edited, err := i.rows[at].Patch.apply(before)
	if err != nil {
		return i.judge(at, err)
	}
	i.results[at].Outcome = bulk.Skipped
	if same(before, edited) {
		return nil
	}
	i.results[at].Outcome = bulk.Updated
	if !i.write {
		return nil
	}
	err = i.tx.Savepoint(ctx, func(tx *postgres.Tx) error {
		_, err := store(ctx, tx, before, edited)
		return err
	})
	if err != nil {
		return i.judge(at, err)
	}
	return nil
}

// add creates the domains of the rows.
func (i *importing) add(ctx context.Context, additions []int) error {
	var created []db.DomainCopyParams
	var creations []events.Event
	for _, at := range additions {
		domain, err := i.rows[at].Patch.apply(db.Domain{
			ID: uuid.Must(uuid.NewV7()), CustomerID: i.customerID, Version: 1, CreatedAt: i.tx.Now, UpdatedAt: i.tx.Now,
		})
		if err != nil {
			if err := i.judge(at, err); err != nil {
				return err
			}
			continue
		}
		i.results[at] = bulk.Result{Outcome: bulk.Created}
		if !i.write {
			continue
		}
		created = append(created, db.DomainCopyParams{
			ID: domain.ID, CustomerID: domain.CustomerID, Host: domain.Host, HttpPorts: domain.HttpPorts, Scheme: domain.Scheme,
			Origin: domain.Origin, OriginPort: domain.OriginPort, CacheConfiguration: domain.CacheConfiguration,
			Redirection: domain.Redirection, SslExpiresAt: domain.SslExpiresAt, TlsProtocol: domain.TlsProtocol,
			WafConfiguration: domain.WafConfiguration, CreatedAt: domain.CreatedAt, UpdatedAt: domain.UpdatedAt,
			SearchText: domain.SearchText,
		})
		creations = append(creations, eventOf("created", nil, &domain))
	}
	if len(created) == 0 {
		return nil
	}
	if _, err := db.New().DomainCopy(ctx, i.tx, created); err != nil {
		return err
	}
	return events.AppendAll(ctx, i.tx, creations)
}

func hostTaken(message string) *fault.Error {
	field := fault.Field{Pointer: "/host", Code: "host_taken", Message: message}
	return &fault.Error{Kind: fault.Conflict, Code: "host_taken", Detail: message, Fields: []fault.Field{field}}
}
