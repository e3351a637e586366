package mail_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/mail"
)

func TestMailtoURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		message mail.Message
		url     string
	}{
		{
			mail.Message{To: mail.Address{Name: "Ada", Address: "ada@example.com"}, Subject: "Hello there", Body: "a\nb\r\nc"},
			"mailto:ada@example.com?subject=Hello%20there&body=a%0D%0Ab%0D%0Ac",
		},
		{
			mail.Message{To: mail.Address{Address: "a+b&c=d?e%f@example.com"}, Subject: "1+1=2 & 50%", Body: "?a=b#c"},
			"mailto:a%2Bb%26c%3Dd%3Fe%25f@example.com?subject=1%2B1%3D2%20%26%2050%25&body=%3Fa%3Db%23c",
		},
		{
			mail.Message{To: mail.Address{Address: "żółw@łódź.example"}, Subject: "żółw", Body: "👋"},
			"mailto:%C5%BC%C3%B3%C5%82w@xn--d-uga0v4h.example?subject=%C5%BC%C3%B3%C5%82w&body=%F0%9F%91%8B",
		},
		{mail.Message{To: mail.Address{Address: "a@example.com"}}, "mailto:a@example.com?subject=&body="},
		{
			mail.Message{To: mail.Address{Address: "a@example.com?bcc=eve@example.com"}, Subject: "a\r\nBcc: eve@example.com"},
			"mailto:a%40example.com%3Fbcc%3Deve@example.com?subject=a%20Bcc%3A%20eve%40example.com&body=",
		},
	} {
		require.Equal(t, test.url, mail.MailtoURL(test.message))
		_, err := url.Parse(test.url)
		require.NoError(t, err)
	}
}

// TestLongMailtoURLs: programs cut what is too long wherever they like; the link does it where it makes sense.
func TestLongMailtoURLs(t *testing.T) {
	t.Parallel()
	message := mail.Message{To: mail.Address{Address: "a@example.com"}, Subject: "Hello"}
	overhead := len(mail.MailtoURL(message))
	message.Body = strings.Repeat("x", mail.MaxMailto-overhead)
	require.Len(t, mail.MailtoURL(message), mail.MaxMailto)
	message.Body += "x"
	require.Equal(t, "mailto:a@example.com?subject=Hello", mail.MailtoURL(message))
	message.Subject = strings.Repeat("ż", 1000)
	require.Equal(t, "mailto:a@example.com", mail.MailtoURL(message))
}
