package imports

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/bulk"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/sheets"
)

// A step reads as many rows as that, or fewer that have as many bytes. It takes a fraction of a second on a machine that has
// nothing else to do, and must not take more than some seconds on one that has. What it keeps in memory of a row is ten
// times the row's bytes and more; larger steps are not faster.
const (
	chunkRows  = 1000
	chunkBytes = 1 << 20
)

// keyed is a row that names its resource by some of its values.
type keyed interface{ Keys() []bulk.Key }

// runner imports files of one resource.
type runner[Row keyed] struct {
	store         *blobs.Store
	schema        *contract.Schema // of a row as JSON
	fields        sheets.Fields
	hasProperties bool
	required      string                                                                   // the field without which no row can be taken; "" where there is none
	lock          func(ctx context.Context, tx *postgres.Tx, operation db.Operation) error // before a step; nil for nothing
	hold          func(ctx context.Context, tx *postgres.Tx) error                         // before rows that may move something
	decode        func(body []byte, format Format) (Row, error)
	write         func(ctx context.Context, tx *postgres.Tx, operation db.Operation, rows []Row, onConflict bulk.OnConflict,
		write bool) ([]bulk.Result, error)
}

// place is where an import stands.
type place struct {
	Offset    int64    `json:"offset"` // in the file
	Row       int      `json:"row"`    // that begins there
	Delimiter byte     `json:"delimiter,omitempty"`
	Headers   []string `json:"headers,omitempty"`
	First     *start   `json:"first,omitempty"` // where the rows begin, of a file that is looked through before it is written
	Writing   bool     `json:"writing,omitempty"`
}

// start is where the rows of a file begin.
type start struct {
	Offset int64 `json:"offset"`
	Row    int   `json:"row"`
}

// job is a step of an import that is being prepared or done.
type job[Row keyed] struct {
	*runner[Row]
	operation db.Operation
	settings  Settings
	place     place
	columns   []column
}

// Next reads the rows of the next step.
func (r *runner[Row]) Next(ctx context.Context, operation db.Operation) (operations.Step, error) {
	j := job[Row]{runner: r, operation: operation}
	if err := json.Unmarshal(operation.Settings, &j.settings); err != nil {
		return nil, fmt.Errorf("reading the settings of an import: %w", err)
	}
	if operation.Place == nil {
		refused, err := j.begin(ctx)
		if err != nil || refused != nil {
			return refused, err
		}
	} else {
		if err := json.Unmarshal(operation.Place, &j.place); err != nil {
			return nil, fmt.Errorf("reading the place of an import: %w", err)
		}
		if j.settings.Format == CSV {
			j.columns, _ = r.columns(j.place.Headers, j.settings.Map)
		}
	}
	if j.place.Writing {
		return j.locked(j.writeAll), nil
	}
	read, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	return j.locked(func(ctx context.Context, tx *postgres.Tx) (operations.Progress, error) { return j.take(ctx, tx, read) }), nil
}

// writes tells whether the rows of a step are written as soon as they are looked at.
func (j *job[Row]) writes() bool { return !j.operation.DryRun && !j.settings.Atomic }

// locked does a step once what the import is about is locked. Should that be gone, so is the operation.
func (j *job[Row]) locked(step operations.Step) operations.Step {
	if j.lock == nil {
		return step
	}
	return func(ctx context.Context, tx *postgres.Tx) (operations.Progress, error) {
		err := j.lock(ctx, tx, j.operation)
		if failure := new(operations.Failure); errors.As(err, &failure) {
			return operations.Progress{Failure: failure, BytesRead: j.operation.BytesRead}, nil
		}
		if err != nil {
			return operations.Progress{}, err
		}
		return step(ctx, tx)
	}
}

