package sheets

import (
	"strings"
	"unicode/utf8"
)

// formulaStarts are the characters that make a spreadsheet take a cell for a formula when it begins with one. CR and tab
// are skipped by some of them on their way to what comes next.
const formulaStarts = "=+-@\t\r"

// wideStarts are the same characters in the width of Chinese and Japanese letters, which spreadsheets of these languages
// take for them.
const wideStarts = "＝＋－＠"

// Disarmed is what stands before a cell that would be a formula. Spreadsheets take it as the sign of a text.
const Disarmed = "'"

// Disarm gives the cell in a form that no spreadsheet runs: one that begins like a formula gets an apostrophe in front.
// So does one that begins with an apostrophe already, so that Rearm knows whose it is.
func Disarm(cell string) string {
	if Armed(cell) {
		return Disarmed + cell
	}
	return cell
}

// Rearm undoes Disarm, for whoever reads such a cell. It takes off one apostrophe, and only where Disarm would have put
// one.
func Rearm(cell string) string {
	if rest, found := strings.CutPrefix(cell, Disarmed); found && Armed(rest) {
		return rest
	}
	return cell
}

// Armed tells whether Disarm changes the cell.
func Armed[Text string | []byte](cell Text) bool {
	if len(cell) == 0 || cell[0] < utf8.RuneSelf {
		return len(cell) > 0 && strings.IndexByte(formulaStarts+Disarmed, cell[0]) >= 0
	}
	first, _ := utf8.DecodeRuneInString(string(cell[:min(len(cell), utf8.UTFMax)]))
	return strings.ContainsRune(wideStarts, first)
}
