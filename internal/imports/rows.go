package imports

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/csvfile"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/rawjson"
	"github.com/clientele-api/clientele/internal/sheets"
)

// parsed is a row of a file that has the form of one.
type parsed[Row keyed] struct {
	number int
	cells  []string
	value  Row
}

// refusal refuses the row.
func (p parsed[Row]) refusal(faults []operations.Fault) operations.Refusal {
	return refusal(p.number, p.cells, faults...)
}

func refusal(number int, cells []string, faults ...operations.Fault) operations.Refusal {
	row := int64(number)
	return operations.Refusal{Row: &row, Cells: cells, Faults: faults}
}

// chunk is what was read of a file at once.
type chunk[Row keyed] struct {
	rows     []parsed[Row]
	refusals []operations.Refusal // of rows that do not have the form of one
	count    int                  // of both
	offset   int64                // behind them
	row      int                  // that begins there
	ended    bool
}

// records reads a file record by record.
type records interface {
	Read() (csvfile.Record, error)
	Offset() int64
	Row() int
}

// begin looks at the beginning of a file: at its headers and where its rows are. A file whose headers are wrong is refused.
func (j *job[Row]) begin(ctx context.Context) (operations.Step, error) {
	if j.settings.Format == Lines {
		j.place = place{Row: 1, First: &start{Row: 1}}
		return nil, nil
	}
	file, err := j.open(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	head, err := beginning(file)
	if err != nil {
		return nil, err
	}
	j.place = place{Row: 1, Headers: j.settings.Columns, Delimiter: delimiter(head, j.settings.Delimiter)}
	if isRefused(head) { // whatever is said of the file that these rows are from
		j.place.Headers, j.place.Delimiter = nil, ','
	}
	reader := csvfile.NewReader(file, j.place.Delimiter, 0, 1)
	var faults []operations.Fault
	for hinted := hasHint(head); hinted || j.place.Headers == nil; {
		record, err := reader.Read()
		switch {
		case errors.Is(err, io.EOF):
			faults = append(faults, operations.Fault{Code: "empty_file", Message: "There are no rows in the file."})
			return refusedHeader(record, faults), nil
		case err != nil:
			return nil, err
		case hinted:
			hinted = false
		case record.Fault != nil:
			faults = append(faults, operations.Fault{Code: record.Fault.Code, Message: record.Fault.Message})
			return refusedHeader(record, faults), nil
		default:
			j.place.Headers = slices.Clone(record.Cells)
		}
		j.place.Offset, j.place.Row = reader.Offset(), reader.Row()
	}
	j.columns, faults = j.runner.columns(j.place.Headers, j.settings.Map)
	if len(faults) > 0 {
		return refusedHeader(csvfile.Record{Row: j.place.Row - 1, Cells: j.place.Headers}, faults), nil
	}
	j.place.First = &start{Offset: j.place.Offset, Row: j.place.Row}
	return nil, nil
}

// refusedHeader is the step of an import that ends with its first line.
func refusedHeader(record csvfile.Record, faults []operations.Fault) operations.Step {
	cells := record.Cells
	if record.Fault != nil {
		cells = []string{record.Raw}
	}
	return func(context.Context, *postgres.Tx) (operations.Progress, error) {
		return operations.Progress{
			Refusals: []operations.Refusal{refusal(max(record.Row, 1), cells, faults...)},
			Columns:  append([]string{}, record.Cells...),
			Failure:  &operations.Failure{Code: "invalid_header", Message: "The columns of the file are not known, or it has none."},
		}, nil
	}
}

// hint is how the first line of a file may name the delimiter, for Excel.
const hint = "sep="

func hasHint(head []byte) bool {
	return len(head) > len(hint) && strings.EqualFold(string(head[:len(hint)]), hint)
}

// isRefused tells whether a file is one of refused rows.
func isRefused(head []byte) bool {
	return bytes.HasPrefix(head, []byte(sheets.RefusedRow+","+sheets.RefusedBecause))
}

// beginning reads the beginning of a file, and goes back there.
func beginning(file io.ReadSeeker) ([]byte, error) {
	head := make([]byte, csvfile.MaxRecord)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return head[:n], err
}

// delimiter gives the delimiter of a file: the one that was said, or that its first line shows.
func delimiter(head []byte, said string) byte {
	if said != "" {
		return said[0]
	}
	if hasHint(head) && strings.IndexByte(",;\t|", head[len(hint)]) >= 0 {
		return head[len(hint)]
	}
	return csvfile.DetectDelimiter(head)
}

// open opens the file at a place.
func (j *job[Row]) open(ctx context.Context, offset int64) (io.ReadSeekCloser, error) {
	file, err := j.store.Open(ctx, *j.operation.SpoolKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &operations.Failure{Code: "unreadable_file", Message: "The file that was sent is not to be found. Have all replicas, and the command line, the same store for files?"}
	}
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (j *job[Row]) reader(file io.Reader, offset int64, row int) records {
	if j.settings.Format == Lines {
		return csvfile.NewLines(file, offset, row)
	}
	return csvfile.NewReader(file, j.place.Delimiter, offset, row)
}

// read reads the rows of the next step.
func (j *job[Row]) read(ctx context.Context) (chunk[Row], error) {
	file, err := j.open(ctx, j.place.Offset)
	if err != nil {
		return chunk[Row]{}, err
	}
	defer file.Close()
	return j.readChunk(j.reader(file, j.place.Offset, j.place.Row))
}

// readChunk reads the next rows.
func (j *job[Row]) readChunk(from records) (chunk[Row], error) {
	read := chunk[Row]{offset: from.Offset(), row: from.Row()}
	begin := read.offset
	for read.count < chunkRows && read.offset-begin < chunkBytes && !read.ended {
		record, err := from.Read()
		switch {
		case errors.Is(err, io.EOF):
			read.ended = true
		case err != nil:
			return read, fmt.Errorf("reading the file of an import: %w", err)
		case record.Fault != nil || !isBlank(record.Cells) || j.settings.Format == Lines:
			read.count++
			row, faults := j.parse(record)
			if faults != nil {
				read.refusals = append(read.refusals, row.refusal(faults))
			} else {
				read.rows = append(read.rows, row)
			}
		}
		read.offset, read.row = from.Offset(), from.Row()
	}
	return read, nil
}

// isBlank tells whether a row has nothing but empty cells, as spreadsheets leave them behind.
func isBlank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(cell string) bool { return cell != "" })
}

