package digests_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/digests"
)

const content = "zażółć gęślą jaźń"

func in64(digest []byte) string { return ":" + base64.StdEncoding.EncodeToString(digest) + ":" }

func TestVerify(t *testing.T) {
	t.Parallel()
	short, long := sha256.Sum256([]byte(content)), sha512.Sum512([]byte(content))
	other, otherLong := sha256.Sum256(nil), sha512.Sum512(nil)
	for header, wrong := range map[string]string{
		"sha-256=" + in64(short[:]):                                     "",
		"sha-512=" + in64(long[:]):                                      "",
		"sha-512=" + in64(long[:]) + ", sha-256=" + in64(short[:]):      "",
		"md5=:AAAA:,sha-256=" + in64(short[:]) + ";note=1":              "",
		"unixsum=:AAAA:":                                                "",
		"sha-256=" + in64(other[:]):                                     "sha-256",
		"sha-512=" + in64(otherLong[:]):                                 "sha-512",
		"sha-256=" + in64(short[:]) + ", sha-512=" + in64(otherLong[:]): "sha-512",
		"sha-256=" + in64(other[:]) + ", sha-256=" + in64(short[:]):     "", // the last of a name counts (RFC 9651)
	} {
		expected, err := digests.Parse(header)
		require.NoError(t, err, header)
		verifier, reader := expected.Verify(strings.NewReader(content))
		read, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Equal(t, content, string(read))
		require.Equal(t, wrong, verifier.Wrong(short), header)
	}
	nothing, _ := digests.Expected{}.Verify(strings.NewReader(content))
	require.Empty(t, nothing.Wrong(other))
	require.Equal(t, "sha-256="+in64(short[:]), digests.Header(short[:]))
}

func TestHeadersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"sha-256", "sha-256=abc", `sha-256="abc"`, "sha-256=:abc", "sha-256=:AAAA:", "sha-512=:AAAA:", "sha-256=::", "md5=1",
		"sha-256=(:AAAA:)", "SHA-256=:AAAA:", "=", ",", "sha-256=:AAAA:,", "sha-256=:żółw:", "md5", "sha-256=:A A:",
	} {
		require.Error(t, digests.Check(header), header)
	}
}
