package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/clientele-api/clientele/gen/client"
)

// row is a row of the file, as a customer to be. One with faults is refused without asking the server.
type row struct {
	line     int // where it starts in the file
	cells    []string
	customer client.CustomerCreate
	faults   []fault
}

// source reads rows.
type source struct {
	csv     *csv.Reader
	header  []string
	targets []target
	empty   listFlag
	err     error // why rows ended before the file did
}

const byteOrderMark = "\uFEFF"

// newSource reads the names of the columns.
func newSource(file io.Reader, s settings) (*source, error) {
	text := bufio.NewReader(file)
	if mark, _ := text.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		_, _ = text.Discard(len(mark))
	}
	reader := csv.NewReader(text)
	reader.Comma = s.delimiter
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	for i := range header {
		header[i] = strings.TrimSpace(header[i])
		if !utf8.ValidString(header[i]) {
			return nil, errors.New("the file is not UTF-8; save it as such first")
		}
	}
	targets, err := plan(header, s.columns)
	if err != nil {
		return nil, err
	}
	return &source{csv: reader, header: header, targets: targets, empty: s.empty}, nil
}

// rows gives the rows. A row that cannot be read has the reason as its fault, and the next one follows.
func (s *source) rows() iter.Seq[row] {
	return func(yield func(row) bool) {
		for {
			cells, err := s.csv.Read()
			var malformed *csv.ParseError
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil && !errors.As(err, &malformed) {
				s.err = err
				return
			}
			if !yield(s.row(cells, malformed)) {
				return
			}
		}
	}
}

func (s *source) row(cells []string, malformed *csv.ParseError) row {
	if malformed != nil {
		read := row{line: malformed.StartLine, cells: cells}
		message := malformed.Err.Error()
		if errors.Is(malformed, csv.ErrFieldCount) {
			message = fmt.Sprintf("has %d cells where the first row has %d; a cell with %q in it needs quotes",
				len(cells), len(s.header), s.csv.Comma)
		}
		read.faults = []fault{{code: "unreadable_row", message: message}}
		return read
	}
	line, _ := s.csv.FieldPos(0)
	read := row{line: line, cells: cells}
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			read.faults = append(read.faults, fault{code: "not_utf8", message: "the column " + s.header[i] + " is not UTF-8"})
		}
	}
	if read.faults == nil {
		read.customer, read.faults = toCustomer(cells, s.targets, s.empty)
	}
	return read
}
