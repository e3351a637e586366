// Package sheets knows how customers and domains look in a spreadsheet: which columns there are, and what a value is as
// the text of a cell. It reads and writes no files, and knows nothing of where rows come from.
package sheets

// Table is what the rows are as CSV: the names of the columns, and the cells of a row, appended to the ones that are there.
type Table[Row any] struct {
	Header []string
	Cells  func(cells []string, row Row) []string
}
