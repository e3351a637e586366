package exports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"

	"github.com/clientele-api/clientele/internal/sheets"
)

// Writer writes rows in one format.
type Writer[Row any] interface {
	Start() error // writes what comes before the first row
	Row(row Row) error
}

// byteOrderMark tells spreadsheets that a file is UTF-8.
const byteOrderMark = "\ufeff"

// NewCSV writes rows as CSV (RFC 4180), with cells that no spreadsheet runs, and a byte order mark where it is wanted.
func NewCSV[Row any](to io.Writer, table sheets.Table[Row], mark bool) Writer[Row] {
	w := &csvWriter[Row]{to: to, table: table, mark: mark}
	w.csv = csv.NewWriter(&w.line)
	return w
}

type csvWriter[Row any] struct {
	to    io.Writer
	table sheets.Table[Row]
	mark  bool
	csv   *csv.Writer
	line  bytes.Buffer
	cells []string
}

func (w *csvWriter[Row]) Start() error {
	if w.mark {
		w.line.WriteString(byteOrderMark)
	}
	return w.write(append(w.cells[:0], w.table.Header...))
}

func (w *csvWriter[Row]) Row(row Row) error {
	w.cells = w.table.Cells(w.cells[:0], row)
	return w.write(w.cells)
}

// write writes a line. It ends the line itself: told to do so, the library would also change the line breaks inside of
// cells, and drop a CR that has no LF.
func (w *csvWriter[Row]) write(cells []string) error {
	for i, cell := range cells {
		cells[i] = sheets.Disarm(cell)
	}
	if len(cells) == 1 && cells[0] == "" {
		w.line.WriteString("\"\"\n") // an empty line would be none
	} else if err := w.csv.Write(cells); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	w.csv.Flush()
	w.line.Truncate(w.line.Len() - 1)
	w.line.WriteString("\r\n")
	_, err := w.line.WriteTo(w.to)
	return err
}

// NewLines writes rows as JSON, one in a line.
func NewLines[Row, Shown any](to io.Writer, show func(Row) Shown) Writer[Row] {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return lineWriter[Row, Shown]{encoder: encoder, show: show}
}

type lineWriter[Row, Shown any] struct {
	encoder *json.Encoder
	show    func(Row) Shown
}

func (w lineWriter[Row, Shown]) Start() error { return nil }

func (w lineWriter[Row, Shown]) Row(row Row) error {
	if err := w.encoder.Encode(w.show(row)); err != nil {
		return fmt.Errorf("writing lines of JSON: %w", err)
	}
	return nil
}
