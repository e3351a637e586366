package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/postgres"
)

// request is what the middleware knows of a request and handlers may ask for. It travels in the context, since the
// generated handlers pass nothing else on.
type request struct {
	id         string
	address    string // of the peer, or of who a trusted proxy says it is
	http       *http.Request
	head       bool // whether only the header of the answer is wanted
	controller *http.ResponseController
	operation  *contract.Operation // nil outside the contract
	caller     *access.Principal   // nil for public operations
	body       []byte              // JSON that was sent; nil for none, and for what streams
	key        *idempotency.Key    // that it came with; nil for none
}

type requestKey struct{}

// requestOf gives the request that the context belongs to. There is one in every context that the middleware gave out.
func requestOf(ctx context.Context) *request {
	known, found := ctx.Value(requestKey{}).(*request)
	if !found {
		panic("api: a context without its request")
	}
	return known
}

// callerOf gives who makes the request. Only operations that are not public may ask: authorization has let nobody
// through to them without a token.
func callerOf(ctx context.Context) *access.Principal {
	caller := requestOf(ctx).caller
	if caller == nil {
		panic("api: an operation that needs a caller was reached without one")
	}
	return caller
}

// reachOf gives the customer that the caller is limited to, with those below it, for the queries to go by; nil for no limit.
func reachOf(ctx context.Context) *uuid.UUID { return callerOf(ctx).Reach() }

// change says who changes something on this request, and how far that one reaches.
func (r *request) change() postgres.Change {
	if r.caller == nil && r.operation != nil && r.operation.IsPublic() {
		// Who it is the rules find out, by what was sent.
		return postgres.Change{RequestID: r.id, Actor: postgres.Actor{Kind: access.KindSystem, Name: "system"}}
	}
	if r.caller == nil {
		panic("api: a change by nobody")
	}
	return postgres.Change{
		RequestID: r.id, Actor: postgres.Actor{Kind: r.caller.Kind, ID: &r.caller.ID, Name: r.caller.Name},
		Reach: r.caller.Reach(),
	}
}
