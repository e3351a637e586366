package customers

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/listing"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/rawjson"
	"github.com/clientele-api/clientele/internal/reach"
	"github.com/clientele-api/clientele/internal/textfold"
)

// listedColumns are the columns of a list: all but the ones that only searching needs, which stay empty.
const listedColumns = `id, name, email, phone, company, address, comments, modules, properties, parent_id, external_id,
	locale, status, invited_at, restored_at, version, created_at, updated_at, name_key, NULL::text AS email_key, '' AS search_text,
	'{}'::int4[] AS search_grams,
	(` + lastActivity + `) AS last_activity_at,
	(SELECT version FROM terms WHERE id = (SELECT terms_id` + accepted + `)) AS terms_version,
	(SELECT accepted_at` + accepted + `) AS terms_accepted_at`

// accepted is a customer's acceptance of the current terms.
const accepted = ` FROM terms_acceptances WHERE customer_id = customers.id AND is_first
	AND terms_id = (SELECT id FROM terms ORDER BY version DESC LIMIT 1)`

// lastActivity is when a customer of a list was last active; null for never.
const lastActivity = "SELECT last_activity_at FROM customer_activity WHERE customer_id = customers.id"

// Filter says which customers are meant; the zero value means all of them. It is the one filter for everything that
// works on many customers.
type Filter struct {
	Query             string            `json:"q,omitempty"`
	Status            *string           `json:"status,omitempty"`
	ParentID          *uuid.UUID        `json:"parent_id,omitempty"`
	AncestorID        *uuid.UUID        `json:"ancestor_id,omitempty"`
	ManagedBy         *uuid.UUID        `json:"managed_by,omitempty"` // a login; a text is not looked for in what it does not see
	Reach             *uuid.UUID        `json:"reach,omitempty"`      // of the caller
	Email             *string           `json:"email,omitempty"`
	ExternalID        *string           `json:"external_id,omitempty"`
	Module            *string           `json:"module,omitempty"`
	CreatedBefore     *time.Time        `json:"created_before,omitempty"`
	CreatedAfter      *time.Time        `json:"created_after,omitempty"`
	UpdatedBefore     *time.Time        `json:"updated_before,omitempty"`
	NoActivitySince   *time.Time        `json:"no_activity_since,omitempty"`
	NeverSignedIn     *bool             `json:"never_signed_in,omitempty"`
	Invited           *bool             `json:"invited,omitempty"`
	TermsAccepted     *bool             `json:"terms_accepted,omitempty"`
	ExpiredInvitation *bool             `json:"expired_invitation,omitempty"`
	Now               time.Time         `json:"-"` // when an invitation has expired, and terms are the current ones
	Properties        map[string]string `json:"properties,omitempty"`
}

// list is the list of customers, in the orders of the contract.
var list = listing.List[Customer]{
	Resource: "customers", From: "customers", Columns: listedColumns,
	ID: func(c Customer) uuid.UUID { return c.ID },
	Orders: map[string]listing.Order[Customer]{
		"created_at": {Column: "created_at", Time: func(c Customer) time.Time { return c.CreatedAt }},
		"updated_at": {Column: "updated_at", Time: func(c Customer) time.Time { return c.UpdatedAt }},
		"name":       {Column: "name_key", Text: func(c Customer) string { return c.NameKey }},
	},
}

// List reads a page of the customers that are meant. Sort names an order, with a minus before it to turn it round.
func List(
	ctx context.Context, database *postgres.DB, filter Filter, sort string, page paging.Request,
) (paging.Page[Customer], error) {
	return list.Read(ctx, database, filter, filter.where, sort, page)
}

// Reader reads all the customers that are meant, from a transaction that sees one moment.
func Reader(database postgres.Querier, filter Filter, sort string) (*listing.Reader[Customer], error) {
	return list.Reader(database, filter.where, sort)
}

