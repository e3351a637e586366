package mail_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/mail"
)

var greeting = mail.Message{
	To: mail.Address{Name: "Ada Łoś", Address: "ada@example.com"}, Subject: polish,
	Body: "Dzień dobry,\n\n" + polish + "\n",
}

// plainServer takes everything, in the clear.
func plainServer(*server) {}

func TestSendEncryptedAndSignedIn(t *testing.T) {
	t.Parallel()
	root, certificate := authority(t)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	for name, test := range map[string]struct {
		scheme     string
		mechanisms []string
	}{
		"STARTTLS":            {"smtp", []string{sasl.Plain, sasl.Login}},
		"STARTTLS with LOGIN": {"smtp", []string{sasl.Login}},
		"TLS from the start":  {"smtps", []string{sasl.Plain}},
	} {
		server := startServer(t, test.scheme == "smtps", func(s *server) {
			s.TLSConfig, s.mustSignIn, s.mechanisms = config, true, test.mechanisms
		})
		sender := sender(t, test.scheme+"://"+credentials+"localhost:"+server.port)
		sender.Trust(root)
		before := time.Now().Truncate(time.Second)
		require.NoError(t, sender.Send(t.Context(), greeting), name)

		taken := server.taken()
		require.Len(t, taken, 1, name)
		require.True(t, taken[0].encrypted, name)
		require.True(t, taken[0].authenticated, name)
		require.Equal(t, "mailer@xn--w-uga1v8h.example", taken[0].from)
		require.Equal(t, "ada@example.com", taken[0].to)
		requireLines(t, taken[0].content)
		got := read(t, taken[0].content)
		require.Equal(t, []string{
			"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version",
			"Subject", "To",
		}, got.fields)
		require.Equal(t, greeting.Subject, got.subject)
		require.Equal(t, greeting.To.Name, got.to.Name)
		require.Equal(t, greeting.Body, strings.ReplaceAll(got.body, "\r\n", "\n"))
		from, err := got.header.AddressList("From")
		require.NoError(t, err)
		require.Equal(t, "Żółw Clientele", from[0].Name)
		require.Equal(t, "mailer@xn--w-uga1v8h.example", from[0].Address)
		date, err := got.header.Date()
		require.NoError(t, err)
		require.WithinRange(t, date, before, time.Now())
		id, err := got.header.MessageID()
		require.NoError(t, err)
		require.Regexp(t, `^[A-Z2-7]{26}@xn--w-uga1v8h\.example$`, id)
	}
}

func TestSendInTheClear(t *testing.T) {
	t.Parallel()
	server := startServer(t, false, plainServer)
	require.NoError(t, sender(t, "smtp://localhost:"+server.port).Send(t.Context(), greeting))
	require.Len(t, server.taken(), 1)
	require.False(t, server.taken()[0].encrypted)
}

func TestEncryptionIsUsedWhenOffered(t *testing.T) {
	t.Parallel()
	root, certificate := authority(t)
	server := startServer(t, false, func(s *server) {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	})
	sender1 := sender(t, "smtp://localhost:"+server.port)
	sender1.Trust(root)
	require.NoError(t, sender1.Send(t.Context(), greeting))
	require.True(t, server.taken()[0].encrypted)

	require.NoError(t, sender(t, "smtp://localhost:"+server.port+"?tls=off").Send(t.Context(), greeting))
	require.False(t, server.taken()[1].encrypted, "tls=off leaves it")
}

// TestCertificates: one that is not trusted, or is for another host, ends it before a word about the message.
func TestCertificates(t *testing.T) {
	t.Parallel()
	root, certificate := authority(t)
	for _, scheme := range []string{"smtp", "smtps"} {
		for _, credentials := range []string{"", credentials} {
			server := startServer(t, scheme == "smtps", func(s *server) {
				s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
			})
			err := sender(t, scheme+"://"+credentials+"localhost:"+server.port).Send(t.Context(), greeting)
			requirePermanent(t, err, "certificate is not trusted: x509: certificate signed by unknown authority")

			byNumber := sender(t, scheme+"://"+credentials+"127.0.0.1:"+server.port)
			byNumber.Trust(root)
			requirePermanent(t, byNumber.Send(t.Context(), greeting), "certificate is not trusted: x509: cannot validate")
			require.NotContains(t, server.said(), "AUTH PLAIN ")
			require.NotContains(t, server.said(), "MAIL FROM")
		}
	}
}

