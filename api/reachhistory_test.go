package api_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/apitest"
)

// TestEventsOfALimitedClient: an event counts by where its customer was when it was written.
func TestEventsOfALimitedClient(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	k := kinOf(t, s)
	other := k.admin.APIClient(t, apitest.Fields{"customer_id": k.outside.Id})
	start := func(caller *apitest.Caller) string {
		var feed openapi.EventFeed
		caller.Must(t, 200, "GET", "/v1/events?from=now", nil).JSON(t, &feed)
		return feed.NextCursor
	}
	settled(t, s)
	clientFrom, otherFrom := start(k.client), start(other)

	mover := k.admin.Customer(t, apitest.Fields{"parent_id": k.child.Id})
	k.admin.Note(t, mover.Id, "while it was theirs")
	k.admin.Must(t, 200, "PATCH", path(mover), apitest.Fields{"parent_id": k.outside.Id})
	k.admin.Note(t, mover.Id, "while it was not")
	k.admin.Customer(t, nil) // of neither
	remove(t, k.admin, mover)

	types := func(caller *apitest.Caller, from string) (found []string) {
		var feed openapi.EventFeed
		caller.Must(t, 200, "GET", "/v1/events?cursor="+from, nil).JSON(t, &feed)
		for _, event := range feed.Data {
			require.Equal(t, mover.Id, *event.CustomerId)
			found = append(found, event.Type)
		}
		return found
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, []string{"customer.created", "note.created", "customer.updated"}, types(k.client, clientFrom))
		assert.Equal(c, []string{"customer.updated", "note.created", "customer.deleted"}, types(other, otherFrom))
	}, 5*time.Second, 20*time.Millisecond)

	var page openapi.EventPage
	other.Must(t, 200, "GET", path(mover)+"/events", nil).JSON(t, &page)
	require.Len(t, page.Data, 3, "what happened while it was theirs")
	k.client.Must(t, 404, "GET", path(mover)+"/events", nil)
	remaining := k.admin.Customer(t, apitest.Fields{"parent_id": k.child.Id})
	k.admin.Must(t, 200, "PATCH", path(remaining), apitest.Fields{"parent_id": k.outside.Id})
	k.client.Must(t, 404, "GET", path(remaining)+"/events", nil)
	require.Equal(t, "customer.updated", history(t, other, remaining)[0].Type)
	require.Len(t, history(t, other, remaining), 1)
}

// TestHistoryOfWhatWasMovedOut: it is not there, on no page, whatever becomes of the customer elsewhere. That of a customer
// which was deleted is told to who had it then.
func TestHistoryOfWhatWasMovedOut(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	s.Work(t)
	k := kinOf(t, s)
	other := k.admin.APIClient(t, apitest.Fields{"customer_id": k.outside.Id})
	below := func(parent openapi.Customer) openapi.Customer {
		return k.admin.Customer(t, apitest.Fields{"parent_id": parent.Id})
	}
	move := func(customer, parent openapi.Customer) {
		t.Helper()
		k.admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"parent_id": parent.Id})
	}
	cursorOf := func(customer openapi.Customer) string { // of the second page
		t.Helper()
		var page openapi.EventPage
		k.client.Must(t, 200, "GET", path(customer)+"/events?limit=1", nil).JSON(t, &page)
		require.NotNil(t, page.NextCursor)
		return "?cursor=" + *page.NextCursor
	}
	unknown := k.client.Must(t, 404, "GET", "/v1/customers/"+uuid.NewString()+"/events", nil).Problem(t)
	requireHidden := func(customer openapi.Customer, cursors ...string) {
		t.Helper()
		for _, query := range append(cursors, "", "?limit=1") {
			found := k.client.Must(t, 404, "GET", path(customer)+"/events"+query, nil).Problem(t)
			require.Equal(t, unknown.Code, found.Code)
			require.Equal(t, unknown.Detail, found.Detail)
		}
	}
	types := func(caller *apitest.Caller, customer openapi.Customer) (found []string) {
		t.Helper()
		for _, event := range history(t, caller, customer) {
			found = append(found, event.Type)
		}
		return found
	}

	mover := below(k.child)
	k.admin.Note(t, mover.Id, "inside")
	cursor := cursorOf(mover)
	move(mover, k.outside)
	requireHidden(mover, cursor)
	remove(t, k.admin, mover)
	requireHidden(mover, cursor)
	all := []string{"customer.deleted", "customer.updated", "note.created", "customer.created"}
	require.Equal(t, all, types(k.admin, mover))
	require.Equal(t, all[:2], types(other, mover))

	returned := below(k.child)
	k.admin.Note(t, returned.Id, "inside")
	cursor = cursorOf(returned)
	move(returned, k.outside)
	k.admin.Note(t, returned.Id, "outside")
	requireHidden(returned, cursor)
	move(returned, k.own)
	inside := []string{"customer.updated", "customer.updated", "note.created", "customer.created"}
	require.Equal(t, inside, types(k.client, returned))
	remove(t, k.admin, returned)
	require.Equal(t, append([]string{"customer.deleted"}, inside...), types(k.client, returned))
	var rest openapi.EventPage
	k.client.Must(t, 200, "GET", path(returned)+"/events"+cursor, nil).JSON(t, &rest)
	require.Len(t, rest.Data, 1)
	require.Equal(t, "customer.created", rest.Data[0].Type)
	other.Must(t, 404, "GET", path(returned)+"/events", nil)

	// With its parent, which alone was moved.
	for _, at := range []openapi.Customer{k.own, k.outside} {
		parent := below(k.child)
		child := below(parent)
		k.admin.Note(t, child.Id, "inside")
		cursor := cursorOf(child)
		move(parent, at)
		both := apitest.Fields{"ids": []uuid.UUID{parent.Id, child.Id}}
		done := deleted(t, k.admin, both, *settledPlan(t, s, k.admin, both).ConfirmationToken)
		require.EqualValues(t, 2, done.Progress.Deleted)
		if at.Id == k.own.Id {
			require.Equal(t, []string{"customer.deleted", "customer.updated", "customer.created"}, types(k.client, parent))
			require.Equal(t, []string{"customer.deleted", "note.created", "customer.created"}, types(k.client, child))
			continue
		}
		requireHidden(parent)
		requireHidden(child, cursor)
		require.Equal(t, []string{"customer.deleted"}, types(other, child))
	}

	// What was deleted, came out of a backup and was moved out is there no more, however it was deleted before.
	again := below(k.child)
	archive := backup(t, k.admin, again)
	remove(t, k.admin, again)
	require.Equal(t, []string{"customer.deleted", "backup.taken", "customer.created"}, types(k.admin, again))
	require.Equal(t, "customer.deleted", types(k.client, again)[0])
	restore(t, k.admin, archive, "")
	require.Equal(t, "customer.restored", types(k.client, again)[0])
	move(again, k.outside)
	requireHidden(again)
	remove(t, k.admin, again)
	requireHidden(again)
}
