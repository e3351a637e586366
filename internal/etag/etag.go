// Package etag makes entity tags and judges preconditions. A tag is "<version>.<digest>": the digest covers the whole
// representation, so that a 304 is never false; a precondition compares the version alone, so that what changes without
// raising the version (the time of the last sign-in, say) does not get in the way of an edit.
package etag

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clientele-api/clientele/internal/fault"
)

// Of gives the entity tag of a representation, as the header has it. The representation must be one that encodes.
func Of(version int64, representation any) string {
	encoded, err := json.Marshal(representation)
	if err != nil {
		panic(fmt.Sprintf("etag: a representation that does not encode: %v", err))
	}
	digest := sha256.Sum256(encoded)
	var tag [48]byte
	out := append(tag[:0], '"')
	out = strconv.AppendInt(out, version, 10)
	out = append(out, '.')
	out = hex.AppendEncode(out, digest[:8])
	return string(append(out, '"'))
}

// Versions are the versions that an If-Match header accepts. The zero value accepts every one.
type Versions struct {
	given bool
	any   bool
	list  []int64
}

// IfMatch reads an If-Match header; nil is no header. A well-formed tag that is not one of ours accepts no version.
func IfMatch(header *string) Versions {
	if header == nil {
		return Versions{}
	}
	tags, _ := Parse(*header)
	versions := Versions{given: true}
	for _, tag := range tags {
		if tag == "*" {
			versions.any = true
		}
		number, _, _ := strings.Cut(strings.Trim(tag, `"`), ".")
		if version, err := strconv.ParseInt(number, 10, 64); err == nil && !strings.HasPrefix(tag, "W/") {
			versions.list = append(versions.list, version)
		}
	}
	return versions
}

// Check answers with a stale fault unless the version is accepted.
func (v Versions) Check(current int64) error {
	if !v.given || v.any {
		return nil
	}
	for _, version := range v.list {
		if version == current {
			return nil
		}
	}
	return fault.StaleVersion(current)
}

// Tags are the entity tags that the headers If-Match and If-None-Match accept, of a resource that has no version: its tag as
// a whole counts. The zero value accepts every one.
type Tags struct {
	given  bool
	list   []string
	except string // as If-None-Match has them
}

// IfMatchTags reads an If-Match header; nil is no header. A weak tag accepts nothing (RFC 9110, 13.1.1).
func IfMatchTags(header *string) Tags {
	if header == nil {
		return Tags{}
	}
	list, _ := Parse(*header)
	return Tags{given: true, list: list}
}

// Except gives the same tags without those that an If-None-Match header names; nil is no header. The asterisk leaves nothing
// but that there is no such resource (RFC 9110, 13.1.2).
func (t Tags) Except(header *string) Tags {
	if header != nil {
		t.except = *header
	}
	return t
}

// Excludes tells whether If-None-Match names the tag that the resource has; "" when there is no such resource.
func (t Tags) Excludes(current string) bool {
	return current != "" && t.except != "" && Matches(t.except, current)
}

// Accept tells whether If-Match names the tag that the resource has; "" when there is no such resource, which the asterisk
// does not accept.
func (t Tags) Accept(current string) bool {
	return !t.given || current != "" && (slices.Contains(t.list, current) || slices.Contains(t.list, "*"))
}

// Matches tells whether an If-None-Match header names the tag, by weak comparison (RFC 9110, 13.1.2).
func Matches(header, tag string) bool {
	tags, err := Parse(header)
	if err != nil {
		return false
	}
	for _, candidate := range tags {
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// Parse splits a list of entity tags (RFC 9110, 8.8.3). Each keeps its quotes and its W/.
func Parse(header string) ([]string, error) {
	rest := strings.TrimSpace(header)
	if rest == "*" {
		return []string{"*"}, nil
	}
	var tags []string
	for {
		start := 0
		if strings.HasPrefix(rest, "W/") {
			start = 2
		}
		if len(rest) <= start || rest[start] != '"' {
			return nil, fmt.Errorf("not an entity tag at %q", rest)
		}
		end := strings.IndexByte(rest[start+1:], '"')
		if end < 0 {
			return nil, fmt.Errorf("an entity tag without its closing quote")
		}
		end += start + 2
		tags = append(tags, rest[:end])
		rest = strings.TrimSpace(rest[end:])
		if rest == "" {
			return tags, nil
		}
		if rest[0] != ',' {
			return nil, fmt.Errorf("entity tags are separated by commas")
		}
		rest = strings.TrimSpace(rest[1:])
	}
}
