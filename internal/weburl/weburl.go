// Package weburl knows what a URL is that webhooks may be sent to, by its form. Whether there is anybody, and whether the
// addresses of the host may be sent to, is found out when something is sent.
package weburl

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/clientele-api/clientele/internal/hostname"
)

var (
	errForm     = errors.New("must be an https URL such as https://www.example.com/hooks")
	errUser     = errors.New("must have no user and no password: the signature says who it is from")
	errFragment = errors.New("must have no fragment")
	errHost     = errors.New("must have its host in ASCII, such as xn--bcher-kva.example for bücher.example")
	errASCII    = errors.New("must be in ASCII: write other characters of the path and the query with %")
)

// Check tells whether the text is a URL of http or https, with a host, in ASCII, and without user and fragment.
func Check(text string) error {
	_, err := Parse(text)
	return err
}

// Parse reads such a URL.
func Parse(text string) (*url.URL, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' }) {
		return nil, errForm
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Opaque != "" || parsed.Hostname() == "":
		return nil, errForm
	case parsed.User != nil:
		return nil, errUser
	case parsed.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errFragment
	}
	if port := parsed.Port(); port != "" || strings.HasSuffix(parsed.Host, ":") {
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return nil, errForm
		}
	}
	switch { // a host may be written with %, too
	case !isASCII(parsed.Host):
		return nil, inASCII(parsed.Hostname())
	case !isASCII(text):
		return nil, errASCII
	}
	if _, isAddress := Address(parsed); !isAddress && hostname.Check(parsed.Hostname()) != nil {
		return nil, errForm
	}
	return parsed, nil
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > '~' })
}

// inASCII tells how a host is written here that somebody has written as people read it.
func inASCII(host string) error {
	if ascii, err := hostname.Normalize(host); err == nil {
		return errors.New("must have its host in ASCII, which is " + ascii)
	}
	return errHost
}

// Address gives the address of a URL whose host is one, as it is written: one of IPv6 that stands for one of IPv4 stays so.
func Address(parsed *url.URL) (netip.Addr, bool) {
	address, err := netip.ParseAddr(parsed.Hostname())
	return address, err == nil && address.Zone() == ""
}
