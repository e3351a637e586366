// Package access knows who may do what: the scopes, and the roles that give them. It decides nothing about single
// rows; those belong to the queries.
package access

import (
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
	KindStaff    = "staff"
	KindIdentity = "identity"
	KindSystem   = "system"
)

// Principal is a caller whose token was verified.
type Principal struct {
	Kind       string // one of the kinds of caller
	ID         uuid.UUID
	Name       string
	CustomerID uuid.UUID // of an identity; a login never changes its customer
	SessionID  uuid.UUID
	Epoch      int32 // of the account, when the token was issued
	Scopes     []Scope
	ExpiresAt  time.Time
}

// Has tells whether the token carries the scope.
func (p *Principal) Has(scope Scope) bool { return slices.Contains(p.Scopes, scope) }
