package sheets_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/sheets"
)

func checkDisarmed(t *testing.T, cell string) {
	t.Helper()
	disarmed := sheets.Disarm(cell)
	require.Equal(t, cell, sheets.Rearm(disarmed), "%q", disarmed)
	require.False(t, disarmed != "" && strings.ContainsAny(disarmed[:1], "=+-@\t\r"), "%q", disarmed)
}

func TestDisarm(t *testing.T) {
	t.Parallel()
	for cell, expected := range map[string]string{
		"": "", "a": "a", "=1+1": "'=1+1", "+48 22 555 39 32": "'+48 22 555 39 32", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)",
		"\t=1": "'\t=1", "\r=1": "'\r=1", "'": "''", "'s-Hertogenbosch": "''s-Hertogenbosch", "''=": "'''=", "a=1": "a=1",
		"＝1+1": "'＝1+1", "－": "'－", "５": "５", "ł": "ł",
	} {
		require.Equal(t, expected, sheets.Disarm(cell))
		checkDisarmed(t, cell)
	}
	require.Equal(t, "'a", sheets.Rearm("'a"), "an apostrophe that Disarm cannot have put there")
}

// TestDisarmIsUndone tries texts that are made of little but what matters.
func TestDisarmIsUndone(t *testing.T) {
	t.Parallel()
	letters := []rune("=+-@\t\r'\"a,\nł")
	for range 20_000 {
		cell := make([]rune, rand.IntN(6))
		for i := range cell {
			cell[i] = letters[rand.IntN(len(letters))]
		}
		checkDisarmed(t, string(cell))
	}
}

func FuzzDisarm(f *testing.F) {
	for _, seed := range []string{"", "'", "''", "=1", "'=1", "+48", "\x00=", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(checkDisarmed)
}
