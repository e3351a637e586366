// Package weburl knows what a URL is that webhooks may be sent to, by its form. Whether there is anybody, and whether the
// addresses of the host may be sent to, is found out when something is sent.
package weburl

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/clientele-api/clientele/internal/hostname"
)

var (
	errForm     = errors.New("must be an https URL such as https://www.example.com/hooks")
	errUser     = errors.New("must have no user and no password: the signature says who it is from")
	errFragment = errors.New("must have no fragment")
	errSpace    = errors.New("must have no spaces and no control characters: write a space in the path or the query as %20")
	errPort     = errors.New("must have a port from 1 to 65535, or none")
	errHost     = errors.New("must have the name of a host, such as www.example.com, or an address in full, such as 203.0.113.7 or [2001:db8::7]")
	errLetters  = errors.New("must have its host in ASCII, such as xn--bcher-kva.example for bücher.example")
	errASCII    = errors.New("must be in ASCII: write other characters of the path and the query with %")
)

// Check tells whether the text is a URL of http or https, with a host, in ASCII, and without user and fragment.
func Check(text string) error {
	_, err := Parse(text)
	return err
}

// Parse reads such a URL.
func Parse(text string) (*url.URL, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\x7f' }) {
		if !start.MatchString(text) {
			return nil, errForm
		}
		return nil, errSpace
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil && start.MatchString(text) && portOf(err) != "":
		if strings.Count(portOf(err), ":") > 1 { // an address of IPv6 without brackets
			return nil, errHost
		}
		return nil, errPort
	case err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Opaque != "" || parsed.Hostname() == "":
		return nil, errForm
	case parsed.User != nil:
		return nil, errUser
	case parsed.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errFragment
	}
	if port := parsed.Port(); port != "" || strings.HasSuffix(parsed.Host, ":") {
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return nil, errPort
		}
	}
	switch { // a host may be written with %, too
	case !isASCII(parsed.Host):
		return nil, inASCII(parsed.Hostname())
	case !isASCII(text):
		return nil, errASCII
	}
	if _, isAddress := Address(parsed); !isAddress && hostname.Check(parsed.Hostname()) != nil {
		return nil, errHost
	}
	return parsed, nil
}

// start is how what is meant to be such a URL begins. What does not is told what one looks like, whatever else is wrong.
var start = regexp.MustCompile(`^[\x00- ]*(?i:https?)://[^/?#\x00- ]`)

// portOf gives the port that a text is no URL for, with its colon; "" when there is another reason. net/url has no error of
// its own for it.
func portOf(err error) string {
	var refused *url.Error
	if !errors.As(err, &refused) {
		return ""
	}
	_, port, _ := strings.Cut(refused.Err.Error(), "invalid port ")
	return port
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > '~' })
}

// inASCII tells how a host is written here that somebody has written as people read it.
func inASCII(host string) error {
	if ascii, err := hostname.Normalize(host); err == nil {
		return errors.New("must have its host in ASCII, which is " + ascii)
	}
	return errLetters
}

// Address gives the address of a URL whose host is one, as it is written: one of IPv6 that stands for one of IPv4 stays so.
func Address(parsed *url.URL) (netip.Addr, bool) {
	address, err := netip.ParseAddr(parsed.Hostname())
	return address, err == nil && address.Zone() == ""
}
