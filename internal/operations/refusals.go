package operations

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/sheets"
)

// ShownRefusals is how many refusals are told with an operation itself; there may be more of them.
const ShownRefusals = 100

// maxRefusals is how many refusals an operation takes before it gives up.
const maxRefusals = 1_000_000

// Refusal is something that an operation did not do.
type Refusal struct {
	Row        *int64     // of the file; nil where there is none
	Kind       string     // of the resource that was meant; "" where none is
	ResourceID *uuid.UUID // likewise
	Faults     []Fault
	Cells      []string // of the row, as they came; one for a line that has none
}

// Fault is one reason for a refusal.
type Fault struct {
	Column  string `json:"column,omitempty"` // as the file calls it; "" for the row as a whole
	Code    string `json:"code"`
	Message string `json:"message"`
}

// writeRefusals adds to what an operation has refused already.
func writeRefusals(ctx context.Context, tx *postgres.Tx, operation db.Operation, refusals []Refusal) error {
	if len(refusals) == 0 {
		return nil
	}
	rows := make([]db.OperationRefusalCopyParams, len(refusals))
	for i, refusal := range refusals {
		for at, fault := range refusal.Faults {
			refusal.Faults[at].Column, refusal.Faults[at].Message = storable(fault.Column), storable(fault.Message)
		}
		faults, err := json.Marshal(refusal.Faults)
		if err != nil {
			return fmt.Errorf("encoding a refusal: %w", err)
		}
		rows[i] = db.OperationRefusalCopyParams{
			OperationID: operation.ID, Number: operation.RowsRefused + int64(i) + 1, Row: refusal.Row,
			ResourceID: refusal.ResourceID, Faults: faults,
		}
		if refusal.Kind != "" {
			rows[i].ResourceKind = &refusal.Kind
		}
		rows[i].Cells = make([]string, len(refusal.Cells))
		for at, cell := range refusal.Cells {
			rows[i].Cells[at] = storable(cell)
		}
	}
	_, err := db.New().OperationRefusalCopy(ctx, tx, rows)
	return err
}

// storable is a text without NUL characters, which the database does not take.
func storable(text string) string { return strings.ReplaceAll(text, "\x00", "\ufffd") }

// Refusals reads what an operation refused after the one with that number, the first ones first. The number of the last
// leads to the next.
func Refusals(
	ctx context.Context, database db.DBTX, operationID uuid.UUID, after int64, limit int,
) (refusals []Refusal, last int64, err error) {
	rows, err := db.New().OperationRefusalList(ctx, database, operationID, after, int32(limit))
	if err != nil {
		return nil, 0, err
	}
	for _, row := range rows {
		refusal := Refusal{Row: row.Row, ResourceID: row.ResourceID, Cells: row.Cells}
		if row.ResourceKind != nil {
			refusal.Kind = *row.ResourceKind
		}
		if err := json.Unmarshal(row.Faults, &refusal.Faults); err != nil {
			return nil, 0, fmt.Errorf("reading a refusal: %w", err)
		}
		refusals = append(refusals, refusal)
		last = row.Number
	}
	return refusals, last, nil
}

// refusalsAtOnce is how many refused rows are read at once.
const refusalsAtOnce = 200

// WriteRefusals writes all that an operation refused.
func WriteRefusals(
	ctx context.Context, database db.DBTX, operationID uuid.UUID, to io.Writer, format exports.Format[Refusal],
) error {
	piece := format.Begin(nil)
	for last := int64(0); ; {
		refusals, next, err := Refusals(ctx, database, operationID, last, refusalsAtOnce)
		if err != nil {
			return err
		}
		for i := range refusals {
			if piece, err = format.Row(piece, &refusals[i]); err != nil {
				return err
			}
		}
		if _, err := to.Write(piece); err != nil || len(refusals) == 0 {
			return err
		}
		piece, last = piece[:0], next
	}
}

// Table is what refusals of the operation are as CSV: what was refused and why and, in front of that, where it stood.
func Table(operation db.Operation) sheets.Table[Refusal] {
	switch {
	case operation.Kind == CustomerBulkDelete:
		return sheets.TableOf([]string{"resource_kind", "resource_id", sheets.RefusedBecause}, func(r *Refusal) []string {
			return []string{r.Kind, r.ResourceID.String(), r.reasons()}
		})
	case operation.Columns == nil:
		return refusedRows([]string{"line"})
	}
	return refusedRows(operation.Columns)
}

func refusedRows(columns []string) sheets.Table[Refusal] {
	header := append([]string{sheets.RefusedRow, sheets.RefusedBecause}, columns...)
	return sheets.TableOf(header, func(r *Refusal) []string {
		cells := []string{strconv.FormatInt(*r.Row, 10), r.reasons()}
		for _, cell := range r.Cells {
			cells = append(cells, sheets.Rearm(cell)) // whoever writes it disarms it
		}
		return cells
	})
}

// reasons are the faults in words.
func (r Refusal) reasons() string {
	reasons := make([]string, len(r.Faults))
	for i, fault := range r.Faults {
		reasons[i] = fault.Message
		if fault.Column != "" {
			reasons[i] = fault.Column + " " + fault.Message
		}
	}
	return strings.Join(reasons, "; ")
}

// HasLines tells whether the operation's rows were lines of JSON.
func HasLines(operation db.Operation) bool {
	return operation.Kind != CustomerBulkDelete && operation.Columns == nil
}

// Lines is refused lines as they were.
func Lines() exports.Format[Refusal] { return lines{} }

type lines struct{}

func (lines) Fields() []string { return nil }

func (lines) Begin(piece []byte) []byte { return piece }

func (lines) Row(piece []byte, refusal *Refusal) ([]byte, error) {
	for _, line := range refusal.Cells {
		piece = append(piece, line...)
	}
	return append(piece, '\n'), nil
}
