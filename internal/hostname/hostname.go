// Package hostname knows what the name of a host is: in the form that the DNS has, and in the form that people read. It
// asks nobody whether there is such a host.
package hostname

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

var (
	errName   = errors.New("must be a host name, such as www.example.com")
	errOrigin = errors.New("must be a host name or an IP address")
)

// profile takes names as people type them, and refuses what no registry would take.
var profile = idna.New(
	idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true), idna.ValidateLabels(true),
)

// Normalize gives the name in ASCII (punycode), in lower case and without a dot at its end, as the DNS has it.
func Normalize(name string) (string, error) {
	ascii, err := profile.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil {
		return "", errName
	}
	last := ascii[strings.LastIndexByte(ascii, '.')+1:]
	if strings.Trim(last, "0123456789") == "" { // an address, or what some programs take for one
		return "", errName
	}
	return ascii, nil
}

// Check tells whether the text is the name of a host.
func Check(name string) error {
	_, err := Normalize(name)
	return err
}

// Unicode gives a normalized name as people read it.
func Unicode(ascii string) string {
	if readable, err := profile.ToUnicode(ascii); err == nil {
		return readable
	}
	return ascii
}

// NormalizeOrigin gives the name of a host as Normalize does, or an IP address in its one form.
func NormalizeOrigin(text string) (string, error) {
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && address.Zone() == "" {
		return address.Unmap().String(), nil
	}
	ascii, err := Normalize(text)
	if err != nil {
		return "", errOrigin
	}
	return ascii, nil
}

// CheckOrigin tells whether the text is the name of a host or an IP address.
func CheckOrigin(text string) error {
	_, err := NormalizeOrigin(text)
	return err
}
