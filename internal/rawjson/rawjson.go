// Package rawjson looks at JSON text before anybody decodes it, for what a decoder lets pass or changes in silence and a
// database then stumbles over: NUL characters, lone surrogates, members named twice, numbers that take a page to write
// out, nesting without end. It does not judge what the members mean.
package rawjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// MaxDigits is how many digits a number has at most, written out without an exponent.
	MaxDigits = 100
	// MaxValues is how many values a text has at most, counting each member, each item and what holds them.
	MaxValues = 20_000
	// maxFaults is how many faults are listed; a text with more of them is not better described by all.
	maxFaults = 100
)

// Fault is something in the text that is refused, though it is JSON.
type Fault struct {
	Pointer string // RFC 6901
	Code    string
	Message string
}

// Check looks at a text. An error means that it is not JSON at all; faults that it is, but is refused. A text with more
// than MaxValues values has one fault, too_many_values, and is better not decoded: whoever judges values one by one keeps
// a thousand times as much of each as its text has.
func Check(text []byte, maxDepth int) ([]Fault, error) { return CheckWithin(text, maxDepth, MaxValues) }

// CheckWithin is Check for texts of another number of values at most.
func CheckWithin(text []byte, maxDepth, maxValues int) ([]Fault, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("is not UTF-8")
	}
	if !json.Valid(text) {
		var ignored any
		err := json.Unmarshal(text, &ignored)
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	s := scanner{text: text, maxDepth: maxDepth}
	if values(text) > maxValues {
		s.fault("too_many_values", fmt.Sprintf("has more than %d values", maxValues))
		return s.faults, nil
	}
	s.value(1)
	return s.faults, nil
}

// values counts the values in valid JSON: one, one more for each comma, and one for each object or array that has any.
func values(text []byte) int {
	count, inString, opened := 1, false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if inString {
			if c == '\\' {
				i++
			}
			inString = c != '"'
			continue
		}
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			continue
		}
		if c == ',' || opened && c != '}' && c != ']' {
			count++
		}
		opened = c == '{' || c == '['
		inString = c == '"'
	}
	return count
}

// Depth tells how deep valid JSON is nested: 1 for a number or a flat object.
func Depth(text []byte) int {
	depth, deepest, inString := 1, 1, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth-1)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// scanner walks over text that is known to be valid JSON.
type scanner struct {
	text     []byte
	pos      int
	maxDepth int
	path     []string
	faults   []Fault
}

func (s *scanner) fault(code, message string) {
	if len(s.faults) < maxFaults {
		s.faults = append(s.faults, Fault{Pointer: Pointer(s.path...), Code: code, Message: message})
	}
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// maxPointer is how long a pointer gets, since a hundred faults below a member with a name of a megabyte would make an
// answer of a hundred.
const maxPointer = 1024

// Pointer writes a JSON pointer of these steps, or of as many from the top as a pointer has room for.
func Pointer(steps ...string) string {
	var pointer strings.Builder
	for _, step := range steps {
		escaped := escapePointer.Replace(step)
		if pointer.Len()+1+len(escaped) > maxPointer {
			break
		}
		pointer.WriteByte('/')
		pointer.WriteString(escaped)
	}
	return pointer.String()
}

func (s *scanner) space() {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.pos]) >= 0 {
		s.pos++
	}
}

func (s *scanner) value(depth int) {
	s.space()
	switch c := s.text[s.pos]; {
	case c == '{' || c == '[':
		if depth > s.maxDepth {
			s.fault("too_deep", fmt.Sprintf("is nested deeper than %d levels", s.maxDepth))
			s.pos = len(s.text) // there may be no end to it
			return
		}
		if c == '{' {
			s.object(depth)
		} else {
			s.array(depth)
		}
	case c == '"':
		s.string()
	case c == '-' || c >= '0' && c <= '9':
		s.number()
	default: // true, false, null
		for s.pos < len(s.text) && s.text[s.pos] >= 'a' && s.text[s.pos] <= 'z' {
			s.pos++
		}
	}
}

