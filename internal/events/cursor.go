package events

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

var feed = paging.CursorsOf("events")

// place is where a reader of the feed has come to. It names the event there, so that it is noticed when the database has
// been restored to an earlier state: positions are given anew then, and what a reader knows of them is wrong.
type place struct {
	Position int64     `json:"p"`
	EventID  uuid.UUID `json:"e"` // nil before the first event, and in cursors of version 0.1
}

// UnmarshalJSON also reads the places of version 0.1, which are positions alone.
func (p *place) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &p.Position) == nil {
		return nil
	}
	type plain place // without this method
	return json.Unmarshal(text, (*plain)(p))
}

// begin gives the position that a cursor goes on after; 0 without one.
func begin(ctx context.Context, database *postgres.DB, cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	var at place
	if err := feed.Decode(cursor, &at); err != nil {
		return 0, err
	}
	if at.EventID == uuid.Nil {
		if last, err := db.New().EventLastPosition(ctx, database); err != nil || at.Position <= last {
			return at.Position, err
		}
		return 0, errOfAnotherHistory
	}
	id, err := db.New().EventGetIDByPosition(ctx, database, &at.Position)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && id != at.EventID {
		return 0, errOfAnotherHistory
	}
	return at.Position, err
}

// errOfAnotherHistory is the answer for a cursor of events that this database does not have.
var errOfAnotherHistory = fault.InvalidRequest(fault.Field{
	Parameter: "cursor", Code: "invalid_cursor",
	Message: "is of events that are not there any more: the database was restored to an earlier state, so begin anew",
})

// cursorOf gives the cursor to go on with after a position.
func cursorOf(ctx context.Context, database *postgres.DB, position int64) (string, error) {
	id, err := db.New().EventGetIDByPosition(ctx, database, &position)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	return feed.Encode(place{Position: position, EventID: id}), nil
}
