// Package textfold makes text comparable without regard to case and accents, the same on every database whatever its
// locale, since PostgreSQL's own lower() and unaccent() depend on that.
package textfold

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// undecomposed are letters that Unicode does not take apart into a letter and a mark, though readers do.
var undecomposed = strings.NewReplacer(
	"ł", "l", "ø", "o", "đ", "d", "ð", "d", "þ", "th", "æ", "ae", "œ", "oe", "ħ", "h", "ı", "i", "ŀ", "l", "ŧ", "t",
	"ŋ", "n", "ĸ", "k", "ſ", "s",
)

// Key folds case, accents and compatibility forms: "Königlich" and "KONIGLICH" have the same key. White space of any
// kind and length becomes one space.
func Key(text string) string {
	if isPlain(text) {
		return strings.ToLower(text)
	}
	bare := strings.Map(withoutMark, norm.NFKD.String(fold(norm.NFKC.String(text))))
	return strings.Join(strings.Fields(undecomposed.Replace(norm.NFC.String(bare))), " ")
}

// withoutMark leaves out marks that have no space of their own, such as accents.
func withoutMark(r rune) rune {
	if unicode.Is(unicode.Mn, r) {
		return -1
	}
	return r
}

// isPlain tells whether the text is ASCII whose only white space is single spaces inside it, as most text is.
func isPlain(text string) bool {
	space := true // a leading space is not plain
	for i := range len(text) {
		c := text[i]
		if c >= 0x80 || c < ' ' || c == 0x7f || c == ' ' && space {
			return false
		}
		space = c == ' '
	}
	return !space || text == ""
}

// fold folds case. Cherokee, which Unicode folds to capitals, comes out of the folding with its cases exchanged; lowering
// what is folded leaves all other scripts as they are.
func fold(text string) string { return strings.ToLower(cases.Fold().String(text)) }

// CaseKey folds case alone: for email addresses, in which accents tell people apart.
func CaseKey(text string) string {
	return fold(norm.NFC.String(text))
}
