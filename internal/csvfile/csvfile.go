// Package csvfile reads CSV files as people have them, of any length and in constant memory. A Decoder makes UTF-8 of
// what arrives; a Reader splits that into records, and Lines into lines of JSON. What is wrong with a record is a fault
// of that record, told with the text it has, and reading goes on after it. Nothing here knows what the cells mean.
//
// It does not stand on encoding/csv, which reads on to the end of the file into memory where a quote is not closed,
// changes the line breaks inside of cells, leaves blank lines out of its count, and cannot be taken up again at an
// offset.
package csvfile

import (
	"strings"
	"unicode/utf8"
)

// MaxRecord is how many bytes a record may have, and a physical line, without the line break that ends it.
const MaxRecord = 1 << 20

const (
	maxCells = 1000
	maxRaw   = 64 << 10
)

// Record is a row of the file.
type Record struct {
	Row   int      // its number in the file, from 1 as a spreadsheet counts: blank lines have one too
	Cells []string // the slice is used again for the next record, its texts stay; nil where there is a fault
	Fault *Fault   // what is wrong with it; nil for nothing
	Raw   string   // of a line of JSON, the line; of a record with a fault, its text as valid UTF-8, at most 64 KiB of it
}

// Fault is what keeps a record from being taken.
type Fault struct {
	Code    string // for programs; stable
	Message string // for people
	Cell    int    // the index of the cell, -1 for the record as a whole
}

func lineTooLong() *Fault {
	return &Fault{Code: "line_too_long", Message: "is longer than 1 MiB", Cell: -1}
}

func misplacedQuote(cell int) *Fault {
	return &Fault{
		Code: "misplaced_quote", Cell: cell,
		Message: "has a quote in the midst of a cell; put the cell into quotes and write each quote inside of it twice",
	}
}

func unclosedQuote(cell int) *Fault {
	return &Fault{
		Code: "unclosed_quote", Cell: cell,
		Message: "begins with a quote that is not closed before the file ends or the record is longer than 1 MiB",
	}
}

func tooManyCells() *Fault {
	return &Fault{Code: "too_many_cells", Message: "has more than 1000 cells", Cell: -1}
}

func nulCharacter(cell int) *Fault {
	return &Fault{Code: "nul_character", Message: "has a NUL character", Cell: cell}
}

func invalidText(cell int) *Fault {
	return &Fault{Code: "invalid_text", Message: "has bytes that are no characters in the encoding of the file", Cell: cell}
}

// shown makes the text of a faulty record fit to be shown.
func shown(text []byte) string {
	text = text[:min(len(text), maxRaw+utf8.UTFMax)]
	valid := strings.ToValidUTF8(string(text), string(utf8.RuneError))
	end := min(len(valid), maxRaw)
	for end < len(valid) && !utf8.RuneStart(valid[end]) {
		end--
	}
	return valid[:end]
}
