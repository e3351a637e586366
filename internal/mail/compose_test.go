package mail_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/emersion/go-message"
	gomail "github.com/emersion/go-message/mail"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/email"
	"github.com/clientele-api/clientele/internal/mail"
)

const polish = "Zażółć gęślą jaźń"

// received is a message as a mail program reads it.
type received struct {
	header  gomail.Header
	fields  []string // the names of the header's fields
	to      *gomail.Address
	subject string
	body    string
}

// read parses a message with another library than the one that wrote it.
func read(t *testing.T, raw []byte) received {
	t.Helper()
	entity, err := message.Read(bytes.NewReader(raw))
	require.NoError(t, err, "%q", raw)
	result := received{header: gomail.Header{Header: entity.Header}}
	for fields := entity.Header.Fields(); fields.Next(); {
		result.fields = append(result.fields, fields.Key())
	}
	slices.Sort(result.fields)
	to, err := result.header.AddressList("To")
	require.NoError(t, err, "%q", raw)
	require.Len(t, to, 1)
	result.to = to[0]
	result.subject, err = result.header.Subject()
	require.NoError(t, err, "%q", raw)
	body, err := io.ReadAll(entity.Body)
	require.NoError(t, err)
	result.body = string(body)
	return result
}

// requireLines checks what RFC 5322 asks of lines, and that the message needs no extension of servers.
func requireLines(t *testing.T, raw []byte) {
	t.Helper()
	require.NotContains(t, strings.ReplaceAll(string(raw), "\r\n", ""), "\n")
	require.NotContains(t, strings.ReplaceAll(string(raw), "\r\n", ""), "\r")
	require.False(t, bytes.ContainsFunc(raw, func(r rune) bool { return r > unicode.MaxASCII || r == 0 }))
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		require.LessOrEqual(t, len(line), 300)
	}
}

var draftFields = []string{
	"Content-Transfer-Encoding", "Content-Type", "Mime-Version", "Subject", "To", "X-Uniform-Type-Identifier", "X-Unsent",
}

func TestDraft(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]mail.Message{
		"plain": {
			To:      mail.Address{Name: "Ada", Address: "ada@example.com"},
			Subject: "Hello", Body: "Hi\nAda\n",
		},
		"no name": {To: mail.Address{Address: "ada@example.com"}, Subject: "Hello", Body: "Hi"},
		"Polish": {
			To:      mail.Address{Name: polish, Address: "ada@example.com"},
			Subject: polish, Body: polish + "\n" + polish,
		},
		"nothing": {To: mail.Address{Address: "ada@example.com"}},
		"punctuation": {
			To:      mail.Address{Name: `"Ada", (the) <first>; \o/ @ work`, Address: "a+b_c@example.com"},
			Subject: `a: "b" <c>;`, Body: "=",
		},
		"looks encoded": {
			To:      mail.Address{Name: "=?utf-8?q?x?=", Address: "a@example.com"},
			Subject: "=?utf-8?b?QQ==?=", Body: "=41",
		},
		"spaces": {
			To:      mail.Address{Name: "a   b", Address: "a@example.com"},
			Subject: "  a   b  ", Body: "  a  \n  \n",
		},
		"long": {
			To:      mail.Address{Name: strings.Repeat("ab", 100), Address: "a@example.com"},
			Subject: strings.Repeat("x", 2000), Body: strings.Repeat("y", 5000),
		},
		"long with spaces": {
			To:      mail.Address{Name: strings.Repeat("ż ", 100) + "x", Address: "a@example.com"},
			Subject: strings.Repeat("a  ", 300), Body: strings.Repeat("ż ", 3000) + ".",
		},
		"emoji": {
			To:      mail.Address{Name: "👩‍💻", Address: "a@example.com"},
			Subject: strings.Repeat("👩‍💻", 50), Body: "👩‍💻",
		},
		"dots": {To: mail.Address{Address: "a@example.com"}, Subject: ".", Body: ".\n..\n.\n"},
		"a header": {
			To:      mail.Address{Address: "a@example.com"},
			Subject: "Bcc: eve@example.com", Body: "Bcc: eve@example.com\n\nFrom x",
		},
	} {
		raw, err := mail.Draft(message)
		require.NoError(t, err, name)
		requireLines(t, raw)
		got := read(t, raw)
		require.Equal(t, draftFields, got.fields, "%s: neither sender nor date, and nothing twice", name)
		require.Equal(t, "1", got.header.Get("X-Unsent"), name)
		require.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"), name)
		require.Equal(t, message.Subject, got.subject, name)
		require.Equal(t, gomail.Address{Name: message.To.Name, Address: message.To.Address}, *got.to, name)
		require.Equal(t, message.Body, strings.ReplaceAll(got.body, "\r\n", "\n"), name)
	}
}

func TestLineEndsAreCRLF(t *testing.T) {
	t.Parallel()
	raw, err := mail.Draft(mail.Message{To: mail.Address{Address: "a@example.com"}, Body: "a\nb\r\nc\rd\n\ne"})
	require.NoError(t, err)
	require.Equal(t, "a\r\nb\r\nc\r\nd\r\n\r\ne", read(t, raw).body)
}

func TestInternationalAddresses(t *testing.T) {
	t.Parallel()
	raw, err := mail.Draft(mail.Message{To: mail.Address{Name: "Ada", Address: "ada@Żółw.example"}})
	require.NoError(t, err)
	requireLines(t, raw)
	require.Equal(t, "ada@xn--w-uga1v8h.example", read(t, raw).to.Address)

	raw, err = mail.Draft(mail.Message{To: mail.Address{Name: "Ada", Address: "żółw@例え.example"}})
	require.NoError(t, err)
	require.Equal(t, "żółw@xn--r8jz45g.example", read(t, raw).to.Address)
}

