// Package mail brings messages to people: as a draft for their own mail program, as a mailto link, or over SMTP. It
// writes no texts, stores nothing and tries nothing twice. What a message is made of may come from anybody, so no name
// and no subject can add a header or a recipient.
package mail

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"github.com/clientele-api/clientele/internal/email"
)

// Address is a mailbox, and the name that is shown for it.
type Address struct {
	Name    string // one line; may be empty
	Address string // may have letters outside ASCII on both sides of the @
}

// Message is what a person reads, in plain text.
type Message struct {
	To      Address
	Subject string // one line
	Body    string // lines end with LF or CRLF
}

// Error tells why there is no draft, or why a message was not sent.
type Error struct {
	Permanent bool   // trying again is of no use until the message, or the settings, are others
	Reason    string // one line, for staff to read: a sentence of at most maxReason characters, without credentials
	cause     error
}

// Error gives the reason alone: the cause may quote what the server echoed.
func (e *Error) Error() string { return e.Reason }

// Unwrap gives the cause, for errors.Is; it is not for showing.
func (e *Error) Unwrap() error { return e.cause }

// maxReason is how many characters of a reason are kept.
const maxReason = 300

// failed makes an Error of what went wrong. Whatever its parts, the reason is one printable line.
func failed(permanent bool, reason string, cause error) *Error {
	runes := []rune(oneLine(strings.ToValidUTF8(reason, "\uFFFD")))
	if len(runes) > maxReason {
		runes = append(runes[:maxReason-1], '…')
	}
	return &Error{Permanent: permanent, Reason: string(runes), cause: cause}
}

// oneLine puts a space in the place of everything that is not printed.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)), " ")
}

// ParseAddress reads "Name <address>", or an address alone.
func ParseAddress(text string) (Address, error) {
	parsed, err := mail.ParseAddress(text)
	if err != nil {
		return Address{}, errors.New("must be an email address, or a name and an address in angle brackets")
	}
	address := Address{Name: parsed.Name, Address: parsed.Address}
	_, err = address.resolve()
	return address, err
}

// resolve checks the address and gives its mailbox as mail servers know it: the domain in ASCII. What stands before
// the @ is left as it is. The mailbox has no space, bracket or control character.
func (a Address) resolve() (string, error) {
	if strings.ContainsFunc(a.Name, unicode.IsControl) {
		return "", errors.New("the name must be one line")
	}
	if err := email.Check(a.Address); err != nil {
		return "", fmt.Errorf("%q %w", a.Address, err)
	}
	at := strings.LastIndexByte(a.Address, '@')
	domain, err := asciiDomain(a.Address[at+1:])
	if err != nil {
		return "", fmt.Errorf("%q has no valid domain", a.Address)
	}
	return a.Address[:at+1] + domain, nil
}

// asciiDomain turns an internationalized domain into the form that the DNS has.
func asciiDomain(domain string) (string, error) {
	if isASCII(domain) {
		return domain, nil
	}
	// Mapping for lookup is strict about names: a wide @ or > does not become the real one.
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))
	ascii, err := profile.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("converting the domain: %w", err)
	}
	return ascii, nil
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}
