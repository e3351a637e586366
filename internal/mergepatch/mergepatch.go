// Package mergepatch applies JSON Merge Patches (RFC 7396) to JSON text, and keeps what a patch does not touch as it is
// written: numbers to the digit, arrays with the nulls in them, members in their order.
package mergepatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/oapi-codegen/nullable"
)

// Apply merges the patch into the target. Both are valid JSON; an empty target is one that is not there.
func Apply(target, patch json.RawMessage) (json.RawMessage, error) {
	if !isObject(patch) {
		return patch, nil
	}
	changes, err := members(patch)
	if err != nil {
		return nil, fmt.Errorf("reading a patch: %w", err)
	}
	var kept []member
	if isObject(target) {
		if kept, err = members(target); err != nil {
			return nil, fmt.Errorf("reading what is patched: %w", err)
		}
	}
	// By name, since a patch of many members for many would be looked through as many times.
	places := make(map[string]int, len(kept))
	for i, one := range kept {
		places[one.name] = i
	}
	for _, change := range changes {
		at, found := places[change.name]
		if string(change.value) == "null" {
			if found {
				kept[at].value = nil
			}
			continue
		}
		var old json.RawMessage
		if found {
			old = kept[at].value
		}
		value, err := Apply(old, change.value)
		if err != nil {
			return nil, err
		}
		if found {
			kept[at].value = value
			continue
		}
		places[change.name] = len(kept)
		kept = append(kept, member{change.name, value})
	}
	return encode(kept), nil
}

// member is a member of an object. Its value is nil once a patch has removed it.
type member struct {
	name  string
	value json.RawMessage
}

func isObject(text json.RawMessage) bool {
	trimmed := bytes.TrimLeft(text, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// members takes an object apart, in order.
func members(object json.RawMessage) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	var found []member
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		found = append(found, member{name.(string), value})
	}
	return found, nil
}

func encode(object []member) json.RawMessage {
	var text bytes.Buffer
	names := json.NewEncoder(&text)
	names.SetEscapeHTML(false)
	text.WriteByte('{')
	for _, member := range object {
		if member.value == nil {
			continue
		}
		if text.Len() > 1 {
			text.WriteByte(',')
		}
		_ = names.Encode(member.name) // a string always encodes
		text.Truncate(text.Len() - 1) // the line break after it
		text.WriteByte(':')
		text.Write(member.value)
	}
	text.WriteByte('}')
	return text.Bytes()
}

// Replace does what a patch says of a member that is JSON and is not to be merged.
func Replace(field *json.RawMessage, patch nullable.Nullable[json.RawMessage]) {
	switch value, err := patch.Get(); {
	case patch.IsNull():
		*field = nil
	case err == nil:
		*field = value
	}
}

// Same tells whether a member that may be null has the same value in both.
func Same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// SameMoment is Same for moments, which are the same in every time zone.
func SameMoment(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

// Set does what a patch says of a member: absent stays, null clears, a value sets.
func Set[T any](field **T, patch nullable.Nullable[T]) {
	switch value, err := patch.Get(); {
	case patch.IsNull():
		*field = nil
	case err == nil:
		*field = &value
	}
}
