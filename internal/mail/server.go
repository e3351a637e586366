package mail

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// Server is the SMTP server that takes the messages, and how to get in.
type Server struct {
	host, port     string
	user, password string // both or neither
	encryption     encryption
}

// encryption is how a connection becomes encrypted.
type encryption int

const (
	whenOffered  encryption = iota // STARTTLS when the server offers it
	required                       // STARTTLS, or no message
	fromTheStart                   // TLS before the first word
	never                          // in the clear
)

// ParseServer reads the setting:
//
//	smtp://user:password@host:587   STARTTLS, which the server must offer
//	smtp://host:25                  STARTTLS when the server offers it
//	smtp://host:25?tls=off          in the clear, without a user only
//	smtps://user:password@host:465  TLS from the start
//
// Without a port it is 465 for smtps, 587 with a user and 25 without. The errors never quote the URL.
func ParseServer(text string) (Server, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return Server{}, errors.New("must be a URL such as smtp://user:password@host:587; " +
			"special characters of the password are percent-encoded")
	}
	if parsed.Path != "" && parsed.Path != "/" || parsed.Fragment != "" || parsed.Opaque != "" {
		return Server{}, errors.New("must have neither a path nor a fragment; " +
			"special characters of the password are percent-encoded")
	}
	server := Server{port: parsed.Port()}
	server.user = parsed.User.Username()
	server.password, _ = parsed.User.Password()
	if err := server.checkCredentials(parsed.User != nil); err != nil {
		return Server{}, err
	}
	if server.host, err = asciiDomain(parsed.Hostname()); err != nil || server.host == "" {
		return Server{}, errors.New("must name a host")
	}
	if err := server.choose(parsed.Scheme, parsed.RawQuery); err != nil {
		return Server{}, err
	}
	if port, err := strconv.ParseUint(server.port, 10, 16); err != nil || port == 0 {
		return Server{}, errors.New("must have a port between 1 and 65535")
	}
	return server, nil
}

func (s *Server) checkCredentials(given bool) error {
	if given && (s.user == "" || s.password == "") {
		return errors.New("must have both a user and a password, or neither")
	}
	if strings.ContainsFunc(s.user+s.password, unicode.IsControl) {
		return errors.New("must not have control characters in the user or the password")
	}
	return nil
}

// choose settles encryption and the port that goes with it.
func (s *Server) choose(scheme, query string) error {
	fallback := "25"
	switch {
	case scheme == "smtps" && query == "":
		s.encryption, fallback = fromTheStart, "465"
	case scheme != "smtp" && scheme != "smtps":
		return errors.New("must begin with smtp:// or smtps://")
	case scheme == "smtp" && query == "tls=off" && s.user == "":
		s.encryption = never
	case scheme == "smtp" && query == "tls=off":
		return errors.New("must not have tls=off together with a password, which would be sent in the clear")
	case query != "":
		return errors.New("may have no query but tls=off, with smtp://")
	case s.user != "":
		s.encryption, fallback = required, "587"
	}
	if s.port == "" {
		s.port = fallback
	}
	return nil
}

// Format keeps the credentials out of logs and messages, however a server is printed.
func (s Server) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, s.address()) }

func (s Server) address() string { return net.JoinHostPort(s.host, s.port) }

// conceal takes the credentials out of what a server said. Some repeat the command that they do not like, whole or cut
// short, so every word goes that has six characters in a row with the password, or with what was sent for it.
func (s Server) conceal(text string) string {
	if s.user == "" {
		return text
	}
	encode := base64.StdEncoding.EncodeToString
	secrets := []string{
		s.password, encode([]byte(s.password)), encode([]byte("\x00" + s.user + "\x00" + s.password)), encode([]byte(s.user)),
	}
	text = strings.NewReplacer(s.password, "[…]", s.user, "[…]").Replace(text) // either may have spaces
	words := strings.Fields(text)
	for i, word := range words {
		for _, secret := range secrets {
			if shares(word, secret, 6) {
				words[i] = "[…]"
			}
		}
	}
	return strings.Join(words, " ")
}

// shares tells whether some run of that many bytes of the secret, or all of a shorter one, is in the word.
func shares(word, secret string, run int) bool {
	run = min(run, len(secret))
	for i := 0; i+run <= len(secret); i++ {
		if strings.Contains(word, secret[i:i+run]) {
			return true
		}
	}
	return false
}
