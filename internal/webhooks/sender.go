package webhooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/weburl"
)

const (
	connectTime = 5 * time.Second
	// wholeTime is how long it takes at most until an answer is there, from the first look for the host on.
	wholeTime = 15 * time.Second

	// maxAnswer is how much of an answer is kept, and maxDrained how much more of it is read so that the connection can be
	// used again.
	maxAnswer  = 4 << 10
	maxDrained = 64 << 10
	maxHeaders = 32 << 10

	maxExplanation = 300 // characters

	userAgent = "Clientele-Webhooks"
)

// The reasons why something has not arrived, as the contract has them.
const (
	noSuccess       = "status"
	redirect        = "redirect"
	timedOut        = "timeout"
	notConnected    = "connection"
	notTrusted      = "tls"
	hostNotFound    = "host_not_found"
	notAllowed      = "address_not_allowed"
	endpointOff     = "endpoint_disabled"
	sentAnew        = "redelivered"
	scopeMissing    = "scope_missing"
	secretForgotten = "unreadable_secret" //nolint:gosec // a reason, and no secret
)

// SenderOptions says where a sender may send to, and how it finds its way.
type SenderOptions struct {
	Allow    []netip.Prefix // networks that may be sent to although they are not public
	Resolver *net.Resolver  // nil for the system's
	RootCAs  *x509.CertPool // nil for the system's
}

// Sender makes requests to other people's servers. Whether it may is decided on the very address that it is about to
// connect to: what a name meant a moment ago, or means to somebody else, does not matter.
type Sender struct {
	allow     []netip.Prefix
	guardian  *ssrf.Guardian
	encrypted *http.Client // for https
	plain     *http.Client // for http, which goes to the allowed networks alone
}

// NewSender makes a sender.
func NewSender(options SenderOptions) *Sender {
	var v4, v6 []netip.Prefix
	for _, prefix := range options.Allow {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	s := &Sender{
		allow:    options.Allow,
		guardian: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
	}
	s.encrypted = s.client(options, "https")
	s.plain = s.client(options, "http")
	return s
}

// errNotAllowed is the answer for an address that must not be connected to.
var errNotAllowed = errors.New("the address is not public, and not allowed")

// mayReach tells whether URLs of the scheme may lead to the address. One that stands for another is none that anybody allows.
func (s *Sender) mayReach(scheme string, address netip.Addr) bool {
	if address.Is4In6() {
		return false
	}
	if scheme == "http" {
		for _, prefix := range s.allow {
			if prefix.Contains(address) {
				return true
			}
		}
		return false
	}
	return s.guardian.SafeAddr(address) == nil
}

func (s *Sender) client(options SenderOptions, scheme string) *http.Client {
	dialer := &net.Dialer{
		Timeout: connectTime, Resolver: options.Resolver,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil || network != "tcp4" && network != "tcp6" || !s.mayReach(scheme, target.Addr()) {
				return errNotAllowed
			}
			return nil
		},
	}
	return &http.Client{
		Timeout: wholeTime,
		Transport: &http.Transport{
			Proxy:                  nil, // it would connect in our place, to wherever it likes
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: options.RootCAs},
			TLSHandshakeTimeout:    connectTime,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    atOncePerEndpoint,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxHeaders,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// message is what is sent.
type message struct {
	url, id, signatures string
	at                  time.Time // that is signed
	body                []byte
}

// attempt is what became of a message.
type attempt struct {
	took        time.Duration
	status      *int32  // nil when there was no answer
	answer      *string // the beginning of it
	failure     string  // "" when it arrived
	explanation *string // why there was no answer, in words; nil when there was one
}

// send makes one request. An error is none of the receiver's: the context has ended, or the request cannot be made.
func (s *Sender) send(ctx context.Context, m message) (attempt, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return attempt{}, errors.New("the URL of an endpoint cannot be requested") // the error's own text has the URL
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set(standardwebhooks.HeaderWebhookID, m.id)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(m.at.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, m.signatures)
	client := s.encrypted
	if request.URL.Scheme == "http" {
		client = s.plain
	}
	started := time.Now()
	// A dialer is not asked about the address of a URL as it is written: net makes an IPv4 address of a mapped one before.
	if address, isAddress := weburl.Address(request.URL); isAddress && !s.mayReach(request.URL.Scheme, address) {
		return unanswered(started, errNotAllowed), nil
	}
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return attempt{}, ctx.Err()
		}
		return unanswered(started, err), nil
	}
	defer response.Body.Close()
	var answer []byte
	if response.StatusCode != http.StatusSwitchingProtocols { // else what comes is the connection itself, which ends at no time
		// Whatever comes of the body, the status has been said.
		answer, _ = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		_, _ = io.CopyN(io.Discard, response.Body, maxDrained)
	}
	status, text := int32(response.StatusCode), textOf(answer)
	return attempt{took: time.Since(started), status: &status, answer: &text, failure: failureOfStatus(response.StatusCode)}, nil
}

func failureOfStatus(status int) string {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status == http.StatusGone:
		return gone
	case status >= 300 && status < 400:
		return redirect
	}
	return noSuccess
}

// unanswered is an attempt that ended with an error.
func unanswered(started time.Time, err error) attempt {
	failure, explanation := failureOf(err)
	explanation = textOf([]byte(fault.Beginning(explanation, maxExplanation))) // a certificate says whatever it likes
	return attempt{took: time.Since(started), failure: failure, explanation: &explanation}
}

// failureOf tells why there was no answer, and the same in words. The error itself is not kept: it has the URL, which may hold
// a secret. Nor is the address told that a name has here, which may be nobody's business.
func failureOf(err error) (failure, explanation string) {
	var unresolved *net.DNSError
	var untrusted *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var failed *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, errNotAllowed):
		return notAllowed, errNotAllowed.Error()
	case errors.As(err, &unresolved):
		return hostNotFound, unresolved.Err
	case errors.As(err, &untrusted):
		return notTrusted, untrusted.Err.Error()
	case errors.As(err, &notTLS):
		return notTrusted, notTLS.Error()
	case errors.As(err, &failed) && (failed.Op == "remote error" || failed.Op == "local error"): // an alert of TLS
		return notTrusted, failed.Op + ": " + failed.Err.Error()
	case strings.HasPrefix(innermost(err).Error(), "tls: "):
		return notTrusted, innermost(err).Error()
	case errors.Is(err, http.ErrSchemeMismatch):
		return notTrusted, "the receiver answered without TLS"
	case errors.As(err, &timeout) && timeout.Timeout():
		if errors.As(err, &failed) && failed.Op == "dial" {
			return timedOut, "there was no connection in time"
		}
		return timedOut, "there was no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return notConnected, "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return notConnected, "the receiver broke the connection off before it answered"
	}
	return notConnected, "there was no connection, or no answer that can be read"
}

func innermost(err error) error {
	for next := err; next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// textOf gives what is kept of an answer: text that a database takes, and no half character at its end.
func textOf(answer []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(answer), ""), "\x00", "")
}
