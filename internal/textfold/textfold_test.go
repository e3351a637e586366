package textfold_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/textfold"
)

func TestKey(t *testing.T) {
	t.Parallel()
	for key, texts := range map[string][]string{
		"":           {"", " ", "\t\n", "\u0301", "\u00a0\u3000"},
		"koniglich":  {"Königlich", "KO\u0308NIGLICH", "koniglich", " Koniglich\n"},
		"zolc gesla": {"Żółć gęsla", "ZOLC GESLA", "żo\u0301łć\u00a0 \tgesla"},
		"strasse":    {"Straße", "STRASSE", "STRAẞE"},
		"aerodynoe":  {"Ærødynœ"},
		"final":      {"ﬁnal", "ＦＩＮＡＬ", "𝐅inal"},
		"istanbul":   {"İstanbul", "ıstanbul", "ISTANBUL"},
		"σασ":        {"ΣΑΣ", "σας", "Σάς"},
		"a b c":      {"a b c", " A  B\r\nC ", "a\u2003b\u2028c"},
		"москва":     {"МОСКВА", "Москва"},
		"東京":         {"東京"},
		"ꭺꮊ":         {"ᎪᎺ", "ꭺꮊ"},
		"👩‍💻 1/2":    {"👩‍💻 1/2"},
	} {
		for _, text := range texts {
			require.Equal(t, key, textfold.Key(text), "%q", text)
		}
	}
}

func TestCaseKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, textfold.CaseKey("Ada@Example.COM"), textfold.CaseKey("ada@example.com"))
	require.Equal(t, textfold.CaseKey("jos\u00e9@example.com"), textfold.CaseKey("JOSE\u0301@example.com"))
	require.NotEqual(t, textfold.CaseKey("josé@example.com"), textfold.CaseKey("jose@example.com"))
	require.NotEqual(t, textfold.CaseKey("a b"), textfold.CaseKey("ab"))
	require.Equal(t, textfold.CaseKey("Ꭺ@example.com"), textfold.CaseKey("ꭺ@example.com"))
}

// TestKeyOfAKeyIsTheKey: what is looked for is folded as what is found was, and may have been copied from it.
func TestKeyOfAKeyIsTheKey(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var text strings.Builder
		for range random.IntN(8) {
			text.WriteRune(rune(random.IntN(0x20000)))
		}
		key := textfold.Key(text.String())
		require.Equal(t, key, textfold.Key(key), "%q", text.String())
		require.Equal(t, key, textfold.Key("  "+text.String()+" "), "%q", text.String())
		require.Equal(t, textfold.Key(strings.ToUpper(key)), textfold.Key(key), "%q", text.String())
	}
}