func TestPasswordStaysWithoutEncryption(t *testing.T) {
	t.Parallel()
	server := startServer(t, false, func(s *server) { s.AllowInsecureAuth = true })
	err := sender(t, "smtp://"+credentials+"localhost:"+server.port).Send(t.Context(), greeting)
	requirePermanent(t, err, "offers no encryption (STARTTLS)")
	require.Contains(t, server.said(), "250-AUTH PLAIN", "the server would have taken it")
	require.NotContains(t, server.said(), "\nAUTH")
	require.NotContains(t, server.said(), "MAIL FROM")
	require.Empty(t, server.taken())
}

func TestSignInIsRefused(t *testing.T) {
	t.Parallel()
	root, certificate := authority(t)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	server1 := startServer(t, false, func(s *server) { s.TLSConfig = config })
	wrong := sender(t, "smtp://mailer:not-the-one@localhost:"+server1.port)
	wrong.Trust(root)
	err := wrong.Send(t.Context(), greeting)
	requirePermanent(t, err, "refused the sign-in: 535 5.7.8 Authentication failed")
	require.NotContains(t, err.Error(), "not-the-one")

	server2 := startServer(t, false, func(s *server) { s.TLSConfig, s.mechanisms = config, []string{"GSSAPI"} })
	unknown := sender(t, "smtp://"+credentials+"localhost:"+server2.port)
	unknown.Trust(root)
	requirePermanent(t, unknown.Send(t.Context(), greeting), "no way to sign in")
	require.Empty(t, server2.taken())

	server3 := startServer(t, false, func(s *server) { s.mustSignIn = true })
	requirePermanent(t, sender(t, "smtp://localhost:"+server3.port).Send(t.Context(), greeting), "refused the sender: 502")
}

// TestReasonsHaveNoCredentials: some servers repeat the command that they refuse.
func TestReasonsHaveNoCredentials(t *testing.T) {
	t.Parallel()
	root, certificate := authority(t)
	encoded := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	for name, echo := range map[string]string{
		"whole":        "AUTH PLAIN " + encoded,
		"cut short":    "AUTH PLAIN " + encoded[:20],
		"its end":      "(..." + encoded[20:] + ")",
		"decoded":      user + "/" + password,
		"the password": base64.StdEncoding.EncodeToString([]byte(password)),
		"split":        "AUTH PLAIN " + encoded[:18] + " " + encoded[18:],
	} {
		server := startServer(t, false, func(s *server) {
			s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
			s.refusals["mail"] = &smtp.SMTPError{
				Code: 501, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "Syntax error: " + echo,
			}
		})
		sender := sender(t, "smtp://"+credentials+"localhost:"+server.port)
		sender.Trust(root)
		err := sender.Send(t.Context(), greeting)
		requirePermanent(t, err, "refused the sender: 501 5.5.2 Syntax error:")
		for _, secret := range []string{
			user, "correct", "horse", "battery", encoded[:8], encoded[12:20], encoded[len(encoded)-12:],
		} {
			require.NotContains(t, err.Error(), secret, name)
		}
	}
}

func TestServerRefuses(t *testing.T) {
	t.Parallel()
	answer := func(code int, enhanced smtp.EnhancedCode, text string) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}
	}
	for name, test := range map[string]struct {
		at        string
		answer    error
		permanent bool
		reason    string
	}{
		"no such recipient": {
			"rcpt", answer(550, smtp.EnhancedCode{5, 1, 1}, "No such user"), true,
			"refused the recipient: 550 5.1.1 No such user",
		},
		"try later": {
			"rcpt", answer(451, smtp.EnhancedCode{4, 7, 1}, "Greylisted"), false,
			"refused the recipient: 451 4.7.1 Greylisted",
		},
		"mailbox is full": {
			"rcpt", answer(452, smtp.EnhancedCode{4, 2, 2}, "Full"), false,
			"refused the recipient: 452",
		},
		"not this sender": {
			"mail", answer(553, smtp.EnhancedCode{5, 1, 8}, "Not yours"), true,
			"refused the sender: 553 5.1.8 Not yours",
		},
		"spam": {
			"data", answer(554, smtp.EnhancedCode{5, 7, 1}, "Looks like\nspam"), true,
			"refused the message: 554 Looks like 5.7.1 spam",
		},
		"out of space": {
			"data", answer(452, smtp.EnhancedCode{4, 3, 1}, "Later"), false,
			"refused the message: 452 4.3.1 Later",
		},
		"talkative": {"rcpt", answer(550, smtp.EnhancedCode{5, 1, 1}, strings.Repeat("ż", 400)), true, "żżż…"},
	} {
		server := startServer(t, false, func(s *server) { s.refusals[test.at] = test.answer })
		err := sender(t, "smtp://localhost:"+server.port).Send(t.Context(), greeting)
		failure := requireReason(t, err, test.reason)
		require.Equal(t, test.permanent, failure.Permanent, name)
		require.Empty(t, server.taken(), name)
		require.Contains(t, server.said(), "QUIT", name)
	}
}

