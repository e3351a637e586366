package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// The limits of an exchange with the server.
const (
	connectLimit  = 10 * time.Second // until there is a connection
	exchangeLimit = 45 * time.Second // until the server has taken the message
	leaveLimit    = time.Second      // for the goodbye, which changes nothing
	readLimit     = 1 << 20          // bytes that a server may send
)

// Sender hands messages to an SMTP server, each over a connection of its own.
type Sender struct {
	server Server
	from   Address
	limit  time.Duration
	roots  *x509.CertPool // nil for those of the system
}

// NewSender makes a Sender of the two settings: the server, as ParseServer reads it, and the address that messages come
// from.
func NewSender(server, from string) (*Sender, error) {
	parsed, err := ParseServer(server)
	if err != nil {
		return nil, fmt.Errorf("reading the URL of the mail server: it %w", err)
	}
	address, err := ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("reading the sender's address: it %w", err)
	}
	return &Sender{server: parsed, from: address, limit: exchangeLimit}, nil
}

// Format keeps the credentials out of logs and messages, however a sender is printed.
func (s *Sender) Format(to fmt.State, _ rune) {
	_, _ = io.WriteString(to, "a sender to "+s.server.address())
}

// Send hands the message over. When it gives no error, the server has taken the message upon itself; any error is an
// *Error. When the connection breaks after the last byte and before the server's answer, nobody knows whether it did:
// that counts as a temporary error, and trying again may bring the message twice.
func (s *Sender) Send(ctx context.Context, message Message) error {
	to, err := message.check()
	if err != nil {
		return err
	}
	from, err := s.from.resolve()
	if err != nil {
		return failed(true, "The sender's address is wrong: "+err.Error(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	connection, err := s.connect(ctx)
	if err != nil {
		return s.failure(ctx, "the connection", err)
	}
	defer func() { _ = connection.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() }) // ends whatever waits for the server
	defer stop()
	if err := s.exchange(ctx, connection, from, to, s.compose(message, from, to)); err != nil {
		return err
	}
	return nil
}

// compose writes the message as it is sent. Auto-Submitted asks programs that answer by themselves not to (RFC 3834).
func (s *Sender) compose(message Message, from, to string) []byte {
	return compose(message, to, []field{
		{"Date", time.Now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + rand.Text() + "@" + domainOf(from) + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"From", mailbox(s.from.Name, from)},
	})
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// connect gives a connection, encrypted when TLS comes first.
func (s *Sender) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.server.address())
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	connection = &boundedConn{Conn: connection, left: readLimit}
	if s.server.encryption != fromTheStart {
		return connection, nil
	}
	encrypted := tls.Client(connection, s.tlsConfig())
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = connection.Close()
		return nil, fmt.Errorf("starting TLS: %w", err)
	}
	return encrypted, nil
}

func (s *Sender) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.server.host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
}

// exchange goes through the steps of one message. Nothing of the credentials or the message leaves before encryption
// is settled.
func (s *Sender) exchange(ctx context.Context, connection net.Conn, from, to string, content []byte) error {
	var client *smtp.Client
	steps := []struct {
		what string
		take func() error
	}{
		{"the connection", func() (err error) {
			client, err = smtp.NewClient(connection, s.server.host)
			return err
		}},
		{"the greeting", func() error { return client.Hello(helloName(from)) }},
		{"encryption", func() error { return s.encrypt(client) }},
		{"the sign-in", func() error { return s.signIn(client) }},
		{"the sender", func() error { return mailFrom(client, from, to) }},
		{"the recipient", func() error { return client.Rcpt("<" + to + ">") }},
		{"the message", func() error { return data(client, content) }},
	}
	for _, step := range steps {
		if err := step.take(); err != nil {
			failure := s.failure(ctx, step.what, err)
			if client != nil && errors.As(err, new(*textproto.Error)) {
				leave(connection, client)
			}
			return failure
		}
	}
	leave(connection, client)
	return nil
}

