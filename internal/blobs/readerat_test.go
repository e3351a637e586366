package blobs_test

import (
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReaderAt: bytes are read from any place, in whatever steps and order.
func TestReaderAt(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		content := random(3 << 20)
		key := p.write(t, content).Key
		size, err := p.SizeOf(t.Context(), key)
		require.NoError(t, err)
		require.EqualValues(t, len(content), size)
		known := p.OpenSized(t.Context(), key, size)
		whole, err := io.ReadAll(known)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, whole))
		require.NoError(t, known.Close())
		reader, err := p.OpenAt(t.Context(), key)
		require.NoError(t, err)
		defer reader.Close()
		require.Equal(t, int64(len(content)), reader.Size())
		at := 0
		for range 60 {
			switch rand.IntN(4) {
			case 0:
				at = rand.IntN(len(content))
			case 1:
				at = min(at+rand.IntN(2<<20), len(content))
			}
			part := make([]byte, rand.IntN(5000))
			n, err := reader.ReadAt(part, int64(at))
			rest := content[at:min(at+len(part), len(content))]
			require.Equal(t, len(rest), n)
			require.True(t, bytes.Equal(rest, part[:n]))
			if n < len(part) {
				require.Equal(t, io.EOF, err)
			} else {
				require.NoError(t, err)
			}
			at += n
		}
		_, err = reader.ReadAt(make([]byte, 1), -1)
		require.Error(t, err)
		_, err = reader.ReadAt(make([]byte, 1), int64(len(content))+5)
		require.Equal(t, io.EOF, err)
		_, err = p.OpenAt(t.Context(), "test/none")
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = p.SizeOf(t.Context(), "test/none")
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}
