package mail_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/mail"
)

const (
	user     = "mailer"
	password = "correct horse battery"
)

// authority makes a certificate of an authority, and one that it signed for a server on this machine.
func authority(t *testing.T) (*x509.Certificate, tls.Certificate) {
	t.Helper()
	issue := func(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		template.BasicConstraintsValid = true
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
		require.NoError(t, err)
		certificate, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return certificate
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		return key
	}
	rootKey, serverKey := newKey(), newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	root := issue(template, template, rootKey, rootKey)
	server := issue(&x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, root, serverKey, rootKey)
	return root, tls.Certificate{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}
}

// delivery is what the server took.
type delivery struct {
	from, to      string
	options       smtp.MailOptions
	encrypted     bool
	authenticated bool
	content       []byte
}

// server is a real SMTP server. Tests set what it does before it starts.
type server struct {
	*smtp.Server
	port       string
	refusals   map[string]error // by "mail", "rcpt" and "data"
	dies       bool             // in the middle of the message
	mustSignIn bool
	mechanisms []string

	lock       sync.Mutex
	deliveries []delivery
	wire       bytes.Buffer // all that was said in both directions, after encryption was taken off
}

// Write keeps what is said.
func (s *server) Write(said []byte) (int, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.wire.Write(said)
}

func (s *server) said() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.wire.String()
}

func (s *server) taken() []delivery {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.deliveries
}

// startServer starts a server on a port of its own. With implicit TLS it comes before the first word.
func startServer(t *testing.T, implicit bool, prepare func(*server)) *server {
	t.Helper()
	s := &server{mechanisms: []string{sasl.Plain}, refusals: map[string]error{}}
	s.Server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, connection: c}, nil
	}))
	s.Domain, s.Debug, s.ErrorLog = "localhost", s, discard{}
	prepare(s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, s.port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	if implicit {
		listener = tls.NewListener(listener, s.TLSConfig)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return s
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

type session struct {
	server        *server
	connection    *smtp.Conn
	current       delivery
	authenticated bool
}

func (s *session) AuthMechanisms() []string { return s.server.mechanisms }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(given, secret string) error {
		if given != user || secret != password {
			return smtp.ErrAuthFailed
		}
		s.authenticated = true
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, given, secret string) error { return check(given, secret) }), nil
	case sasl.Login:
		return &loginServer{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// loginServer is the server's side of LOGIN, which the library has for clients only.
type loginServer struct {
	check func(user, password string) error
	step  int
	user  string
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

func (s *session) Mail(from string, options *smtp.MailOptions) error {
	if s.server.mustSignIn && !s.authenticated {
		return smtp.ErrAuthRequired
	}
	_, encrypted := s.connection.TLSConnectionState()
	s.current = delivery{from: from, options: *options, encrypted: encrypted, authenticated: s.authenticated}
	return s.server.refusals["mail"]
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.current.to = to
	return s.server.refusals["rcpt"]
}

func (s *session) Data(from io.Reader) error {
	if s.server.dies {
		_, _ = io.ReadFull(from, make([]byte, 10))
		_ = s.connection.Conn().Close()
		return errors.New("died")
	}
	content, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	if err := s.server.refusals["data"]; err != nil {
		return err
	}
	s.current.content = content
	s.server.lock.Lock()
	defer s.server.lock.Unlock()
	s.server.deliveries = append(s.server.deliveries, s.current)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// script answers each line that a client says with the next of the answers, and then says nothing more, but stays. An
// answer of "" closes the connection. It is for servers that a real one would not be.
func script(t *testing.T, answers ...string) (port string, said func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var (
		lock  sync.Mutex
		heard strings.Builder
		done  = make(chan struct{})
	)
	go func() {
		defer close(done)
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = connection.Close() }()
		lines := bufio.NewReader(connection)
		for _, answer := range answers {
			if answer == "" {
				return
			}
			if _, err := fmt.Fprintf(connection, "%s\r\n", answer); err != nil {
				return
			}
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			lock.Lock()
			heard.WriteString(line)
			lock.Unlock()
		}
		_, _ = io.Copy(io.Discard, lines)
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	_, port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port, func() string {
		lock.Lock()
		defer lock.Unlock()
		return heard.String()
	}
}

// sender makes a sender for a URL on this machine.
func sender(t *testing.T, url string) *mail.Sender {
	t.Helper()
	result, err := mail.NewSender(url, "Żółw Clientele <mailer@żółw.example>")
	require.NoError(t, err)
	return result
}

const credentials = user + ":correct%20horse%20battery@"
