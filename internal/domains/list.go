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
	"github.com/clientele-api/clientele/internal/textfold"
)

// Filter says which domains are meant; the zero value means all of them.
type Filter struct {
	Query            string     `json:"q,omitempty"`
	CustomerID       *uuid.UUID `json:"customer_id,omitempty"`
	Host             *string    `json:"host,omitempty"`
	Scheme           *string    `json:"scheme,omitempty"`
	SSLExpiresBefore *time.Time `json:"ssl_expires_before,omitempty"`
	TLSProtocol      *string    `json:"tls_protocol,omitempty"`
}

func (f Filter) where() postgres.Where {
	var where postgres.Where
	if f.Query != "" {
		if pattern, some := textfold.Pattern(f.Query); some {
			where.AndSearch("search_text LIKE " + where.Arg(pattern))
		} else {
			where.And("false")
		}
	}
	if f.CustomerID != nil {
		where.And("customer_id = " + where.Arg(*f.CustomerID))
	}
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

// list is the list of domains, in the orders of the contract.
var list = listing.List[db.Domain]{
	Resource: "domains", From: "domains",
	Columns: `id, customer_id, host, http_ports, scheme, origin, origin_port, cache_configuration, redirection,
		ssl_expires_at, tls_protocol, waf_configuration, version, created_at, updated_at, '' AS search_text`,
	ID: func(d db.Domain) uuid.UUID { return d.ID },
	Orders: map[string]listing.Order[db.Domain]{
		"host":       {Column: "host", Text: func(d db.Domain) string { return d.Host }},
		"created_at": {Column: "created_at", Time: func(d db.Domain) time.Time { return d.CreatedAt }},
		"updated_at": {Column: "updated_at", Time: func(d db.Domain) time.Time { return d.UpdatedAt }},
	},
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
		_, err = db.New().CustomerFind(ctx, database, customerID)
	}
	return found, err
}
