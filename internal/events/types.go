package events

import (
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/fault"
)

// types is the one table of what can happen to the resources of each kind. The contract lists the same types, and says
// what the data of each holds; the tests hold every event that is written against it.
var types = map[string][]string{
	Customer:          {"created", "updated", "deleted", "activated", "deactivated", "identities_deleted", "restored"},
	Identity:          {"created", "updated", "deleted"},
	ActivationRequest: {"created", "updated", "sent", "used", "revoked"},
	Domain:            {"created", "updated", "deleted"},
	Job:               {"created", "updated", "deleted", "status_changed"},
	Publishing:        {"created", "updated", "deleted"},
	Terms:             {"published", "accepted"},
	Note:              {"created", "deleted"},
	Staff:             {"created", "updated", "deleted"},
	APIClient:         {"created", "updated", "deleted"},
	Backup:            {"taken"},
	WebhookEndpoint:   {"created", "updated", "deleted"},
}

// Types gives all types of events, sorted.
func Types() []string {
	var all []string
	for kind, happenings := range types {
		for _, what := range happenings {
			all = append(all, kind+"."+what)
		}
	}
	slices.Sort(all)
	return all
}

// everything is the pattern of all types.
const everything = "*"

var errPattern = errors.New("must be a type of event such as customer.created, customer.* for all of a kind, or *")

// CheckPattern tells whether the text is a type of event, "kind.*" or "*".
func CheckPattern(text string) error {
	if text == everything {
		return nil
	}
	kind, what, _ := strings.Cut(text, ".")
	happenings, known := types[kind]
	if !known || what != everything && !slices.Contains(happenings, what) {
		return errPattern
	}
	return nil
}

// CheckPatterns is CheckPattern for patterns that are separated by commas. It names those that are none.
func CheckPatterns(text string) error {
	wrong := slices.DeleteFunc(strings.Split(text, ","), func(pattern string) bool { return CheckPattern(pattern) == nil })
	if len(wrong) == 0 {
		return nil
	}
	return errors.New("must be types of events such as customer.created, customer.* for all of a kind, or *; these are not: " +
		fault.Names(wrong))
}

// ScopeOf gives the scope that shows the events of a pattern, or of a kind, beside events:read itself; "" for all events.
func ScopeOf(pattern string) access.Scope {
	kind, _, _ := strings.Cut(pattern, ".")
	return readScopes[kind]
}

// Filter says which events are meant: those of some kinds of resource, and of some types beside.
type Filter struct {
	kinds      []string
	types      []string
	customerID *uuid.UUID // nil for all customers
	reach      *uuid.UUID // the customer that the reader is limited to; nil for all
}

// NewFilter gives the filter of patterns, as far as the scopes show the kinds of resource that they are of.
func NewFilter(patterns []string, has func(access.Scope) bool) Filter {
	filter := Filter{kinds: []string{}, types: []string{}}
	for kind, scope := range readScopes {
		switch {
		case !has(scope):
		case slices.Contains(patterns, everything) || slices.Contains(patterns, kind+"."+everything):
			filter.kinds = append(filter.kinds, kind)
		default:
			for _, pattern := range patterns {
				if strings.HasPrefix(pattern, kind+".") {
					filter.types = append(filter.types, pattern)
				}
			}
		}
	}
	return filter
}

// ReadScopes gives those of the scopes that show events of some kind, sorted.
func ReadScopes(scopes []access.Scope) []string {
	shown := []string{}
	for _, scope := range readScopes {
		if slices.Contains(scopes, scope) {
			shown = append(shown, string(scope))
		}
	}
	slices.Sort(shown)
	return slices.Compact(shown)
}

// Lets tells whether an event is meant.
func (f Filter) Lets(event db.EventListHeadersRow) bool {
	if f.customerID != nil && (event.CustomerID == nil || *event.CustomerID != *f.customerID) {
		return false
	}
	if f.reach != nil && !slices.Contains(event.Ancestors, *f.reach) {
		return false
	}
	return slices.Contains(f.kinds, event.ResourceKind) || slices.Contains(f.types, event.Type)
}
