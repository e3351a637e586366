package mail

import (
	"net/url"
	"strings"
)

// maxMailto is how many characters a mailto link has at most: Windows hands no more than some 2,000 to a mail program.
const maxMailto = 2000

// MailtoURL gives a link that opens the message in the reader's mail program (RFC 6068). When the body makes it too
// long, the link is without one, and then without the subject: half a body would look like a whole one. The draft has
// all of it.
func MailtoURL(message Message) string {
	to, err := message.To.resolve()
	if err != nil {
		to = message.To.Address // a link has no room for errors; the mail program will have one
	}
	local, domain := to, ""
	if at := strings.LastIndexByte(to, '@'); at >= 0 {
		local, domain = to[:at], "@"+escape(to[at+1:])
	}
	link := "mailto:" + escape(local) + domain
	subject := link + "?subject=" + escape(oneLine(strings.ToValidUTF8(message.Subject, "\uFFFD")))
	whole := subject + "&body=" + escape(crlf(message.Body))
	for _, candidate := range []string{whole, subject} {
		if len(candidate) <= maxMailto {
			return candidate
		}
	}
	return link
}

// escape writes everything but letters, digits and -._~ as percent signs; in a mailto link + is a plus.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
