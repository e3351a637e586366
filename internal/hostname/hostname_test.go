package hostname_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/hostname"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for name, expected := range map[string]string{
		"www.example.com": "www.example.com", "WWW.Example.COM.": "www.example.com", "żółw.example": "xn--w-uga1v8h.example",
		"xn--w-uga1v8h.example": "xn--w-uga1v8h.example", "BÜCHER.de": "xn--bcher-kva.de", "localhost": "localhost",
		"3com.com": "3com.com", "ｅｘａｍｐｌｅ.com": "example.com", "例え.テスト": "xn--r8jz45g.xn--zckzah",
		strings.Repeat("a", 63) + ".com": strings.Repeat("a", 63) + ".com",
	} {
		ascii, err := hostname.Normalize(name)
		require.NoError(t, err, name)
		require.Equal(t, expected, ascii)
		again, err := hostname.Normalize(hostname.Unicode(ascii))
		require.NoError(t, err, name)
		require.Equal(t, ascii, again, "what people read leads back")
	}
	for _, name := range []string{
		"", ".", "..", "a..b", "-a.com", "a-.com", "a b.com", "a_b.com", "*.example.com", "http://example.com", "example.com/x",
		"example.com:80", "192.0.2.1", "1.2.3", "::1", "a\x00b.com", "exa\u200dmple.com", "xn--a.com", "xn--.com",
		strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 130) + "com", "ex＠mple.com", "a\nb.com", "ab--c\u0301.com.-",
	} {
		_, err := hostname.Normalize(name)
		require.Error(t, err, "%q", name)
	}
}

func TestNormalizeOrigin(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:DB8:0:0::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1", "Origin.Example.com.": "origin.example.com",
		"::ffff:192.0.2.1": "192.0.2.1",
	} {
		origin, err := hostname.NormalizeOrigin(text)
		require.NoError(t, err, text)
		require.Equal(t, expected, origin)
	}
	for _, text := range []string{"", "999.1.1.1", "fe80::1%eth0", "192.0.2.1:80", "http://192.0.2.1", "192.0.2.0/24", "[]", "-"} {
		_, err := hostname.NormalizeOrigin(text)
		require.Error(t, err, text)
	}
}
