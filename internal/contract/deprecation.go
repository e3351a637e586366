package contract

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// MinNotice is how long a deprecated operation goes on working at least. It is promised in docs/compatibility.md.
const MinNotice = 365 * 24 * time.Hour

// Deprecation says that an operation should not be used any more.
type Deprecation struct {
	At     time.Time // since when
	Sunset time.Time // when it stops working; zero: nobody knows yet
	Link   string    // to what tells what to use instead; empty: nothing does
}

const (
	deprecatedAt   = "x-deprecated-at"
	sunsetAt       = "x-sunset-at"
	deprecatedLink = "x-deprecation-link"
)

// deprecation reads what the contract says of an operation's end; nil when it goes on. An end that is said by halves is
// refused: whoever goes by the contract and whoever goes by the headers must read the same.
func deprecation(operation *openapi3.Operation) (*Deprecation, error) {
	if !operation.Deprecated {
		for _, name := range []string{deprecatedAt, sunsetAt, deprecatedLink} {
			if _, given := operation.Extensions[name]; given {
				return nil, fmt.Errorf("%s needs deprecated: true beside it", name)
			}
		}
		return nil, nil
	}
	var d Deprecation
	var err error
	if d.At, err = timeOf(operation, deprecatedAt); err != nil {
		return nil, err
	}
	if d.At.IsZero() {
		return nil, errors.New("deprecated: true needs " + deprecatedAt + " beside it")
	}
	if d.Sunset, err = timeOf(operation, sunsetAt); err != nil {
		return nil, err
	}
	if !d.Sunset.IsZero() && d.Sunset.Sub(d.At) < MinNotice {
		return nil, fmt.Errorf("%s must be at least %d days after %s", sunsetAt, int(MinNotice.Hours()/24), deprecatedAt)
	}
	if link, given := operation.Extensions[deprecatedLink]; given {
		text, _ := link.(string)
		if parsed, err := url.Parse(text); err != nil || text == "" || parsed.String() != text {
			return nil, fmt.Errorf("%s is %v, and must be the address of a page, as a header has it", deprecatedLink, link)
		}
		d.Link = text
	}
	return &d, nil
}

// timeOf reads an extension that is a time; the zero one when there is none.
func timeOf(operation *openapi3.Operation, name string) (time.Time, error) {
	value, given := operation.Extensions[name]
	if !given {
		return time.Time{}, nil
	}
	text, _ := value.(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is %v, and must be a time like '2027-01-31T00:00:00Z', in quotes", name, value)
	}
	return at.UTC(), nil
}
