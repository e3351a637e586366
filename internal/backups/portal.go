package backups

import (
	"encoding/json"
	"slices"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/events"
)

// portalKinds are the kinds of resource whose events a customer's own people have in their backups.
var portalKinds = []string{
	events.Customer, events.Identity, events.Domain, events.Job, events.Publishing, events.Terms,
}

// portalMembers are what a portal shows of a customer: events have no other members of it. What is not in this list is
// left out, whatever a customer comes to have.
var portalMembers = []string{
	"id", "name", "email", "phone", "company", "address", "modules", "locale", "status", "version", "created_at", "updated_at",
}

// forPortal gives an event as the customer's own people may see it, and whether this one of them may at all: what happened to
// the customer, its jobs and domains, and to what is that person's own. Who of the staff did it, and on which request, is not
// told.
func forPortal(e event, person uuid.UUID) (record event, shown bool, err error) {
	own := e.Actor.Kind == access.KindIdentity && e.Actor.ID != nil && *e.Actor.ID == person
	switch e.Resource.Kind {
	case events.Identity:
		own = e.Resource.ID == person
	case events.Customer, events.Job, events.Domain:
		own = true
	}
	if !own {
		return e, false, nil
	}
	e.RequestID = nil
	if e.Actor.Kind != access.KindIdentity {
		e.Actor = actor{Kind: e.Actor.Kind}
	}
	if e.Resource.Kind == events.Customer && e.Data != nil {
		e.Data, shown, err = onlyMembers(e.Data, portalMembers)
		return e, shown, err
	}
	return e, true, nil
}

// onlyMembers keeps of what was before and after the named members, and tells whether any of them says that something
// happened: that something else changed is nobody's business either.
func onlyMembers(data json.RawMessage, names []string) (kept json.RawMessage, some bool, err error) {
	var sides struct {
		Before json.RawMessage `json:"before"`
		After  json.RawMessage `json:"after"`
	}
	if err := json.Unmarshal(data, &sides); err != nil {
		return nil, false, err
	}
	some = true
	for _, side := range []*json.RawMessage{&sides.Before, &sides.After} {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(*side, &members); err != nil || members == nil {
			continue // null
		}
		for name := range members {
			if !slices.Contains(names, name) {
				delete(members, name)
			}
		}
		if side == &sides.Before { // what is different now
			_, versioned := members["version"]
			_, dated := members["updated_at"]
			some = !versioned || !dated || len(members) > len([]string{"version", "updated_at"})
		}
		if *side, err = json.Marshal(members); err != nil {
			return nil, false, err
		}
	}
	kept, err = json.Marshal(sides)
	return kept, some, err
}
