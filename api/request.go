package api

import (
	"context"
	"net/http"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/postgres"
)

// request is what the middleware knows of a request and handlers may ask for. It travels in the context, since the
// generated handlers pass nothing else on.
type request struct {
	id        string
	http      *http.Request
	operation *contract.Operation // nil outside the contract
	caller    *access.Principal   // nil for public operations
}

type requestKey struct{}

// requestOf gives the request that the context belongs to.
func requestOf(ctx context.Context) *request {
	known, _ := ctx.Value(requestKey{}).(*request)
	if known == nil {
		return &request{}
	}
	return known
}

// callerOf gives who makes the request; authorization has let only known callers through to where it is asked.
func callerOf(ctx context.Context) *access.Principal {
	caller := requestOf(ctx).caller
	if caller == nil {
		panic(errNoCaller)
	}
	return caller
}

// change says who changes something on this request.
func (r *request) change() postgres.Change {
	change := postgres.Change{RequestID: r.id, Actor: postgres.Actor{Kind: access.KindSystem, Name: "system"}}
	if r.caller != nil {
		change.Actor = postgres.Actor{Kind: r.caller.Kind, ID: &r.caller.ID, Name: r.caller.Name}
	}
	return change
}
