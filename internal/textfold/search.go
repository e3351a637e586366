package textfold

import (
	"strings"
	"unicode/utf8"
)

// fieldBreak stands between the fields of a search text: what is looked for is found inside one field.
const fieldBreak = "\n"

// SearchText gives the text that a row with these fields is searched by: a line of words for each that is not empty, each
// word after a space.
func SearchText(fields ...string) string {
	var text strings.Builder
	for _, field := range fields {
		if field == "" {
			continue
		}
		if text.Len() > 0 {
			text.WriteString(fieldBreak)
		}
		text.WriteString(" " + Key(field))
	}
	return text.String()
}

var escapeLike = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Pattern gives the pattern for LIKE that finds the text anywhere in a search text; one of fewer than three characters
// has no trigram of its own, and is looked for at the start of words, where the space before it gives it one. Of a text
// that is nothing but accents there is none.
func Pattern(text string) (pattern string, some bool) {
	key := Key(text)
	if key == "" {
		return "", false
	}
	if utf8.RuneCountInString(key) < 3 {
		return "% " + escapeLike.Replace(key) + "%", true
	}
	return "%" + escapeLike.Replace(key) + "%", true
}