// TestServersThatAreBroken: each gives an error, and soon.
func TestServersThatAreBroken(t *testing.T) {
	t.Parallel()
	const hello = "250-localhost\r\n250 8BITMIME"
	for name, test := range map[string]struct {
		answers   []string
		permanent bool
		reason    string
	}{
		"closed for today": {
			[]string{"554 No service here"}, true,
			"refused the connection: 554 No service here",
		},
		"busy":                  {[]string{"421 Too many connections"}, false, "refused the connection: 421"},
		"knows no greeting":     {[]string{"220 x", "502 What", "502 What"}, true, "refused the greeting: 502 What"},
		"closes at once":        {[]string{""}, false, "broke off at the connection: it closed the connection"},
		"closes after greeting": {[]string{"220 x", ""}, false, "broke off at the greeting"},
		"closes before DATA":    {[]string{"220 x", hello, "250 ok", "250 ok", ""}, false, "broke off at the message"},
		"closes in the message": {
			[]string{"220 x", hello, "250 ok", "250 ok", "354 go", ""}, false,
			"broke off at the message",
		},
		"is no mail server": {[]string{"HTTP/1.1 400 Bad Request"}, false, "broke off at the connection"},
		"speaks binary":     {[]string{"\x15\x03\x01\x00\x02\x02F"}, false, "broke off at the connection"},
		"refuses DATA": {
			[]string{"220 x", hello, "250 ok", "250 ok", "503 No"}, true,
			"refused the message: 503 No",
		},
		"answers out of turn": {
			[]string{"220 x", hello, "250 ok", "250 ok", "250 ok"}, false,
			"refused the message: 250 ok",
		},
		"offers TLS and has not": {
			[]string{"220 x", "250-x\r\n250 STARTTLS", "454 Not now"}, false,
			"refused encryption: 454 Not now",
		},
		"never stops": {
			[]string{"220 x", strings.Repeat("250-x\r\n", 200_000)}, false,
			"it sent more than an answer",
		},
	} {
		port, _ := script(t, test.answers...)
		sender := sender(t, "smtp://localhost:"+port)
		sender.Limit(20 * time.Second)
		began := time.Now()
		failure := requireReason(t, sender.Send(t.Context(), greeting), test.reason)
		require.Equal(t, test.permanent, failure.Permanent, name)
		require.Less(t, time.Since(began), 10*time.Second, name)
	}
}

func TestServerDiesInTheMessage(t *testing.T) {
	t.Parallel()
	server := startServer(t, false, func(s *server) { s.dies = true })
	long := greeting
	long.Body = strings.Repeat("line\n", 1<<20) // more than the network holds on its way
	for _, message := range []mail.Message{greeting, long} {
		requireTemporary(t, sender(t, "smtp://localhost:"+server.port).Send(t.Context(), message), "broke off at the message")
	}
}

func TestServerIsNotThere(t *testing.T) {
	t.Parallel()
	err := sender(t, "smtp://127.0.0.1:1").Send(t.Context(), greeting) // a port that the system gives to nobody
	requireTemporary(t, err, "broke off at the connection: connect: connection refused")
	name := strings.Repeat("x", 64) + ".invalid" // no name that the DNS can have, so nobody is asked
	err = sender(t, "smtp://"+name+":25").Send(t.Context(), greeting)
	requireTemporary(t, err, "The mail server's name "+name+" cannot be resolved")
}

// TestServerIsSlow: wherever the server stops answering, the time of the whole exchange ends it.
func TestServerIsSlow(t *testing.T) {
	t.Parallel()
	answers := []string{"220 x", "250 localhost", "250 ok", "250 ok", "354 go"}
	for stage := range len(answers) + 1 {
		port, _ := script(t, answers[:stage]...)
		slow := sender(t, "smtp://localhost:"+port)
		slow.Limit(200 * time.Millisecond)
		began := time.Now()
		err := slow.Send(t.Context(), greeting)
		requireTemporary(t, err, "did not answer in time")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, time.Since(began), 5*time.Second)
	}
	port, _ := script(t) // never says a word of TLS
	slow := sender(t, "smtps://localhost:"+port)
	slow.Limit(200 * time.Millisecond)
	requireTemporary(t, slow.Send(t.Context(), greeting), "did not answer in time")
}

