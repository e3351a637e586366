package weburl_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/weburl"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://crm.example.com/hooks", "https://crm.example.com:8443/hooks?key=a%20b", "http://10.0.0.7/", "https://example.com",
		"https://[2001:db8::1]:444/x", "HTTPS://EXAMPLE.COM/", "https://xn--bcher-kva.example/", "http://localhost:9000",
	} {
		require.NoError(t, weburl.Check(good), good)
	}
	for _, bad := range []string{
		"", "crm.example.com", "//crm.example.com/", "ftp://example.com/", "https:/example.com", "https:example.com", "https://",
		"https:///path", "https://user@example.com/", "https://user:secret@example.com/", "https://example.com/#part",
		"https://example.com/#", "https://example.com:0/", "https://example.com:65536/", "https://example.com:/", "https://example.com:x/",
		"https://exa mple.com/", "https://example.com/\n", "https://bücher.example/", "https://example.com/ä", "https://-x-/",
		"https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://[fe80::1%25eth0]/", "javascript://example.com/%0a",
		"https://[::1", "https://a..b/", "https://example.com\\@localhost/",
	} {
		require.Error(t, weburl.Check(bad), bad)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]string{
		"https://127.0.0.1/": "127.0.0.1", "https://[::ffff:10.0.0.1]:8443/": "::ffff:10.0.0.1", "https://[::1]/": "::1", "https://localhost/": "",
	} {
		parsed, err := weburl.Parse(text)
		require.NoError(t, err)
		address, found := weburl.Address(parsed)
		require.Equal(t, expected != "", found, text)
		if found {
			require.Equal(t, expected, address.String())
		}
	}
}
