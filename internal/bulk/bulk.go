// Package bulk has the words for rows that are written many at once: what to do with one whose resource is there already,
// and what became of each. It holds no rule of any resource and writes nothing.
package bulk

import (
	"errors"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
)

// OnConflict says what becomes of a row whose resource is there already.
type OnConflict string

// The ways to go on.
const (
	Fail   OnConflict = "fail"   // the row is refused
	Skip   OnConflict = "skip"   // the resource stays as it is
	Update OnConflict = "update" // the row changes the resource, as a patch does
)

// Outcome is what became of a row.
type Outcome int

// The outcomes. A row that was skipped needed nothing: its resource is to stay as it is, or is as the row has it.
const (
	Created Outcome = iota + 1
	Updated
	Skipped
	Refused
)

// Result is what became of one row.
type Result struct {
	Outcome    Outcome
	ResourceID *uuid.UUID   // of what was there already; nil where nothing was
	Fault      *fault.Error // why it was refused; nil for every other outcome
}

// Refuse is the result of a row that has a fault.
func Refuse(why *fault.Error) Result { return Result{Outcome: Refused, Fault: why} }

// Key is a value by which a row names its resource. No two rows of a file may have the same.
type Key struct {
	Field string // of the contract
	Value string
}

// RowFault gives the fault of a row that an error is; nil for an error that says nothing of the row.
func RowFault(err error) *fault.Error {
	var known *fault.Error
	if errors.As(postgres.Translate(err), &known) && (known.Kind == fault.Conflict || known.Kind == fault.Invalid) {
		return known
	}
	return nil
}
