package access_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/uuid"
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

func TestWhatClientsMayHold(t *testing.T) {
	t.Parallel()
	people := []access.Scope{"terms:write", "backups:write", "staff:read", "staff:write", "api-clients:read", "api-clients:write"}
	for _, scope := range access.Scopes() {
		require.Equal(t, !slices.Contains(people, scope), access.ClientMayHold(scope, false), scope)
		boundless := scope == "webhooks:read" || scope == "webhooks:write"
		require.Equal(t, !slices.Contains(people, scope) && !boundless, access.ClientMayHold(scope, true), scope)
	}
	for _, unknown := range []access.Scope{"", "portal", access.Portal, "customers:*"} {
		require.False(t, access.ClientMayHold(unknown, false), unknown)
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	customer := uuid.New()
	require.Equal(t, &customer, (&access.Principal{Kind: access.KindAPIClient, CustomerID: customer}).Reach())
	require.Nil(t, (&access.Principal{Kind: access.KindAPIClient}).Reach())
	// A login belongs to its customer, which limits it by other means.
	require.Nil(t, (&access.Principal{Kind: access.KindIdentity, CustomerID: customer}).Reach())
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]string{
		"10.1.2.3/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "2001:DB8::1": "2001:db8::1/128", "::/0": "::/0", "0.0.0.0/0": "0.0.0.0/0",
	} {
		network, err := access.ParseNetwork(text)
		require.NoError(t, err, text)
		require.Equal(t, expected, network.String())
	}
	for _, text := range []string{"", "x", "10.0.0.0/33", "10.0.0", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.0/8 ", "10.0.0.0/-1"} {
		require.Error(t, access.CheckNetwork(text), text)
	}
	caller := access.Principal{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}
	for address, expected := range map[string]bool{
		"10.255.0.1": true, "::ffff:10.0.0.1": true, "11.0.0.1": false, "2001:db8::5": true, "2001:db9::5": false,
		"": false, "10.0.0.1:80": false, "nonsense": false,
	} {
		require.Equal(t, expected, caller.MayComeFrom(address), address)
		require.True(t, (&access.Principal{}).MayComeFrom(address), "without networks from everywhere")
	}
}
