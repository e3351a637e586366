package apitest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"

	"github.com/clientele-api/clientele/internal/postgres"
)

// checkEvents holds the events that a test has had written against the contract: that it has their types, and that their
// data are what the schemas of these say. It looks at the last event of each type, which is enough over all tests.
func checkEvents(t testing.TB, database *postgres.DB) {
	t.Helper()
	rows, err := database.Query(context.Background(), `SELECT DISTINCT ON (type) type, data FROM events
		WHERE restored_at IS NULL -- what came out of a backup may have less
		ORDER BY type, data IS NULL, sequence DESC`)
	if err != nil {
		return // the test has taken the database, or its tables, away
	}
	written, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Type string
		Data json.RawMessage
	}])
	if err != nil {
		return
	}
	schemas, listed := Contract().Events()
	for _, event := range written {
		if !assert.Contains(t, listed, event.Type, "the contract's EventType and internal/events/types.go have to list it") || event.Data == nil {
			continue
		}
		schema := schemas[event.Type]
		if assert.NotNil(t, schema, "no schema of the contract has %s among its x-event-types", event.Type) {
			checkEventData(t, event.Type, schema, event.Data)
		}
	}
}

func checkEventData(t testing.TB, eventType string, schema *openapi3.Schema, data json.RawMessage) {
	t.Helper()
	var change struct {
		Before map[string]any `json:"before"`
		After  map[string]any `json:"after"`
	}
	assert.NoError(t, json.Unmarshal(data, &change))
	for _, whole := range []map[string]any{change.After, change.Before} {
		if whole == nil {
			continue
		}
		assert.NoError(t, schema.VisitJSON(whole, openapi3.EnableFormatValidation()), "%s: %s", eventType, data)
		// Where there is something after, what was before is only what has changed.
		partial := *schema
		partial.Required = nil
		schema = &partial
	}
}
