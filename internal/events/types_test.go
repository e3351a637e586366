package events

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
)

// TestWhatAFilterLetsThrough: who waits is woken by nothing else.
func TestWhatAFilterLetsThrough(t *testing.T) {
	t.Parallel()
	own, other := uuid.New(), uuid.New()
	all := func(access.Scope) bool { return true }
	event := db.EventListHeadersRow{Type: "customer.created", ResourceKind: Customer, CustomerID: &own, Ancestors: []uuid.UUID{own, other}}
	filter := NewFilter([]string{"customer.*"}, all)
	require.True(t, filter.Lets(event))
	require.True(t, NewFilter([]string{"note.created", "customer.created"}, all).Lets(event))
	require.False(t, NewFilter([]string{"note.*", "customer.updated"}, all).Lets(event))
	require.False(t, NewFilter([]string{"*"}, func(scope access.Scope) bool { return scope != "customers:read" }).Lets(event))
	for _, id := range event.Ancestors {
		filter.reach = &id
		require.True(t, filter.Lets(event))
	}
	elsewhere := uuid.New()
	filter.reach = &elsewhere
	require.False(t, filter.Lets(event))
	filter.reach, filter.customerID = nil, &own
	require.True(t, filter.Lets(event))
	filter.customerID = &other
	require.False(t, filter.Lets(event))
}
