package api

import (
	"context"
	"net/url"
	"strings"

	"github.com/clientele-api/clientele/internal/paging"
)

// defaultLimit is how many entries a page has when nothing is said.
const defaultLimit = 50

// FromAPIPage gives what a list is asked for.
func FromAPIPage(limit *int32, cursor *string, includeTotal *bool) paging.Request {
	page := paging.Request{Limit: defaultLimit}
	if limit != nil {
		page.Limit = int(*limit)
	}
	if cursor != nil {
		page.Cursor = *cursor
	}
	if includeTotal != nil {
		page.Total = *includeTotal
	}
	return page
}

// nextLink gives the Link header of a page: the same request with the next cursor; nil on the last page.
func nextLink(ctx context.Context, next *string) *string {
	if next == nil {
		return nil
	}
	r := requestOf(ctx).http
	query := r.URL.Query()
	query.Set("cursor", *next)
	link := "<" + (&url.URL{Path: r.URL.Path, RawQuery: query.Encode()}).String() + `>; rel="next"`
	return &link
}

// deepObject gives the members of a query parameter that is written name[key]=value. The keys are taken as they are:
// they are the caller's own, and may hold brackets themselves.
func deepObject(ctx context.Context, name string) map[string]string {
	members := map[string]string{}
	for parameter, values := range requestOf(ctx).http.URL.Query() {
		key, found := strings.CutPrefix(parameter, name+"[")
		if key, closed := strings.CutSuffix(key, "]"); found && closed {
			members[key] = values[0]
		}
	}
	return members
}

// convert turns the rows of a page into what the API shows.
func convert[Row, Shown any](rows []Row, show func(Row) Shown) []Shown {
	shown := make([]Shown, len(rows))
	for i, row := range rows {
		shown[i] = show(row)
	}
	return shown
}
