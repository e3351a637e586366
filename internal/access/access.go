// Package access knows who may do what: the scopes, and the roles that give them. It decides nothing about single
// rows; those belong to the queries.
package access

import (
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Scope is a permission that a token carries, as the contract names it.
type Scope string

// scopes holds every scope, in the order they are shown in.
var scopes = []Scope{
	"customers:read", "customers:write",
	"identities:read", "identities:write",
	"jobs:read", "jobs:write",
	"domains:read", "domains:write",
	"publishings:read",
	"terms:read", "terms:write",
	"backups:read", "backups:write",
	"events:read",
	"webhooks:read", "webhooks:write",
	"staff:read", "staff:write",
	"api-clients:read", "api-clients:write",
}

// Role is what a member of the staff is.
type Role string

// The roles.
const (
	Administrator Role = "administrator"
	Operator      Role = "operator"
	Viewer        Role = "viewer"
)

// granted is the one table of roles: what each may do. What is not in it, it may not.
var granted = map[Role][]Scope{
	Administrator: scopes,
	Operator: {
		"customers:read", "customers:write", "identities:read", "identities:write", "jobs:read", "jobs:write",
		"domains:read", "domains:write", "publishings:read", "terms:read", "backups:read", "events:read",
		"webhooks:read",
	},
	Viewer: {
		"customers:read", "identities:read", "jobs:read", "domains:read", "publishings:read", "terms:read",
		"events:read", "webhooks:read",
	},
}

// reserved are the scopes that are for people alone: what they open would let a program give itself more, or overwrite what
// only an administrator may.
var reserved = []Scope{
	"terms:write", "backups:write", "staff:read", "staff:write", "api-clients:read", "api-clients:write",
}

// boundless are the scopes whose operations are about all customers at once, which cannot be limited to one.
var boundless = []Scope{"webhooks:read", "webhooks:write"}

// ClientMayHold tells whether an API client can have the scope, one that is limited to a customer or one that is not.
func ClientMayHold(scope Scope, limited bool) bool {
	return slices.Contains(scopes, scope) && !slices.Contains(reserved, scope) && (!limited || !slices.Contains(boundless, scope))
}

// Scopes gives every scope there is.
func Scopes() []Scope { return slices.Clone(scopes) }

// Roles gives every role there is, the most powerful first.
func Roles() []Role { return []Role{Administrator, Operator, Viewer} }

// Scopes gives what the role may do; an unknown role may do nothing.
func (r Role) Scopes() []Scope { return slices.Clone(granted[r]) }

// Portal is the one scope of portal tokens: what it opens is for customers' own people, and nobody else.
const Portal Scope = "portal"

// The kinds of caller, as the contract's security schemes and the events name them.
const (
	KindStaff     = "staff"
	KindAPIClient = "api_client"
	KindIdentity  = "identity"
	KindSystem    = "system"
)

// Principal is a caller whose token was verified.
type Principal struct {
	Kind       string // one of the kinds of caller
	ID         uuid.UUID
	Name       string
	CustomerID uuid.UUID // of an identity, which never changes it; of an API client, that it is limited to, or none
	SessionID  uuid.UUID
	Epoch      int32 // of the account, when the token was issued
	Scopes     []Scope
	Networks   []netip.Prefix // from which alone the token may be used; none for all
	NotAfter   time.Time      // when the caller's access ends, however long a token lives; the zero time for never
	ExpiresAt  time.Time      // of the token
}

// Reach gives the customer that the caller is limited to, with those below it; nil for a caller that is not limited. It is
// the one place that says so.
func (p *Principal) Reach() *uuid.UUID {
	if p.Kind != KindAPIClient || p.CustomerID == uuid.Nil {
		return nil
	}
	return &p.CustomerID
}

// Has tells whether the token carries the scope.
func (p *Principal) Has(scope Scope) bool { return slices.Contains(p.Scopes, scope) }
