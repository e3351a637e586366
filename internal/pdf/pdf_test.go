package pdf_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/pdf"
)

func TestEnding(t *testing.T) {
	t.Parallel()
	for text, found := range map[string]bool{
		"": false, "%%EO": false, "%%EOF": true, "%%EOF\n": true, "%PDF-1.7 %%EOF and more": true,
		strings.Repeat("x", 5000) + "%%EOF":                            true,
		"%%EOF" + strings.Repeat(" ", 1019):                            true,
		"%%EOF" + strings.Repeat(" ", 1020):                            false,
		strings.Repeat("x", 1022) + "%%EOF" + strings.Repeat("x", 500): true,
	} {
		for _, size := range []int{1, 3, 1023, 1024, 1025, 1 << 20} {
			var ending pdf.Ending
			for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
				ending.Add([]byte(rest[:min(size, len(rest))]))
			}
			require.Equal(t, found, ending.Found(), "%.20q of %d in parts of %d", text, len(text), size)
		}
	}
}