// TestNothingIsSmuggled: names, subjects and addresses come from strangers.
func TestNothingIsSmuggled(t *testing.T) {
	t.Parallel()
	good := mail.Message{To: mail.Address{Name: "Ada", Address: "ada@example.com"}, Subject: "Hello"}
	for _, end := range []string{"\r\n", "\n", "\r", "\x00", "\u0085", "\x0b", "\x7f", "\r\n\r\n", "\r\n "} {
		for _, hostile := range []string{"x" + end + "Bcc: eve@example.com", end, "x" + end} {
			for name, message := range map[string]mail.Message{
				"subject": {To: good.To, Subject: hostile},
				"name":    {To: mail.Address{Name: hostile, Address: good.To.Address}, Subject: good.Subject},
				"address": {To: mail.Address{Address: "ada@example.com" + hostile}, Subject: good.Subject},
			} {
				_, err := mail.Draft(message)
				requirePermanent(t, err, "")
				require.NotContains(t, mail.MailtoURL(message), end, name)
			}
		}
	}
	for _, address := range []string{
		"", "ada", "ada@", "@example.com", "ada@example.com,eve@example.com", "Ada <ada@example.com>", "<ada@example.com>",
		"ada@example.com>", "ada@exam ple.com", "ada@ex＠ample.com", "ada@ex＞ample.com", "ada@ż..com", "ada@ż_.com",
		"ada@" + strings.Repeat("ż", 64) + ".com", `"a b"@example.com`, "ada\xff@example.com", "ada@example.com (comment)",
	} {
		_, err := mail.Draft(mail.Message{To: mail.Address{Address: address}})
		requirePermanent(t, err, "The recipient cannot be written to")
	}
}

func requirePermanent(t *testing.T, err error, reason string) {
	t.Helper()
	failure := requireReason(t, err, reason)
	require.True(t, failure.Permanent, failure.Reason)
}

func requireTemporary(t *testing.T, err error, reason string) {
	t.Helper()
	failure := requireReason(t, err, reason)
	require.False(t, failure.Permanent, failure.Reason)
}

// requireReason checks that the error is one, and its reason fit to show.
func requireReason(t *testing.T, err error, reason string) *mail.Error {
	t.Helper()
	var failure *mail.Error
	require.ErrorAs(t, err, &failure)
	require.Contains(t, failure.Reason, reason)
	require.Equal(t, failure.Reason, err.Error())
	require.NotEmpty(t, failure.Reason)
	require.LessOrEqual(t, len([]rune(failure.Reason)), 300)
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	require.False(t, strings.ContainsFunc(failure.Reason, unprintable), failure.Reason)
	return failure
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]mail.Address{
		"ada@example.com":                          {Address: "ada@example.com"},
		"Ada Lovelace <ada@example.com>":           {Name: "Ada Lovelace", Address: "ada@example.com"},
		`"Lovelace, Ada" <ada@example.com>`:        {Name: "Lovelace, Ada", Address: "ada@example.com"},
		"Łódź <poczta@łódź.example>":               {Name: "Łódź", Address: "poczta@łódź.example"},
		"=?utf-8?q?=C5=81=C3=B3d=C5=BA?= <a@b.pl>": {Name: "Łódź", Address: "a@b.pl"},
	} {
		address, err := mail.ParseAddress(text)
		require.NoError(t, err, text)
		require.Equal(t, want, address)
	}
	for _, text := range []string{
		"", "Ada", "ada@", "Ada <>", "a@example.com, b@example.com", "=?utf-8?q?a=0D=0Ab?= <a@example.com>", "A <a@ż_.pl>",
	} {
		_, err := mail.ParseAddress(text)
		require.Error(t, err, text)
	}
}

func FuzzDraft(f *testing.F) {
	f.Add("Ada", "ada@example.com", "Hello", "Hi\n")
	f.Add(polish, "żółw@żółw.example", polish, polish+"\r\n.\r\n")
	f.Add("=?utf-8?q?x?=", "a@b.c", " =?x?= ", "=\x00\xff")
	f.Add("a\nb", "a@b.c\r\nBcc: d@e.f", "a\r\n\r\nb", "\r")
	f.Fuzz(func(t *testing.T, name, address, subject, body string) {
		raw, err := mail.Draft(mail.Message{To: mail.Address{Name: name, Address: address}, Subject: subject, Body: body})
		oneLine := !strings.ContainsFunc(name, unicode.IsControl) && !strings.ContainsFunc(subject, unicode.IsControl)
		if err != nil {
			requirePermanent(t, err, "")
			local, domain, _ := strings.Cut(address, "@")
			isASCII := !strings.ContainsFunc(local+domain, func(r rune) bool { return r > '~' })
			require.False(t, oneLine && isASCII && email.Check(address) == nil, "refused without need: %v", err)
			return
		}
		require.True(t, oneLine)
		got := read(t, raw)
		valid := func(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
		require.Equal(t, draftFields, got.fields)
		require.Equal(t, collapse(valid(name)), collapse(got.to.Name))
		require.Equal(t, collapse(valid(subject)), collapse(got.subject))
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(valid(body))
		require.Equal(t, collapse(want), collapse(strings.ReplaceAll(got.body, "\r\n", "\n")))
		before, _, _ := strings.Cut(address, "@")
		require.True(t, strings.HasPrefix(got.to.Address, before+"@"), "%q %q", got.to.Address, address)
	})
}

// collapse makes one of several marks in a row for what is no UTF-8: how many bytes each stands for is not settled.
func collapse(text string) string {
	for strings.Contains(text, "\uFFFD\uFFFD") {
		text = strings.ReplaceAll(text, "\uFFFD\uFFFD", "\uFFFD")
	}
	return text
}
