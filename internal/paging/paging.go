// Package paging holds what all lists have in common: how a caller asks for a page, what a page is, and how a cursor is
// written. A cursor is the place of the last row shown, by the values it was sorted on, so a page neither repeats nor
// loses a row while rows come and go. It grants nothing: what a caller may see is decided by the query.
package paging

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/rawjson"
)

// Request is what a caller asks of a list.
type Request struct {
	Limit  int    // rows on a page, at least 1
	Cursor string // the page before's Next; "" for the first page
	Total  bool   // whether to count all rows
}

// Page is a piece of a list.
type Page[T any] struct {
	Rows  []T
	Next  *string // nil on the last page
	Total *int64  // nil unless asked for
}

// Cursors are the cursors of one list: of the resource and all that decides which rows the list has and in which order.
// A cursor of one list is refused by every other.
type Cursors struct {
	digest   [6]byte
	filtered bool // whether there is more to the list than its resource
}

// CursorsOf gives the cursors of a list by its resource, and by whatever filters and order it has.
func CursorsOf(resource string, filtersAndOrder ...any) Cursors {
	encoded, err := json.Marshal(filtersAndOrder)
	if err != nil {
		panic("paging: filters that do not encode: " + err.Error())
	}
	sum := sha256.Sum256(append([]byte(resource+"\n"), encoded...))
	cursors := Cursors{filtered: len(filtersAndOrder) > 0}
	copy(cursors.digest[:], sum[:])
	return cursors
}

type cursor struct {
	List  []byte          `json:"l"`
	Place json.RawMessage `json:"p"`
}

// Encode writes the cursor of a place, which is any value that JSON can hold.
func (c Cursors) Encode(place any) string {
	encodedPlace, err := json.Marshal(place)
	if err == nil {
		var encoded []byte
		if encoded, err = json.Marshal(cursor{List: c.digest[:], Place: encodedPlace}); err == nil {
			return base64.RawURLEncoding.EncodeToString(encoded)
		}
	}
	panic("paging: a place that does not encode: " + err.Error())
}

// Decode reads a cursor of this list into the place; any other is an invalid cursor.
func (c Cursors) Decode(text string, place any) error {
	decoded, err := parse(text)
	if err != nil || !bytes.Equal(decoded.List, c.digest[:]) {
		return fault.InvalidCursor(c.filtered)
	}
	decoder := json.NewDecoder(bytes.NewReader(decoded.Place))
	decoder.DisallowUnknownFields()
	if decoder.Decode(place) != nil {
		return fault.InvalidCursor(c.filtered)
	}
	return nil
}

var errForm = errors.New("must be a next_cursor that this list gave out")

// CheckCursor tells whether the text has the form of a cursor, of whatever list.
func CheckCursor(text string) error {
	if _, err := parse(text); err != nil {
		return errForm
	}
	return nil
}

// maxDepth is how deep a cursor is nested at most.
const maxDepth = 8

func parse(text string) (cursor, error) {
	var decoded cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return decoded, err
	}
	// Anybody can write one: what a database could not take as a value must not get that far.
	if refused, err := rawjson.Check(raw, maxDepth); err != nil || len(refused) > 0 {
		return decoded, errForm
	}
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return decoded, err
	}
	if len(decoded.List) == 0 || len(decoded.Place) == 0 {
		return decoded, errForm
	}
	return decoded, nil
}
