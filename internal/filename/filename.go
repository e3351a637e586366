// Package filename reads what a file is called from where senders say it, and makes names that every file system takes and
// that mean nothing to any.
package filename

import (
	"errors"
	"mime"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxBytes is how long a name is at most: what file systems take, with room for something in front of it.
const MaxBytes = 200

// maxEnding is how much of a name that is too long is kept as its ending.
const maxEnding = 20

// FromDisposition reads the name out of a Content-Disposition header (RFC 6266), as it was sent: filename*, where there is
// one, before filename. It is "" where the header has none.
func FromDisposition(header string) (string, error) {
	_, parameters, err := mime.ParseMediaType(header)
	if err != nil {
		return "", errors.New(`must be like attachment; filename="name"`)
	}
	name := parameters["filename"]
	if !utf8.ValidString(name) {
		return "", errors.New("must have the file name in UTF-8")
	}
	return name, nil
}

// Check tells what is wrong with a header, in words that follow its name.
func Check(header string) error {
	_, err := FromDisposition(header)
	return err
}

// Clean gives the name without directories, without what file systems do not take or people do not see, and not too long;
// "" when nothing is left of it. What is clean stays as it is.
func Clean(name string) string {
	name = harmless(path.Base(strings.ReplaceAll(name, `\`, "/")))
	return strings.Trim(shorten(strings.Trim(name, ". ")), ". ")
}

// FromText makes a name of a text that is none, such as a title, with an ending that it keeps however long the text is.
func FromText(text, ending string) string {
	name := strings.TrimLeft(harmless(text), ". ")
	return cut(name, MaxBytes-len(ending)) + ending
}

// harmless gives the text without the characters that file systems do not take, and without the invisible ones by which one
// name passes for another.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError: // Cf turns the direction of text, among others
			return -1
		case unicode.IsSpace(r):
			return ' '
		case strings.ContainsRune(`<>:"/\|?*`, r):
			return '-'
		}
		return r
	}, text)
}

// shorten cuts a name that is too long before its ending.
func shorten(name string) string {
	if len(name) <= MaxBytes {
		return name
	}
	ending := path.Ext(name)
	if len(ending) > maxEnding {
		ending = ""
	}
	return cut(strings.TrimSuffix(name, ending), MaxBytes-len(ending)) + ending
}

// cut cuts a text to a number of bytes at most, between characters.
func cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}

// WithEnding gives the name with the ending, unless it has it in some case already.
func WithEnding(name, ending string) string {
	if strings.EqualFold(path.Ext(name), ending) {
		return name
	}
	return cut(name, MaxBytes-len(ending)) + ending
}
