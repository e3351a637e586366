package textfold

import (
	"hash/fnv"
	"slices"
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

// minPattern is how many characters a text has at least that is found anywhere.
const minPattern = 3

var escapeLike = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Pattern gives the pattern for LIKE that finds the text anywhere in a search text; one of fewer than three characters
// has no trigram of its own, and is looked for at the start of words, where the space before it gives it one. Of a text
// that is nothing but accents there is none.
func Pattern(text string) (pattern string, some bool) {
	key := Key(text)
	if key == "" {
		return "", false
	}
	if utf8.RuneCountInString(key) < minPattern {
		return "% " + escapeLike.Replace(key) + "%", true
	}
	return "%" + escapeLike.Replace(key) + "%", true
}

// gramLength is how many bytes a gram has. Grams of six are in few rows, so that the cost of finding those that have the
// grams of a text depends on how many they are, and hardly on how many rows there are.
const gramLength = 6

// Grams gives the hashes of all grams of all fields of a search text. They are stored: another length or hash needs them
// made anew.
func Grams(searchText string) []int32 {
	grams := []int32{}
	for field := range strings.SplitSeq(searchText, fieldBreak) {
		field = strings.TrimPrefix(field, " ")
		for i := range len(field) - gramLength + 1 {
			grams = append(grams, gram(field, i))
		}
	}
	slices.Sort(grams)
	return slices.Compact(grams)
}

// CoveringGrams gives the hashes of as few grams as have every byte of the text in them: each costs a walk through a
// list. What has them need not have the text, but little has them that has not. A text that is too short has none.
func CoveringGrams(text string) []int32 {
	key := Key(text)
	last := len(key) - gramLength
	if last < 0 || utf8.RuneCountInString(key) < minPattern {
		return nil
	}
	var grams []int32
	for i := 0; i < last; i += gramLength {
		grams = append(grams, gram(key, i))
	}
	return append(grams, gram(key, last))
}

func gram(text string, start int) int32 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(text[start : start+gramLength]))
	return int32(hash.Sum32()) // any 32 bits do
}