// take judges the rows of a step, and writes them where nothing has to be known first.
func (j *job[Row]) take(ctx context.Context, tx *postgres.Tx, read chunk[Row]) (operations.Progress, error) {
	progress := operations.Progress{Read: int64(read.count), Refusals: read.refusals, BytesRead: read.offset}
	rows, repeated, err := j.unrepeated(ctx, tx, read.rows)
	if err != nil {
		return progress, err
	}
	progress.Refusals = append(progress.Refusals[:len(progress.Refusals):len(progress.Refusals)], repeated...)
	counted, err := j.apply(ctx, tx, rows, j.writes())
	if err != nil {
		return progress, err
	}
	progress.Refusals = append(progress.Refusals, counted.refusals...)
	slices.SortStableFunc(progress.Refusals, func(a, b operations.Refusal) int { return cmp.Compare(*a.Row, *b.Row) })
	if j.writes() || j.operation.DryRun {
		counted.into(&progress)
	}
	if j.operation.Place == nil {
		progress.Columns = j.place.Headers
	}
	next := j.place
	next.Offset, next.Row = read.offset, read.row
	switch {
	case !read.ended:
		progress.Place = next
	case j.settings.Atomic && j.operation.RowsRefused+int64(len(progress.Refusals)) > 0:
		progress.Failure = refusedRows()
	case j.settings.Atomic && !j.operation.DryRun:
		next.Writing = true
		progress.Place, progress.Long = next, true
	}
	return progress, nil
}

func refusedRows() *operations.Failure {
	return &operations.Failure{Code: "rows_refused", Message: "Rows were refused, so that none was written."}
}

// outcome is what became of rows.
type outcome struct {
	created, updated, skipped int64
	refusals                  []operations.Refusal
}

func (o outcome) into(progress *operations.Progress) {
	progress.Created, progress.Updated, progress.Skipped = o.created, o.updated, o.skipped
}

// apply writes rows, or finds out what would become of them.
func (j *job[Row]) apply(ctx context.Context, tx *postgres.Tx, rows []parsed[Row], write bool) (outcome, error) {
	if len(rows) == 0 {
		return outcome{}, nil
	}
	values := make([]Row, len(rows))
	for i, row := range rows {
		values[i] = row.value
	}
	results, err := j.write(ctx, tx, j.operation, values, j.settings.OnConflict, write)
	if err != nil {
		return outcome{}, err
	}
	var found outcome
	for i, result := range results {
		switch result.Outcome {
		case bulk.Created:
			found.created++
		case bulk.Updated:
			found.updated++
		case bulk.Skipped:
			found.skipped++
		case bulk.Refused:
			refusal := rows[i].refusal(placed(j.columns, result.Fault.Fields))
			if result.ResourceID != nil {
				refusal.Kind, refusal.ResourceID = kindOf(j.operation.Kind), result.ResourceID
			}
			found.refusals = append(found.refusals, refusal)
		}
	}
	return found, nil
}

// kindOf gives the kind of resource that an operation imports.
func kindOf(operation string) string {
	if operation == operations.DomainImport {
		return "domain"
	}
	return "customer"
}

// writeAll writes the whole file, which was looked through before, or nothing of it: what was right then may be wrong by
// now, for what others wrote meanwhile.
func (j *job[Row]) writeAll(ctx context.Context, tx *postgres.Tx) (operations.Progress, error) {
	progress := operations.Progress{BytesRead: j.operation.BytesRead}
	if err := operations.WithoutLimits(ctx, tx); err != nil {
		return progress, err
	}
	if j.hold != nil && j.settings.OnConflict == bulk.Update && slices.ContainsFunc(j.columns, column.moves) {
		if err := j.hold(ctx, tx); err != nil {
			return progress, err
		}
	}
	var total outcome
	err := tx.Savepoint(ctx, func(tx *postgres.Tx) error {
		total = outcome{}
		return j.each(ctx, func(read chunk[Row]) error {
			if err := operations.Open(ctx, tx, j.operation.ID); err != nil {
				return err
			}
			found, err := j.apply(ctx, tx, read.rows, true)
			total.created += found.created
			total.updated += found.updated
			total.skipped += found.skipped
			total.refusals = append(total.refusals, found.refusals...)
			if err == nil && len(total.refusals) > 0 {
				err = refusedRows()
			}
			return err
		})
	})
	if len(total.refusals) > 0 {
		progress.Refusals, progress.Failure = total.refusals, refusedRows()
		return progress, nil
	}
	total.into(&progress)
	return progress, err
}

// each reads the file from its first row to its last, a chunk at a time.
func (j *job[Row]) each(ctx context.Context, do func(chunk[Row]) error) error {
	file, err := j.open(ctx, j.place.First.Offset)
	if err != nil {
		return err
	}
	defer file.Close()
	rows := j.reader(file, j.place.First.Offset, j.place.First.Row)
	for {
		read, err := j.readChunk(rows)
		if err != nil {
			return err
		}
		if err := do(read); err != nil || read.ended {
			return err
		}
	}
}
