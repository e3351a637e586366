// Package email knows what an email address is. It sends nothing.
package email

import (
	"errors"
	"net/mail"
	"strings"
	"unicode"
)

// MaxLength is how many characters an address has at most (RFC 5321).
const MaxLength = 254

var errInvalid = errors.New("must be an email address")

// Check tells whether mail can be sent to the text: one address, without a display name or anything else around it.
func Check(text string) error {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text || len(text) > MaxLength || strings.ContainsFunc(text, unicode.IsControl) {
		return errInvalid
	}
	at := strings.LastIndexByte(text, '@')
	if at > 64 || strings.HasSuffix(text, ".") {
		return errInvalid
	}
	return nil
}
