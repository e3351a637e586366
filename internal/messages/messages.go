// Package messages has the texts that are sent to people, in their languages. An operator may replace each of them. It
// sends nothing and makes no links: where the link belongs, a text has a placeholder.
package messages

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

// Link is the placeholder of the link in a body. A rendered body has it at least once, and only where the text has it:
// no value can bring it in. A subject never has it.
const Link = "{{link}}"

// Kind is what a text is for.
type Kind string

// The kinds of text.
const (
	Activation    Kind = "activation"
	PasswordReset Kind = "password-reset"
)

// Locale is a language of texts.
type Locale string

// The languages.
const (
	English Locale = "en"
	Polish  Locale = "pl"
)

// Data is what a text tells its reader. Each value is shown as one line.
type Data struct {
	Customer  string // the customer's name
	Company   string // may be empty
	Recipient string // the name of who is written to; may be empty
	Hours     int    // how long the link works
}

//go:embed texts/*.txt
var embedded embed.FS

// Texts holds the texts, parsed and tried. It may be used by many at a time.
type Texts struct {
	byName map[string]*template.Template
}

// Load reads the embedded texts, and in their place those of the directory that it has; "" stands for none. Each text
// is rendered with sample data. The error names every file with what is wrong in it.
func Load(directory string) (*Texts, error) {
	texts := &Texts{byName: map[string]*template.Template{}}
	sources, err := sourcesIn(directory)
	problems := []error{err}
	for _, kind := range []Kind{Activation, PasswordReset} {
		for _, locale := range []Locale{English, Polish} {
			name := fileName(kind, locale)
			source, replaced := sources[name]
			if !replaced {
				source = builtIn(name)
			}
			problems = append(problems, texts.add(name, kind, locale, source))
			delete(sources, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		problems = append(problems, fmt.Errorf("the text %s is none that is known; they are named like %s", name,
			fileName(Activation, English)))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return texts, nil
}

func fileName(kind Kind, locale Locale) string { return string(kind) + "." + string(locale) + ".txt" }

// builtIn gives an embedded text. One that is missing is empty, which is refused like any other.
func builtIn(name string) string {
	source, _ := embedded.ReadFile("texts/" + name)
	return string(source)
}

// sourcesIn reads every .txt file of the directory: one with a name that is not known is a mistake in its name.
func sourcesIn(directory string) (map[string]string, error) {
	sources := map[string]string{}
	if directory == "" {
		return sources, nil
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of texts: %w", err)
	}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".txt" || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		source, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading a text: %w", err)
		}
		if !utf8.Valid(source) {
			return nil, fmt.Errorf("the text %s must be in UTF-8", entry.Name())
		}
		sources[entry.Name()] = string(source)
	}
	return sources, nil
}

// add parses a text and tries it: with all values, and with as few as may be.
func (t *Texts) add(name string, kind Kind, locale Locale, source string) error {
	source = strings.ReplaceAll(strings.TrimPrefix(source, "\uFEFF"), "\r\n", "\n")
	parsed, err := template.New(name).Funcs(functions(locale, 0)).Parse(source)
	if err != nil {
		return fmt.Errorf("the text %s: %w", name, err)
	}
	t.byName[name] = parsed
	for _, sample := range []Data{
		{Customer: "Jan Kowalski", Company: "Analytical Engines", Recipient: "Ada Lovelace", Hours: 72},
		{Customer: "Jan Kowalski", Hours: 1},
	} {
		if _, _, err := t.Render(kind, locale, sample); err != nil {
			return err
		}
	}
	return nil
}

// functions are those that a text may call. The template has been cloned before they are replaced, so no two renderings
// share them.
func functions(locale Locale, hours int) template.FuncMap {
	return template.FuncMap{
		"link":  func() string { return Link },
		"hours": func() string { return inWords(locale, hours) },
	}
}

// Render gives a text with its values. A locale that there is no text for, "" among them, gets English. The subject is
// one line; the body's lines end with LF, the last one with nothing.
func (t *Texts) Render(kind Kind, locale Locale, data Data) (subject, body string, err error) {
	name := fileName(kind, locale)
	parsed, found := t.byName[name]
	if !found {
		locale, name = English, fileName(kind, English)
		if parsed, found = t.byName[name]; !found {
			return "", "", fmt.Errorf("there is no text %s", name)
		}
	}
	copied, err := parsed.Clone()
	if err != nil {
		return "", "", fmt.Errorf("the text %s: %w", name, err)
	}
	var text strings.Builder
	err = copied.Funcs(functions(locale, data.Hours)).Execute(&text, Data{
		Customer: line(data.Customer), Company: line(data.Company), Recipient: line(data.Recipient), Hours: data.Hours,
	})
	if err != nil {
		return "", "", fmt.Errorf("the text %s: %w", name, err)
	}
	subject, body, err = split(text.String())
	if err != nil {
		return "", "", fmt.Errorf("the text %s %w", name, err)
	}
	return subject, body, nil
}

// split takes a rendered text apart and judges it.
func split(text string) (subject, body string, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	subject, found := strings.CutPrefix(first, "Subject:")
	if subject = strings.TrimSpace(subject); !found || subject == "" {
		return "", "", errors.New(`must begin with a line "Subject: …"`)
	}
	second, body, _ := strings.Cut(rest, "\n")
	if strings.TrimSpace(second) != "" {
		return "", "", errors.New("must have a blank line after the subject")
	}
	if strings.Contains(subject, Link) {
		return "", "", fmt.Errorf("must not have %s in the subject", Link)
	}
	if strings.ContainsFunc(subject, unicode.IsControl) {
		return "", "", errors.New("must not have control characters in the subject")
	}
	if body = strings.TrimSpace(body); !strings.Contains(body, Link) {
		return "", "", fmt.Errorf("must have %s in the body", Link)
	}
	return subject, body, nil
}

// line makes one line of a value. Its braces become parentheses: no value, and no two beside each other, can look like
// the placeholder of the link.
func line(value string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r == '{':
			return '('
		case r == '}':
			return ')'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(value, "\uFFFD"))), " ")
}

// inWords gives a number of hours as it follows "for" or "przez".
func inWords(locale Locale, hours int) string {
	word := "hours"
	tens, ones := hours/10%10, hours%10
	switch {
	case locale != Polish && hours == 1:
		word = "hour"
	case locale != Polish:
	case hours == 1:
		word = "godzinę"
	case tens != 1 && ones >= 2 && ones <= 4:
		word = "godziny"
	default:
		word = "godzin"
	}
	return strconv.Itoa(hours) + " " + word
}
