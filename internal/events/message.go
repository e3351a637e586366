package events

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
)

// message is an event as the contract has it, for those who send it elsewhere.
type message struct {
	ID         uuid.UUID       `json:"id"`
	Position   *int64          `json:"position"`
	Type       string          `json:"type"`
	Resource   resource        `json:"resource"`
	Version    int64           `json:"version"`
	CustomerID *uuid.UUID      `json:"customer_id"`
	Actor      actor           `json:"actor"`
	RequestID  *string         `json:"request_id"`
	At         time.Time       `json:"at"`
	Data       json.RawMessage `json:"data"` // null when there is none
	RestoredAt *time.Time      `json:"restored_at"`
}

type resource struct {
	Kind string    `json:"kind"`
	ID   uuid.UUID `json:"id"`
}

type actor struct {
	Kind string     `json:"kind"`
	ID   *uuid.UUID `json:"id"`
	Name string     `json:"name"`
}

// Encode gives an event as JSON, the same as the feed shows.
func Encode(event db.Event) ([]byte, error) {
	return json.Marshal(message{
		ID: event.ID, Position: event.Position, Type: event.Type,
		Resource: resource{Kind: event.ResourceKind, ID: event.ResourceID}, Version: event.Version, CustomerID: event.CustomerID,
		Actor:     actor{Kind: event.ActorKind, ID: event.ActorID, Name: event.ActorName},
		RequestID: event.RequestID, At: event.At, Data: event.Data, RestoredAt: event.RestoredAt,
	})
}
