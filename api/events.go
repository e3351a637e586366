package api

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
)

// EventList reads on in the feed of all changes.
func (s *Server) EventList(ctx context.Context, request openapi.EventListRequestObject) (openapi.EventListResponseObject, error) {
	params := request.Params
	if params.From != nil {
		return s.eventListFromNow(ctx, params)
	}
	asked := FromAPIEventList(params)
	if asked.Wait > 0 {
		release, err := s.waiting.Take(waiting(callerOf(ctx))...)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	page, err := s.sequencer.Feed(ctx, s.db, callerOf(ctx), asked)
	if err == nil && page.Waited {
		err = s.reauthorized(ctx)
	}
	if err != nil {
		return nil, err
	}
	answer := openapi.EventList200JSONResponse{
		Body: openapi.EventFeed{Data: convert(page.Rows, ToAPIEvent), NextCursor: page.Next},
	}
	if page.More { // else a client that follows links would never come to an end
		answer.Headers.Link = nextLink(ctx, &page.Next)
	}
	return answer, nil
}

func (s *Server) eventListFromNow(ctx context.Context, params openapi.EventListParams) (openapi.EventListResponseObject, error) {
	if params.Cursor != nil || params.Wait != nil && *params.Wait > 0 {
		return nil, fault.InvalidRequest(fault.Field{
			Parameter: "from", Code: "contradiction", Message: "does not go together with cursor and wait",
		})
	}
	next, err := events.FeedEnd(ctx, s.db)
	if err != nil {
		return nil, err
	}
	return openapi.EventList200JSONResponse{Body: openapi.EventFeed{Data: []openapi.Event{}, NextCursor: next}}, nil
}

// FromAPIEventList gives what the feed is asked for.
func FromAPIEventList(params openapi.EventListParams) events.Request {
	request := events.Request{CustomerID: params.CustomerId, Page: FromAPIPage(params.Limit, params.Cursor, nil)}
	if params.Types != nil {
		request.Patterns = strings.Split(*params.Types, ",")
	}
	if params.Wait != nil {
		request.Wait = time.Duration(*params.Wait) * time.Second
	}
	return request
}

// CustomerEventList reads a customer's history.
func (s *Server) CustomerEventList(ctx context.Context, request openapi.CustomerEventListRequestObject) (openapi.CustomerEventListResponseObject, error) {
	page, err := events.History(ctx, s.db, callerOf(ctx), request.CustomerId,
		FromAPIPage(request.Params.Limit, request.Params.Cursor, nil))
	if err != nil {
		return nil, err
	}
	return openapi.CustomerEventList200JSONResponse{
		Body:    openapi.EventPage{Data: convert(page.Rows, ToAPIEvent), NextCursor: page.Next},
		Headers: openapi.CustomerEventList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// ToAPIEvent shows an event.
func ToAPIEvent(event db.Event) openapi.Event {
	shown := openapi.Event{
		Id: event.ID, Position: event.Position, Type: event.Type, Version: event.Version, CustomerId: event.CustomerID,
		Resource:  openapi.ResourceRef{Kind: event.ResourceKind, Id: event.ResourceID},
		Actor:     openapi.Actor{Kind: event.ActorKind, Id: event.ActorID, Name: event.ActorName},
		RequestId: event.RequestID, At: event.At, RestoredAt: event.RestoredAt,
	}
	if event.Data != nil {
		data := json.RawMessage(event.Data)
		shown.Data = &data
	}
	return shown
}
