package access_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
)

// The roles are written out here once more: what somebody may do is not to change by accident.
var (
	viewer = []access.Scope{
		"customers:read", "identities:read", "jobs:read", "domains:read", "publishings:read", "terms:read", "events:read",
		"webhooks:read",
	}
	operator = append([]access.Scope{
		"customers:write", "identities:write", "jobs:write", "domains:write", "backups:read",
	}, viewer...)
	administrator = append([]access.Scope{
		"terms:write", "backups:write", "webhooks:write", "staff:read", "staff:write", "api-clients:read", "api-clients:write",
	}, operator...)
)

func TestRoles(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, viewer, access.Viewer.Scopes())
	require.ElementsMatch(t, operator, access.Operator.Scopes())
	require.ElementsMatch(t, administrator, access.Administrator.Scopes())
	require.Equal(t, access.Scopes(), access.Administrator.Scopes(), "in the order of the list")
	for _, unknown := range []access.Role{"", "portal", "Administrator"} {
		require.Empty(t, unknown.Scopes())
	}
	require.ElementsMatch(t, []access.Role{access.Administrator, access.Operator, access.Viewer}, access.Roles())
}

func TestScopesAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	for _, scopes := range [][]access.Scope{access.Scopes(), access.Operator.Scopes()} {
		for i := range scopes {
			scopes[i] = "changed"
		}
	}
	require.NotContains(t, access.Scopes(), access.Scope("changed"))
	require.ElementsMatch(t, operator, access.Operator.Scopes())
	sorted := access.Scopes()
	slices.Sort(sorted)
	require.Len(t, slices.Compact(sorted), len(access.Scopes()), "no scope twice")
}

func TestPrincipalHas(t *testing.T) {
	t.Parallel()
	principal := access.Principal{Scopes: []access.Scope{"customers:read"}}
	require.True(t, principal.Has("customers:read"))
	for _, other := range []access.Scope{"customers:write", "customers", "customers:", "", "staff:read"} {
		require.False(t, principal.Has(other))
	}
}