func (f Filter) where() postgres.Where {
	var where postgres.Where
	if f.Query != "" {
		f.whereQuery(&where)
	}
	if f.Status != nil {
		where.And("status = " + where.Arg(*f.Status))
	}
	if f.ParentID != nil {
		where.And("parent_id = " + where.Arg(*f.ParentID))
	}
	if f.AncestorID != nil {
		ancestor := where.Arg(*f.AncestorID)
		where.And(`id IN (WITH RECURSIVE below AS (
			SELECT child.id FROM customers child WHERE child.parent_id = ` + ancestor + reach.Of(&where, ancestor, f.Reach) + `
			UNION ALL
			SELECT child.id FROM customers child JOIN below ON child.parent_id = below.id
		) SELECT id FROM below)`)
	}
	if f.ManagedBy != nil {
		// The way up from each customer, which the function manages goes, would be one for every row.
		where.And(`id IN (WITH RECURSIVE below AS (
			SELECT child.id FROM customers child WHERE child.parent_id = (
				SELECT own.id FROM customers own JOIN identities ON identities.customer_id = own.id
				WHERE identities.id = ` + where.Arg(*f.ManagedBy) + ` AND identities.role = 'manager' AND own.status = 'active')
			UNION ALL
			SELECT child.id FROM customers child JOIN below ON child.parent_id = below.id
		) SELECT id FROM below)`)
	}
	reach.And(&where, "id", f.Reach)
	if f.Email != nil {
		where.And("email_key = " + where.Arg(textfold.CaseKey(*f.Email)))
	}
	if f.ExternalID != nil {
		where.And("external_id = " + where.Arg(*f.ExternalID))
	}
	if f.Module != nil {
		where.AndSearch("modules <> '{}' AND modules @> ARRAY[" + where.Arg(*f.Module) + "::text]")
	}
	if f.CreatedBefore != nil {
		where.And("created_at < " + where.Arg(*f.CreatedBefore))
	}
	if f.CreatedAfter != nil {
		where.And("created_at > " + where.Arg(*f.CreatedAfter))
	}
	if f.UpdatedBefore != nil {
		where.And("updated_at < " + where.Arg(*f.UpdatedBefore))
	}
	if f.NoActivitySince != nil {
		where.And("coalesce((" + lastActivity + "), created_at) < " + where.Arg(*f.NoActivitySince))
	}
	if f.NeverSignedIn != nil {
		where.And(presence(*f.NeverSignedIn, "("+lastActivity+") IS NULL"))
	}
	if f.ExpiredInvitation != nil {
		now := where.Arg(f.Now)
		where.And(presence(*f.ExpiredInvitation, `status IN ('unregistered', 'inactive') AND invited_at IS NOT NULL
			AND EXISTS (SELECT FROM activation_requests r WHERE r.customer_id = customers.id AND r.state = 'sent'
				AND r.expires_at <= `+now+`)
			AND NOT EXISTS (SELECT FROM activation_requests r WHERE r.customer_id = customers.id
				AND r.state IN ('draft', 'queued', 'sent', 'failed') AND r.expires_at > `+now+`)`))
	}
	if f.TermsAccepted != nil {
		where.And(presence(*f.TermsAccepted, `EXISTS (SELECT FROM terms_acceptances WHERE customer_id = customers.id AND is_first
			AND terms_id = (SELECT id FROM terms WHERE uploaded_at <= `+where.Arg(f.Now)+` ORDER BY version DESC LIMIT 1))`))
	}
	if f.Invited != nil {
		where.And(presence(*f.Invited, "invited_at IS NOT NULL"))
	}
	for key, value := range f.Properties {
		where.AndSearch("properties @> ANY (" + where.Arg(propertyMatches(key, value)) + "::jsonb[])")
	}
	return where
}

// whereQuery looks for the text anywhere: by its grams where it is long enough to have any, else by its trigrams.
func (f Filter) whereQuery(where *postgres.Where) {
	pattern, some := textfold.Pattern(f.Query)
	if !some {
		where.And("false")
		return
	}
	placeholder := where.Arg(pattern)
	like := "search_text LIKE " + placeholder
	if f.ManagedBy != nil {
		where.And("split_part(search_text, E'" + staffPart + "', 1) LIKE " + placeholder)
	}
	grams := textfold.CoveringGrams(f.Query)
	if grams == nil {
		where.AndSearch(like)
		return
	}
	// As a function, LIKE is checked without the index of trigrams, which would be walked for nothing.
	where.AndSearchBy(like, "search_grams @> %s::int4[] AND like(search_text, "+placeholder+")", grams)
}

// presence gives the predicate, or its opposite.
func presence(wanted bool, predicate string) string {
	if wanted {
		return predicate
	}
	return "NOT (" + predicate + ")"
}

// propertyMatches gives the objects of which one must be part of the properties for the key to have the value: as a
// string and, where it is written like one, as a number or a boolean; each alone or in a list.
func propertyMatches(key, value string) []string {
	quoted, _ := json.Marshal(value)
	forms := []string{string(quoted)}
	if isJSONScalar(value) {
		forms = append(forms, value)
	}
	name, _ := json.Marshal(key)
	matches := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		matches = append(matches, fmt.Sprintf("{%s:%s}", name, form), fmt.Sprintf("{%s:[%s]}", name, form))
	}
	return matches
}

// isJSONScalar tells whether the text is a boolean, or a number of a size that the database takes.
func isJSONScalar(text string) bool {
	if text == "true" || text == "false" {
		return true
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return false
	}
	refused, err := rawjson.Check([]byte(text), 1)
	return err == nil && len(refused) == 0
}

// staffPart comes before what only the staff finds customers by. No key has a tab in it.
const staffPart = "\n\t"

// searchText is what customers are searched by; a phone number also by its digits alone. The external id, which nobody but
// the staff may find out, is at the end.
func searchText(customer *db.Customer) string {
	fields := []string{customer.Name}
	for _, field := range []*string{customer.Email, customer.Company, customer.Phone} {
		if field != nil {
			fields = append(fields, *field)
		}
	}
	if customer.Phone != nil {
		fields = append(fields, digits(*customer.Phone))
	}
	text := textfold.SearchText(fields...)
	if customer.ExternalID != nil {
		text += staffPart + textfold.SearchText(*customer.ExternalID)
	}
	return text
}

func digits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}