func (s *scanner) object(depth int) {
	s.pos++
	var seen map[string]struct{}
	for s.more('}') {
		start := s.pos
		s.path = append(s.path, "")
		s.string()
		if s.pos >= len(s.text) {
			return
		}
		name := s.name(start)
		s.path[len(s.path)-1] = name
		if seen == nil {
			seen = map[string]struct{}{}
		}
		if _, twice := seen[name]; twice {
			s.fault("duplicate_member", "is there twice")
		}
		seen[name] = struct{}{}
		s.space()
		s.pos++ // the colon
		s.value(depth + 1)
		s.path = s.path[:len(s.path)-1]
	}
}

func (s *scanner) array(depth int) {
	s.pos++
	for i := 0; s.more(']'); i++ {
		s.path = append(s.path, strconv.Itoa(i))
		s.value(depth + 1)
		s.path = s.path[:len(s.path)-1]
	}
}

// more moves to the next element, or past the end of the object or array.
func (s *scanner) more(end byte) bool {
	s.space()
	if s.pos < len(s.text) && s.text[s.pos] == ',' {
		s.pos++
		s.space()
	}
	if s.pos >= len(s.text) {
		return false
	}
	if s.text[s.pos] == end {
		s.pos++
		return false
	}
	return true
}

// name gives the text of a member's name, which begins at start.
func (s *scanner) name(start int) string {
	raw := s.text[start+1 : s.pos-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	var name string
	_ = json.Unmarshal(s.text[start:s.pos], &name) // known to be valid
	return name
}

func (s *scanner) string() {
	for s.pos++; s.text[s.pos] != '"'; s.pos++ {
		if s.text[s.pos] != '\\' {
			continue
		}
		s.pos++
		if s.text[s.pos] != 'u' {
			continue
		}
		unit := s.unit(s.pos + 1)
		s.pos += 4
		switch {
		case unit == 0:
			s.fault("nul_character", "contains a NUL character")
		case utf16.IsSurrogate(unit):
			paired := s.text[s.pos+1] == '\\' && s.text[s.pos+2] == 'u' &&
				utf16.DecodeRune(unit, s.unit(s.pos+3)) != utf8.RuneError
			if !paired {
				s.fault("lone_surrogate", "contains half of a surrogate pair")
				continue
			}
			s.pos += 6
		}
	}
	s.pos++
}

// unit reads the four hexadecimal digits at a position.
func (s *scanner) unit(at int) rune {
	unit, _ := strconv.ParseUint(string(s.text[at:at+4]), 16, 16) // known to be valid
	return rune(unit)
}

func (s *scanner) number() {
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte("+-.0123456789eE", s.text[s.pos]) >= 0 {
		s.pos++
	}
	if digitsWrittenOut(string(s.text[start:s.pos])) > MaxDigits {
		s.fault("number_too_long", fmt.Sprintf("has more than %d digits, written out", MaxDigits))
	}
}

// digitsWrittenOut counts the digits of a number without its exponent: 4 for 1e3, 4 for 1e-3.
func digitsWrittenOut(number string) int {
	mantissa, exponentText, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(number, "-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := len(whole) + len(fraction)
	if exponentText == "" || digits > MaxDigits {
		return digits
	}
	exponent, err := strconv.Atoi(exponentText)
	if err != nil || exponent > 2*MaxDigits || exponent < -2*MaxDigits {
		return 2 * MaxDigits // too many to count
	}
	if exponent >= 0 {
		return max(digits, len(whole)+exponent)
	}
	return max(digits, len(fraction)-exponent+1)
}

// Same tells whether two texts are the same JSON, however they are written. Both are valid, or nil for none.
func Same(a, b []byte) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	decode := func(text []byte) (value any) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		_ = decoder.Decode(&value) // both are valid
		return value
	}
	return bytes.Equal(a, b) || reflect.DeepEqual(decode(a), decode(b))
}

// Compact gives valid JSON as a text without spaces; nothing for nil.
func Compact(text []byte) string {
	var short bytes.Buffer
	if json.Compact(&short, text) != nil {
		return string(text)
	}
	return short.String()
}
