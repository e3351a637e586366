package fault

import (
	"slices"
	"strconv"
	"strings"
)

// maxNamed is how many values a message names, and maxShown how many characters of each.
const (
	maxNamed = 5
	maxShown = 40
)

// Names lists values that somebody has sent, each once and in quotes, as long as people read.
func Names(values []string) string {
	var named []string
	for _, value := range values {
		name := strconv.Quote(Beginning(value, maxShown))
		if slices.Contains(named, name) {
			continue
		}
		if len(named) == maxNamed {
			named = append(named, "…")
			break
		}
		named = append(named, name)
	}
	return strings.Join(named, ", ")
}

// Beginning gives the first characters of a text, and says when there are more.
func Beginning(text string, most int) string {
	if characters := []rune(text); len(characters) > most {
		return string(characters[:most]) + "…"
	}
	return text
}
