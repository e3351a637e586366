package weburl_test

import (
	"strings"
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

// TestNamesInOtherLetters: who writes a name as people read it is told how it is written here.
func TestNamesInOtherLetters(t *testing.T) {
	t.Parallel()
	const inASCII = "must have its host in ASCII, which is "
	for text, expected := range map[string]string{
		"https://bücher.example/":              inASCII + "xn--bcher-kva.example",
		"http://Żółw.example:8443/hooks?key=1": inASCII + "xn--w-uga1v8h.example",
		"https://例え.テスト":                       inASCII + "xn--r8jz45g.xn--zckzah",
		"https://b%C3%BCcher.example/":         inASCII + "xn--bcher-kva.example",
		"https://ｅｘａｍｐｌｅ.com/ä":                inASCII + "example.com",
		"https://\u202e.example/":              "must have its host in ASCII, such as xn--bcher-kva.example for bücher.example",
		"https://bü_cher.example/":             "must have its host in ASCII, such as xn--bcher-kva.example for bücher.example",
		"https://example.com/ä":                "must be in ASCII: write other characters of the path and the query with %",
		"https://example.com/?key=ä":           "must be in ASCII: write other characters of the path and the query with %",
	} {
		require.EqualError(t, weburl.Check(text), expected, text)
	}
	for _, text := range []string{"ftp://bücher.example/", "bücher.example", "ä"} {
		require.ErrorContains(t, weburl.Check(text), "must be an https URL", text)
	}
	require.ErrorContains(t, weburl.Check("https://ada@bücher.example/"), "no user")
	require.Less(t, len(weburl.Check("https://"+strings.Repeat("bücher.", 200)+"example/").Error()), 100)
}

// TestWhatIsWrong: the part of a URL that is wrong is named.
func TestWhatIsWrong(t *testing.T) {
	t.Parallel()
	const (
		form  = "must be an https URL such as https://www.example.com/hooks"
		port  = "must have a port from 1 to 65535, or none"
		space = "must have no spaces and no control characters: write a space in the path or the query as %20"
		host  = "must have the name of a host, such as www.example.com, or an address in full, such as 203.0.113.7 or [2001:db8::7]"
	)
	for expected, texts := range map[string][]string{
		form: {
			"", "a b", "ftp://a.example/ b", "ftp://a.example:99999/", "https:// ", "https://", "https:///a b", "https:///:x", "a.example:99999",
			"https://[::1", "https://a.example/%zz", "javascript://a_b.example/",
		},
		port: {
			"https://a.example:99999/", "http://127.0.0.1:99999/", "https://[2001:db8::7]:65536/", "https://a.example:0", "https://a.example:/",
			"https://a.example:x/", "HTTPS://a.example:-1/", "https://bücher.example:x/", "https://a_b.example:99999/",
		},
		space: {
			"https://a.example/ b", " https://a.example/", "https://a b.example/", "https://a.example/\n", "https://a.example/\t", "https://a.example/\x7f",
			"https://bücher.example/ ", "https://a.example:99999/ b",
		},
		host: {
			"https://a_b.example/", "https://127.1/", "https://-x-/", "https://2130706433/", "https://0x7f.1/", "https://[fe80::1%25eth0]/",
			"https://a..b/", "http://300.0.0.1/", "https://::1/", "https://2001:db8::7/", "https://a.example:443:443/",
		},
	} {
		for _, text := range texts {
			require.EqualError(t, weburl.Check(text), expected, text)
		}
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
