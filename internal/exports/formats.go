package exports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/clientele-api/clientele/internal/sheets"
)

// Format puts the rows of one export into the form in which they are sent, behind what is there already.
type Format[Row any] interface {
	Fields() []string                           // what of a row it needs, by the names of the database's columns; nil for all
	Begin(piece []byte) []byte                  // what comes before the first row
	Row(piece []byte, row *Row) ([]byte, error) // the row is not kept
}

// byteOrderMark tells spreadsheets that a file is UTF-8.
const byteOrderMark = "\ufeff"

// CSV is CSV (RFC 4180), with cells that no spreadsheet runs, and a byte order mark where it is wanted.
//
// It is what encoding/csv writes, but for the ends of lines: told to write CRLF, the library would also change the line
// breaks inside of cells, and drop a CR that has no LF. And it wants each cell as a string of its own, and takes twice the
// time.
func CSV[Row any](table sheets.Table[Row], mark bool) Format[Row] {
	return &csvFormat[Row]{table: table, mark: mark}
}

type csvFormat[Row any] struct {
	table sheets.Table[Row]
	mark  bool
	cells sheets.Cells // of one row after another
}

func (f *csvFormat[Row]) Fields() []string { return f.table.Fields }

func (f *csvFormat[Row]) Begin(piece []byte) []byte {
	if f.mark {
		piece = append(piece, byteOrderMark...)
	}
	for i, name := range f.table.Header {
		piece = appendCell(separated(piece, i), []byte(name))
	}
	return append(piece, "\r\n"...)
}

func (f *csvFormat[Row]) Row(piece []byte, row *Row) ([]byte, error) {
	f.table.Fill(&f.cells, row)
	if f.cells.Len() == 1 && len(f.cells.At(0)) == 0 {
		return append(piece, "\"\"\r\n"...), nil // an empty line would be none
	}
	for i := range f.cells.Len() {
		piece = appendCell(separated(piece, i), f.cells.At(i))
	}
	return append(piece, "\r\n"...), nil
}

func separated(line []byte, column int) []byte {
	if column == 0 {
		return line
	}
	return append(line, ',')
}

func appendCell(line, cell []byte) []byte {
	armed := sheets.Armed(cell)
	if !needsQuotes(cell, armed) {
		if armed {
			line = append(line, sheets.Disarmed...)
		}
		return append(line, cell...)
	}
	line = append(line, '"')
	if armed {
		line = append(line, sheets.Disarmed...)
	}
	for {
		quote := bytes.IndexByte(cell, '"')
		if quote < 0 {
			break
		}
		line = append(line, cell[:quote]...)
		line = append(line, `""`...)
		cell = cell[quote+1:]
	}
	line = append(line, cell...)
	return append(line, '"')
}

// needsQuotes tells whether a cell would be taken for something else without quotes: for more than one cell, or without
// the space that it begins with, which some readers drop, or for the end of the data, as PostgreSQL has it.
func needsQuotes(cell []byte, armed bool) bool {
	for _, c := range cell {
		if c == ',' || c == '"' || c == '\n' || c == '\r' {
			return true
		}
	}
	if armed || len(cell) == 0 {
		return false
	}
	first, _ := utf8.DecodeRune(cell)
	return unicode.IsSpace(first) || string(cell) == `\.`
}

// Lines is JSON, one row in a line.
func Lines[Row, Shown any](show func(*Row) Shown) Format[Row] {
	f := &linesFormat[Row, Shown]{show: show}
	f.encoder = json.NewEncoder(&f.line)
	f.encoder.SetEscapeHTML(false)
	return f
}

type linesFormat[Row, Shown any] struct {
	show    func(*Row) Shown
	encoder *json.Encoder
	line    bytes.Buffer
}

func (f *linesFormat[Row, Shown]) Fields() []string { return nil }

func (f *linesFormat[Row, Shown]) Begin(piece []byte) []byte { return piece }

func (f *linesFormat[Row, Shown]) Row(piece []byte, row *Row) ([]byte, error) {
	f.line.Reset()
	if err := f.encoder.Encode(f.show(row)); err != nil {
		return piece, fmt.Errorf("writing lines of JSON: %w", err)
	}
	return append(piece, f.line.Bytes()...), nil
}
