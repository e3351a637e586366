// Package sheets knows how customers and domains look in a spreadsheet: which columns there are, and what a value is as
// the text of a cell. It reads and writes no files, and knows nothing of where rows come from.
package sheets

// Table is what rows are in a spreadsheet.
type Table[Row any] struct {
	Header []string // the names of the columns
	Fields []string // what of a row the cells are made of, by the names of the database's columns
	cells  func(cells *Cells, row *Row)
}

// TableOf makes a table of rows whose cells are texts already.
func TableOf[Row any](header []string, texts func(row *Row) []string) Table[Row] {
	return Table[Row]{Header: header, cells: func(cells *Cells, row *Row) {
		for _, text := range texts(row) {
			cells.end(append(cells.text, text...))
		}
	}}
}

// Fill puts the cells of a row in the place of those that are there.
func (t Table[Row]) Fill(cells *Cells, row *Row) {
	cells.text, cells.ends = cells.text[:0], cells.ends[:0]
	t.cells(cells, row)
}

// Cells are the texts of a row's cells. They are kept in one piece, which serves row after row.
type Cells struct {
	text []byte
	ends []int
}

// Len is how many cells there are.
func (c *Cells) Len() int { return len(c.ends) }

// At gives the text of a cell, which is good until the next row.
func (c *Cells) At(i int) []byte {
	start := 0
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.text[start:c.ends[i]]
}

// end ends a cell: text is what was there before, with the text of the cell behind it.
func (c *Cells) end(text []byte) {
	c.text = text
	c.ends = append(c.ends, len(text))
}