func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	port, _ := script(t, "220 x")
	ctx, cancel := context.WithCancel(t.Context())
	waiting := time.AfterFunc(200*time.Millisecond, cancel)
	defer waiting.Stop()
	err := sender(t, "smtp://localhost:"+port).Send(ctx, greeting)
	requireTemporary(t, err, "Sending was interrupted")
	require.ErrorIs(t, err, context.Canceled)
	requireTemporary(t, sender(t, "smtp://localhost:"+port).Send(ctx, greeting), "Sending was interrupted")
}

// TestGoodbyeChangesNothing: once the server has taken the message, it is sent.
func TestGoodbyeChangesNothing(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		_, err = io.WriteString(connection, "220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n")
		var heard bytes.Buffer
		for err == nil && !bytes.Contains(heard.Bytes(), []byte("\r\n.\r\n")) {
			_, err = io.CopyN(&heard, connection, 1)
		}
		done <- errors.Join(err, connection.Close())
	}()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, sender(t, "smtp://localhost:"+port).Send(t.Context(), greeting))
	require.NoError(t, <-done)
	require.NoError(t, listener.Close())
}

func TestBodiesArriveWhole(t *testing.T) {
	t.Parallel()
	server := startServer(t, false, func(s *server) { s.MaxLineLength = 1000 })
	for _, body := range []string{
		"a\n.\nb\n", ".\n", "..\n", "\n.\n.\n", "no end", "", strings.Repeat("x", 5000) + "\n",
		strings.Repeat("ż ", 2000) + "\n",
		"From here\n", "trailing  \t\n", "=3D=\n", "https://example.com/activate#token=" + strings.Repeat("A", 200) + "\n",
	} {
		message := mail.Message{To: greeting.To, Subject: "x", Body: body}
		require.NoError(t, sender(t, "smtp://localhost:"+server.port).Send(t.Context(), message))
		taken := server.taken()
		content := taken[len(taken)-1].content
		requireLines(t, content)
		got := strings.ReplaceAll(read(t, content).body, "\r\n", "\n")
		require.Equal(t, strings.TrimSuffix(body, "\n"), strings.TrimSuffix(got, "\n"))
	}
}

func TestInternationalRecipients(t *testing.T) {
	t.Parallel()
	modern := startServer(t, false, func(s *server) { s.EnableSMTPUTF8 = true })
	old := startServer(t, false, plainServer)
	send := func(s *server, address string) error {
		message := greeting
		message.To.Address = address
		return sender(t, "smtp://localhost:"+s.port).Send(t.Context(), message)
	}
	for i, s := range []*server{modern, old} {
		require.NoError(t, send(s, "ada@żółw.example"), i)
		require.Equal(t, "ada@xn--w-uga1v8h.example", s.taken()[0].to)
		require.False(t, s.taken()[0].options.UTF8, "the next server may not have it, and need not")
	}
	require.NoError(t, send(modern, "żółw@żółw.example"))
	require.Equal(t, "żółw@xn--w-uga1v8h.example", modern.taken()[1].to)
	require.True(t, modern.taken()[1].options.UTF8)
	require.Equal(t, "żółw@xn--w-uga1v8h.example", read(t, modern.taken()[1].content).to.Address)

	requirePermanent(t, send(old, "żółw@example.com"), "letters outside ASCII before the @")
	require.Len(t, old.taken(), 1)
	require.NotContains(t, old.said(), "żółw@")
}

// TestNothingIsSmuggledToTheServer: a recipient or header that was not asked for never reaches it.
func TestNothingIsSmuggledToTheServer(t *testing.T) {
	t.Parallel()
	server := startServer(t, false, plainServer)
	for _, hostile := range []mail.Message{
		{To: mail.Address{Address: "ada@example.com>\r\nRCPT TO:<eve@example.com"}},
		{To: mail.Address{Address: "ada@example.com> NOTIFY=SUCCESS"}},
		{To: mail.Address{Name: "Ada\r\nBcc: eve@example.com", Address: "ada@example.com"}},
		{To: greeting.To, Subject: "x\r\nBcc: eve@example.com"},
		{To: greeting.To, Subject: "x\x00"},
	} {
		requirePermanent(t, sender(t, "smtp://localhost:"+server.port).Send(t.Context(), hostile), "")
	}
	require.Empty(t, server.said(), "it is refused before anybody is asked")
	body := greeting
	body.Body = "x\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<eve@example.com>\r\nDATA\r\nBcc: eve\r\n.\r\n"
	require.NoError(t, sender(t, "smtp://localhost:"+server.port).Send(t.Context(), body))
	require.Len(t, server.taken(), 1)
	require.Equal(t, body.Body, read(t, server.taken()[0].content).body)
}
