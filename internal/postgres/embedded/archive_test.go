//go:build unix

package embedded

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func checksum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// makeJar packs executable files the way binaries are published: a zip with
// one tar.xz in it.
func makeJar(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var tarred bytes.Buffer
	archive := tar.NewWriter(&tarred)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, archive.WriteHeader(&tar.Header{
			Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(files[name])),
		}))
		_, err := archive.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())

	var jar bytes.Buffer
	zipped := zip.NewWriter(&jar)
	entry, err := zipped.Create("postgres-linux-x86_64.txz")
	require.NoError(t, err)
	_, err = entry.Write(storeXZ(tarred.Bytes()))
	require.NoError(t, err)
	require.NoError(t, zipped.Close())
	return jar.Bytes()
}

// storeXZ wraps content as an xz file without compressing it: one block of
// LZMA2 chunks that hold the bytes as they are, with CRC32 for a check.
func storeXZ(content []byte) []byte {
	crc := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	flags := []byte{0, 1} // the check is CRC32

	out := append([]byte("\xfd7zXZ\x00"), flags...)
	out = append(out, crc(flags)...)

	header := []byte{2, 0, 0x21, 1, 0x16, 0, 0, 0} // 12 bytes with the CRC; one filter: LZMA2, 8 MiB
	block := slices.Concat(header, crc(header))
	for i, rest := 0, content; len(rest) > 0; i++ {
		chunk := rest[:min(len(rest), 1<<16)]
		rest = rest[len(chunk):]
		control := byte(2) // stored
		if i == 0 {
			control = 1 // stored, after a reset of the dictionary
		}
		block = append(block, control)
		block = binary.BigEndian.AppendUint16(block, uint16(len(chunk)-1))
		block = append(block, chunk...)
	}
	block = append(block, 0) // the last chunk
	unpadded := len(block) + 4
	out = append(out, pad(block)...)
	out = append(out, crc(content)...)

	index := []byte{0, 1} // one block
	index = binary.AppendUvarint(index, uint64(unpadded))
	index = binary.AppendUvarint(index, uint64(len(content)))
	index = pad(index)
	index = append(index, crc(index)...)
	out = append(out, index...)

	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	footer = append(footer, flags...)
	out = append(out, crc(footer)...)
	out = append(out, footer...)
	return append(out, 'Y', 'Z')
}
