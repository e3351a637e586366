package mail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"mime/quotedprintable"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Draft gives the message as an .eml file that mail programs open for editing, addressed and not yet sent. It has no
// sender, date or identity: the program that sends it puts in its own. A sender in the file would make Outlook send in
// the name of somebody else, and an identity would be the same each time the file is opened.
func Draft(message Message) ([]byte, error) {
	to, err := message.check()
	if err != nil {
		return nil, err
	}
	return compose(message, to, []field{
		{"X-Unsent", "1"}, // for Outlook, and who follows it
		{"X-Uniform-Type-Identifier", "com.apple.mail-draft"}, // for Apple Mail
	}), nil
}

// check tells what is wrong with the message, and gives the recipient's mailbox.
func (m Message) check() (string, error) {
	to, err := m.To.resolve()
	if err != nil {
		return "", failed(true, "The recipient cannot be written to: "+err.Error(), err)
	}
	if strings.ContainsFunc(m.Subject, unicode.IsControl) {
		return "", failed(true, "The subject must be one line", errors.New("control characters in the subject"))
	}
	return to, nil
}

// field is a header field. Its value is encoded and folded.
type field struct{ name, value string }

// compose writes a checked message: the fields given, then those that every message has. Lines end with CRLF and have
// at most 76 characters, but for a long address. All of it is ASCII, but for a mailbox that is not.
func compose(message Message, to string, fields []field) []byte {
	fields = append(fields,
		field{"To", mailbox(message.To.Name, to)},
		field{"Subject", unstructured(message.Subject)},
		field{"MIME-Version", "1.0"},
		field{"Content-Type", "text/plain; charset=utf-8"},
		field{"Content-Transfer-Encoding", "quoted-printable"},
	)
	var text bytes.Buffer // writing to it cannot fail
	for _, field := range fields {
		_, _ = fmt.Fprintf(&text, "%s: %s\r\n", field.name, field.value)
	}
	text.WriteString("\r\n")
	body := quotedprintable.NewWriter(&text)
	_, _ = body.Write([]byte(crlf(message.Body)))
	_ = body.Close()
	return text.Bytes()
}

// maxPlain is how long a text may be to stand in a header field as it is.
const maxPlain = 60

// plain tells whether the text can stand in a header field as it is: short, printable, and not to be taken for one
// that is encoded.
func plain(text string) bool {
	return len(text) <= maxPlain && strings.TrimSpace(text) == text && !strings.Contains(text, "=?") &&
		!strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

func unstructured(text string) string {
	if plain(text) {
		return text
	}
	return encodedWords(text)
}

func mailbox(name, address string) string {
	switch {
	case name == "":
		return "<" + address + ">"
	case plain(name):
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	default:
		name = encodedWords(name)
	}
	return name + "\r\n <" + address + ">"
}

// encodedWords writes the text as RFC 2047 has it, a word a line. A word holds 39 bytes, so that it fits behind the
// name of its field, and never a part of a character. The encoder of package mime leaves ASCII alone, however long and
// whatever it looks like.
func encodedWords(text string) string {
	var words []string
	word := ""
	flush := func() {
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(word))+"?=")
		word = ""
	}
	for _, r := range text {
		if len(word)+utf8.RuneLen(r) > 39 {
			flush()
		}
		word += string(r)
	}
	flush()
	return strings.Join(words, "\r\n ")
}

// crlf gives the text with every line ended by CRLF, and U+FFFD for what is no UTF-8.
func crlf(text string) string {
	text = strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(text)
	return strings.ToValidUTF8(text, "\uFFFD")
}
