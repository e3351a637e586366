package archive_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/archive"
)

var limits = archive.Limits{Entries: 20, Directory: 4 << 10, Entry: 1 << 20, Total: 2 << 20, Free: 64 << 10, Ratio: 20}

// packed makes an archive of entries: a name and a content each.
func packed(t testing.TB, entries ...string) []byte {
	t.Helper()
	var to bytes.Buffer
	writer := zip.NewWriter(&to)
	for i := 0; i < len(entries); i += 2 {
		entry, err := writer.Create(entries[i])
		require.NoError(t, err)
		_, err = io.WriteString(entry, entries[i+1])
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	return to.Bytes()
}

// read opens an archive and reads all of its entries.
func read(text []byte, limits archive.Limits) (map[string]string, error) {
	found, err := archive.Open(bytes.NewReader(text), int64(len(text)), limits)
	if err != nil {
		return nil, err
	}
	contents := map[string]string{}
	for _, entry := range found.Entries {
		content, err := entry.Open()
		if err != nil {
			return nil, err
		}
		var all strings.Builder
		if _, err := io.Copy(&all, content); err != nil {
			return nil, err
		}
		contents[entry.Name] = all.String()
	}
	return contents, nil
}

func TestArchive(t *testing.T) {
	t.Parallel()
	contents, err := read(packed(t, "a.json", "{}", "ż/b c.txt", "text", "ż/empty", ""), limits)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a.json": "{}", "ż/b c.txt": "text", "ż/empty": ""}, contents)
}

// patched makes an archive of one entry and changes bytes of it: of its entry in the list, and of what stands before it.
func patched(t *testing.T, change func(local, listed []byte)) []byte {
	t.Helper()
	text := packed(t, "a.json", strings.Repeat("x", 1000))
	listed := bytes.Index(text, []byte("PK\x01\x02"))
	require.Positive(t, listed)
	change(text, text[listed:])
	return text
}

func TestArchivesThatAreRefused(t *testing.T) {
	t.Parallel()
	little := binary.LittleEndian
	many := make([]string, 2*(limits.Entries+1))
	for i := range many {
		many[i] = strings.Repeat("n", i+1)
	}
	for name, test := range map[string]struct {
		text        []byte
		entry, code string
	}{
		"nothing":            {nil, "", "unreadable"},
		"something else":     {[]byte("%PDF-1.7 and so on"), "", "unreadable"},
		"not whole":          {packed(t, "a", "b")[:60], "", "unreadable"},
		"too many entries":   {packed(t, many...), "", "too_many_entries"},
		"too long a list":    {packed(t, strings.Repeat("a", 5000), ""), "", "too_many_entries"},
		"up":                 {packed(t, "../a", ""), "../a", "unsafe_name"},
		"up and down":        {packed(t, "a/../../b", ""), "a/../../b", "unsafe_name"},
		"from the root":      {packed(t, "/etc/passwd", ""), "/etc/passwd", "unsafe_name"},
		"a drive":            {packed(t, "C:a", ""), "C:a", "unsafe_name"},
		"a share":            {packed(t, `\\host\a`, ""), `\\host\a`, "unsafe_name"},
		"backslashes":        {packed(t, `..\a`, ""), `..\a`, "unsafe_name"},
		"a folder":           {packed(t, "a/", ""), "a/", "unsafe_name"},
		"nothing between":    {packed(t, "a//b", ""), "a//b", "unsafe_name"},
		"a dot":              {packed(t, "./a", ""), "./a", "unsafe_name"},
		"a dot at the end":   {packed(t, "a.", ""), "a.", "unsafe_name"},
		"no name":            {packed(t, "", ""), "", "unsafe_name"},
		"a line break":       {packed(t, "a\nb", ""), "a\nb", "unsafe_name"},
		"NUL":                {packed(t, "a\x00b", ""), "a\x00b", "unsafe_name"},
		"not UTF-8":          {packed(t, "a\xffb", ""), "a�b", "unsafe_name"},
		"twice":              {packed(t, "a", "1", "a", "2"), "a", "duplicate_entry"},
		"twice but for case": {packed(t, "ż", "1", "Ż", "2"), "Ż", "duplicate_entry"},
		"tight":              {packed(t, "a", strings.Repeat("x", 1<<19)), "a", "too_large"},
		"large":              {packed(t, "a", strings.Repeat("x", 1<<21)), "a", "too_large"},
		"large together":     {packed(t, "a", noise(1<<20), "b", noise(1<<20), "c", "c"), "", "too_large"},
		"encrypted": {patched(t, func(local, listed []byte) {
			local[6] |= 1
			listed[8] |= 1
		}), "a.json", "encrypted"},
		"another method": {patched(t, func(local, listed []byte) {
			little.PutUint16(local[8:], 12)
			little.PutUint16(listed[10:], 12)
		}), "a.json", "unknown_method"},
		"a lie on the size":  {patched(t, func(_, listed []byte) { little.PutUint32(listed[24:], 10) }), "a.json", "unreadable"},
		"a greater lie":      {patched(t, func(_, listed []byte) { little.PutUint32(listed[24:], 5000) }), "a.json", "unreadable"},
		"a wrong checksum":   {patched(t, func(_, listed []byte) { listed[16] ^= 1 }), "a.json", "damaged"},
		"damaged bytes":      {patched(t, func(local, _ []byte) { local[40] ^= 0xff }), "a.json", "unreadable"},
		"more than there is": {patched(t, func(_, listed []byte) { little.PutUint32(listed[20:], 1<<30) }), "a.json", "unreadable"},
		"one over another":   {overlapping(t), "b", "overlap"},
	} {
		contents, err := read(test.text, limits)
		require.Error(t, err, "%s: %v", name, contents)
		var wrong *archive.Fault
		require.ErrorAs(t, err, &wrong, name)
		require.Equal(t, []string{test.entry, test.code}, []string{wrong.Entry, wrong.Code}, "%s: %s", name, err)
		require.NotEmpty(t, wrong.Message, name)
	}
}

func noise(size int) string {
	text, state := make([]byte, size), uint64(1)
	for i := range text {
		state = state*6364136223846793005 + 1442695040888963407
		text[i] = byte(state >> 56)
	}
	return string(text)
}

// overlapping makes an archive whose second entry is the bytes of the first one.
func overlapping(t *testing.T) []byte {
	t.Helper()
	text := packed(t, "a", "1", "b", "2")
	first := bytes.Index(text, []byte("PK\x01\x02"))
	second := first + 4 + bytes.Index(text[first+4:], []byte("PK\x01\x02"))
	copy(text[second+42:second+46], text[first+42:first+46]) // where the entry begins
	return text
}

// failing is a store that is away.
type failing struct{}

var errAway = errors.New("away")

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errAway }

func TestErrorsOfTheStoreAreNoFaults(t *testing.T) {
	t.Parallel()
	_, err := archive.Open(failing{}, 1000, limits)
	require.ErrorIs(t, err, errAway)
}

// FuzzArchive reads what anybody may send: it ends, gives no more than it may, and has no other faults than its own.
func FuzzArchive(f *testing.F) {
	f.Add(packed(f, "a.json", "{}", "b/c", strings.Repeat("x", 3000)))
	f.Add(packed(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		started := time.Now()
		contents, err := read(text, limits)
		var wrong *archive.Fault
		if err != nil && !errors.As(err, &wrong) {
			t.Fatalf("an error that is no fault: %v", err)
		}
		total := 0
		for name, content := range contents {
			if total += len(content); strings.Contains(name, "..") && strings.HasPrefix(name, "/") {
				t.Fatalf("a name that leads out: %q", name)
			}
		}
		if uint64(total) > limits.Total || time.Since(started) > 10*time.Second {
			t.Fatalf("%d bytes in %s", total, time.Since(started))
		}
	})
}
