package domains

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/hostname"
	"github.com/clientele-api/clientele/internal/listing"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/reach"
)

// Filter says which domains are meant; the zero value means all of them.
type Filter struct {
	Query            string     `json:"q,omitempty"`
	CustomerID       *uuid.UUID `json:"customer_id,omitempty"`
	Descendants      bool       `json:"descendants,omitempty"` // of that customer, whose domains are meant too
	ManagedBy        *uuid.UUID `json:"managed_by,omitempty"`  // a login that must manage that customer
	Reach            *uuid.UUID `json:"reach,omitempty"`       // of the caller
	Host             *string    `json:"host,omitempty"`
	Scheme           *string    `json:"scheme,omitempty"`
	SSLExpiresBefore *time.Time `json:"ssl_expires_before,omitempty"`
	TLSProtocol      *string    `json:"tls_protocol,omitempty"`
}

func (f Filter) where() postgres.Where {
	var where postgres.Where
	if f.Query != "" {
		listing.Search(&where, f.Query)
	}
	if f.CustomerID != nil && f.Descendants {
		where.And(`customer_id IN (WITH RECURSIVE tree AS (
			SELECT ` + where.Arg(*f.CustomerID) + `::uuid AS id
			UNION ALL
			SELECT child.id FROM customers child JOIN tree ON child.parent_id = tree.id
		) SELECT id FROM tree)`)
	} else if f.CustomerID != nil {
		where.And("customer_id = " + where.Arg(*f.CustomerID))
	}
	if f.CustomerID != nil && f.ManagedBy != nil {
		where.And("manages(" + where.Arg(*f.ManagedBy) + ", " + where.Arg(*f.CustomerID) + ")")
	}
	reach.And(&where, "customer_id", f.Reach)
	if f.Host != nil {
		host, _ := hostname.Normalize(*f.Host) // one that is none finds nothing
		where.And("host = " + where.Arg(host))
	}
	if f.Scheme != nil {
		where.And("scheme = " + where.Arg(*f.Scheme))
	}
	if f.SSLExpiresBefore != nil {
		where.And("ssl_expires_at < " + where.Arg(*f.SSLExpiresBefore))
	}
	if f.TLSProtocol != nil {
		where.And("tls_protocol = " + where.Arg(*f.TLSProtocol))
	}
	return where
}

const listedColumns = `id, customer_id, host, http_ports, scheme, origin, origin_port, cache_configuration, redirection,
	ssl_expires_at, tls_protocol, waf_configuration, restored_at, version, created_at, updated_at, '' AS search_text`

// list is the list of domains, in the orders of the contract.
var list = listing.List[db.Domain]{
	Resource: "domains", From: "domains", Columns: listedColumns,
	ID:     func(d db.Domain) uuid.UUID { return d.ID },
	Orders: orders(func(d db.Domain) db.Domain { return d }),
}

// Named is a domain with the name of its customer.
type Named struct {
	db.Domain
	CustomerName string
}

// named is the same list with the names. They are joined, and not asked for row by row, so that the database may keep
// those that it has found already; every domain has its customer, and where the name is not read a left join costs nothing.
var named = listing.List[Named]{
	Resource: "domains",
	From:     "domains LEFT JOIN (SELECT id AS customer_id, name AS customer_name FROM customers) AS owners USING (customer_id)",
	Columns:  listedColumns + ", customer_name",
	ID:       func(d Named) uuid.UUID { return d.ID },
	Orders:   orders(func(d Named) db.Domain { return d.Domain }),
}

func orders[Row any](domain func(Row) db.Domain) map[string]listing.Order[Row] {
	return map[string]listing.Order[Row]{
		"host":       {Column: "host", Text: func(row Row) string { return domain(row).Host }},
		"created_at": {Column: "created_at", Time: func(row Row) time.Time { return domain(row).CreatedAt }},
		"updated_at": {Column: "updated_at", Time: func(row Row) time.Time { return domain(row).UpdatedAt }},
	}
}

// Reader reads all the domains that are meant, from a transaction that sees one moment.
func Reader(database postgres.Querier, filter Filter, sort string) (*listing.Reader[Named], error) {
	return named.Reader(database, filter.where, sort)
}

// List reads a page of the domains that are meant. Sort names an order, with a minus before it to turn it round.
func List(
	ctx context.Context, database *postgres.DB, filter Filter, sort string, page paging.Request,
) (paging.Page[db.Domain], error) {
	return list.Read(ctx, database, filter, filter.where, sort, page)
}

// ListOfCustomer is List for the domains of one customer, which must be there.
func ListOfCustomer(
	ctx context.Context, database *postgres.DB, customerID uuid.UUID, filter Filter, sort string, page paging.Request,
) (paging.Page[db.Domain], error) {
	filter.CustomerID = &customerID
	found, err := List(ctx, database, filter, sort, page)
	if err == nil && len(found.Rows) == 0 {
		_, err = db.New().CustomerFind(ctx, database, customerID, filter.Reach)
	}
	return found, err
}