// leave says goodbye. It must not be called while the server reads the message: the goodbye would end it.
func leave(connection net.Conn, client *smtp.Client) {
	_ = connection.SetDeadline(time.Now().Add(leaveLimit))
	_ = client.Quit()
}

// helloName is how the program introduces itself: servers want a full name, which in a container the host has not.
func helloName(from string) string {
	if name, err := os.Hostname(); err == nil && strings.Contains(strings.Trim(name, "."), ".") && isASCII(name) {
		return name
	}
	return domainOf(from)
}

func (s *Sender) encrypt(client *smtp.Client) error {
	if s.server.encryption == fromTheStart || s.server.encryption == never {
		return nil
	}
	if offered, _ := client.Extension("STARTTLS"); offered {
		return client.StartTLS(s.tlsConfig())
	}
	if s.server.encryption == required {
		return failed(true, "The mail server offers no encryption (STARTTLS), so the password was not sent", nil)
	}
	return nil
}

// signIn uses the first of the mechanisms that the server has. The connection is encrypted and the server known, so the
// simplest is as good as any, and the one that servers support best.
func (s *Sender) signIn(client *smtp.Client) error {
	server := s.server
	if server.user == "" {
		return nil
	}
	_, offered := client.Extension("AUTH")
	names := strings.Fields(strings.ToUpper(offered))
	for _, mechanism := range []struct {
		name string
		auth smtp.Auth
	}{
		{"PLAIN", smtp.PlainAuth("", server.user, server.password, server.host, false)},
		{"LOGIN", smtp.LoginAuth(server.user, server.password, server.host, false)},
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(server.user, server.password)},
		{"CRAM-MD5", smtp.CRAMMD5Auth(server.user, server.password)},
	} {
		if slices.Contains(names, mechanism.name) {
			return client.Auth(mechanism.auth)
		}
	}
	return failed(true, "The mail server offers no way to sign in with a password", nil)
}

// mailFrom begins the message. Internationalized mail is asked for only where an address needs it: a message that asked
// for it is returned by every server on its way that has it not.
func mailFrom(client *smtp.Client, from, to string) error {
	needed := !isASCII(from + to)
	if offered, _ := client.Extension("SMTPUTF8"); needed && !offered {
		return failed(true, "The mail server does not take addresses with letters outside ASCII before the @", nil)
	}
	client.SkipSMTPUTF8(!needed)
	return client.Mail("<" + from + ">")
}

func data(client *smtp.Client, content []byte) error {
	writer, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := writer.Write(content); err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}
	return writer.Close()
}

// failure says what went wrong at a step, in words for staff.
func (s *Sender) failure(ctx context.Context, what string, err error) *Error {
	var (
		known     *Error
		answer    *textproto.Error
		untrusted *tls.CertificateVerificationError
		timeout   net.Error
		lookup    *net.DNSError
		network   *net.OpError
	)
	broken := func(text string) *Error {
		return failed(false, "The exchange with the mail server broke off at "+what+": "+s.server.conceal(text), err)
	}
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &answer):
		said := s.server.conceal(fmt.Sprintf("%d %s", answer.Code, answer.Msg))
		return failed(answer.Code/100 == 5, "The mail server refused "+what+": "+said, err)
	case errors.As(err, &untrusted):
		return failed(true, "The mail server's certificate is not trusted: "+untrusted.Err.Error(), err)
	case errors.Is(ctx.Err(), context.Canceled):
		return failed(false, "Sending was interrupted", context.Canceled)
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return failed(false, "The mail server did not answer in time", errors.Join(err, ctx.Err()))
	case errors.As(err, &lookup):
		return failed(false, "The mail server's name "+s.server.host+" cannot be resolved: "+lookup.Err, err)
	case errors.As(err, &network):
		return broken(network.Err.Error())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return broken("it closed the connection")
	default:
		return broken(err.Error())
	}
}

// boundedConn ends when the other side has sent too much: answers are read into memory.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(into []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("it sent more than an answer")
	}
	n, err := c.Conn.Read(into[:min(len(into), c.left)])
	c.left -= n
	return n, err
}
