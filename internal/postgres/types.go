package postgres

import (
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"
)

// registerTypes says how values travel: times come out as UTC and not in the machine's zone, ids go as their 16 bytes
// and not by way of text, and JSON that is kept as text is copied and not parsed.
func registerTypes(types *pgtype.Map) {
	pgxuuid.Register(types)
	types.RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	types.RegisterType(&pgtype.Type{
		Name: "jsonb", OID: pgtype.JSONBOID, Codec: &pgtype.JSONBCodec{Marshal: json.Marshal, Unmarshal: unmarshalJSON},
	})
}

func unmarshalJSON(text []byte, into any) error {
	if raw, ok := into.(*json.RawMessage); ok {
		*raw = append(json.RawMessage(nil), text...)
		return nil
	}
	return json.Unmarshal(text, into)
}