// parse makes a row of a record, or tells what is wrong with it.
func (j *job[Row]) parse(record csvfile.Record) (row parsed[Row], faults []operations.Fault) {
	row.number, row.cells = record.Row, []string{record.Raw}
	if record.Fault != nil {
		wrong := operations.Fault{Code: record.Fault.Code, Message: record.Fault.Message}
		if at := record.Fault.Cell; at >= 0 && at < len(j.columns) {
			wrong.Column = j.columns[at].header
		}
		return row, []operations.Fault{wrong}
	}
	text := json.RawMessage(record.Raw)
	if j.settings.Format == CSV {
		row.cells = slices.Clone(record.Cells)
		if len(row.cells) != len(j.columns) {
			return row, []operations.Fault{{Code: "wrong_width", Message: fmt.Sprintf(
				"has %d cells, and the file has %d columns", len(row.cells), len(j.columns))}}
		}
		text, faults = body(j.columns, row.cells)
	}
	for _, wrong := range placed(j.columns, j.schema.Check(text)) {
		if !slices.ContainsFunc(faults, func(known operations.Fault) bool { return known.Column == wrong.Column }) {
			faults = append(faults, wrong)
		}
	}
	if len(faults) > 0 {
		return row, faults
	}
	var err error
	if row.value, err = j.decode(text, j.settings.Format); err != nil {
		// A value that is right by the contract, and is not written as its type is, such as 80.0 for a whole number.
		wrong := fault.Field{Code: "invalid_type", Message: "is not written as its type is"}
		var typeError *json.UnmarshalTypeError
		if errors.As(err, &typeError) {
			wrong.Pointer = rawjson.Pointer(strings.Split(typeError.Field, ".")...)
		}
		return row, placed(j.columns, []fault.Field{wrong})
	}
	return row, nil
}

// unrepeated leaves out rows that name a resource which an earlier row of the file names, too.
func (j *job[Row]) unrepeated(
	ctx context.Context, tx *postgres.Tx, rows []parsed[Row],
) (kept []parsed[Row], refusals []operations.Refusal, err error) {
	first := map[uuid.UUID]int64{}
	var keys []uuid.UUID
	var numbers []int64
	for _, row := range rows {
		for _, key := range row.value.Keys() {
			hash := hashOf(key.Field, key.Value)
			if _, met := first[hash]; !met {
				first[hash] = int64(row.number)
				keys, numbers = append(keys, hash), append(numbers, int64(row.number))
			}
		}
	}
	if len(keys) > 0 {
		earlier, err := db.New().OperationKeyInsert(ctx, tx, j.operation.ID, keys, numbers)
		if err != nil {
			return nil, nil, err
		}
		for _, key := range earlier {
			first[key.Key] = key.Row
		}
	}
	for _, row := range rows {
		var faults []operations.Fault
		for _, key := range row.value.Keys() {
			if other := first[hashOf(key.Field, key.Value)]; other != int64(row.number) {
				faults = append(faults, operations.Fault{
					Column: columnAt(j.columns, "/"+key.Field), Code: "duplicate_key",
					Message: fmt.Sprintf("is the same as in row %d", other),
				})
			}
		}
		if faults != nil {
			refusals = append(refusals, row.refusal(faults))
		} else {
			kept = append(kept, row)
		}
	}
	return kept, refusals, nil
}

// hashOf is what is kept of a key that was met.
func hashOf(field, value string) uuid.UUID {
	hash := sha256.Sum256([]byte(field + "\x00" + value))
	return uuid.UUID(hash[:16])
}
