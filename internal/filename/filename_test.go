package filename_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/filename"
)

func TestFromDisposition(t *testing.T) {
	t.Parallel()
	for header, name := range map[string]string{
		"attachment":                                                        "",
		"attachment; filename=menus.pdf":                                    "menus.pdf",
		`inline; FileName="a \"b\" c.pdf"`:                                  `a "b" c.pdf`,
		`attachment; filename="żółw.pdf"`:                                   "żółw.pdf", // as curl sends it
		`attachment; filename="../../x"`:                                    "../../x",
		"attachment; filename*=UTF-8''%C5%BC%C3%B3%C5%82w.pdf":              "żółw.pdf",
		`attachment; filename="zolw.pdf"; filename*=UTF-8''%C5%BCw.pdf`:     "żw.pdf",
		`attachment; filename*=utf-8'pl'%C5%BCw.pdf; filename="zolw.pdf"`:   "żw.pdf",
		`form-data; name="file"; filename="menus.pdf"`:                      "menus.pdf",
		`attachment; filename*0="long "; filename*1="name.pdf"; size=12345`: "long name.pdf",
	} {
		found, err := filename.FromDisposition(header)
		require.NoError(t, err, header)
		require.Equal(t, name, found, header)
	}
	for _, header := range []string{
		"", ";", `attachment; filename="open`, "attachment; filename=a b.pdf", "attachment; filename=", `"a"`,
		"attachment; filename=a; filename=b", "attachment; filename=\"\xff\xfe\"",
	} {
		require.Error(t, filename.Check(header), header)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ż", 150)
	for name, clean := range map[string]string{
		"menus.pdf":              "menus.pdf",
		"Jídelní lístek (3).PDF": "Jídelní lístek (3).PDF",
		"../../etc/passwd":       "passwd",
		`C:\Users\ada\menus.pdf`: "menus.pdf",
		"/":                      "-",
		"..":                     "",
		".":                      "",
		"":                       "",
		" . . ":                  "",
		".htaccess":              "htaccess",
		"a\x00b\r\nc\x7f.pdf":    "abc.pdf",
		"tab\there":              "tabhere",
		"wide\u3000space":        "wide space",
		"invoice\u202efdp.exe":   "invoicefdp.exe",
		"zero\u200bwidth\ufeff":  "zerowidth",
		`a<b>c:d"e|f?g*h`:        "a-b-c-d-e-f-g-h",
		"trailing. . ":           "trailing",
		long + ".pdf":            strings.Repeat("ż", 98) + ".pdf",
		long + "." + long:        strings.Repeat("ż", 100),
	} {
		require.Equal(t, clean, filename.Clean(name), "%q", name)
		require.Equal(t, clean, filename.Clean(clean), "what is clean stays so: %q", name)
	}
	for _, name := range []string{long, "a" + long, strings.Repeat("a.", 300), strings.Repeat(" .", 300) + "x"} {
		clean := filename.Clean(name)
		require.LessOrEqual(t, len(clean), filename.MaxBytes)
		require.True(t, utf8.ValidString(clean))
	}
}

func TestFromText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ż", 150)
	for text, name := range map[string]string{
		"Königlich Essen":        "Königlich Essen 2026-03-01.zip",
		"../../etc/passwd":       "-..-etc-passwd 2026-03-01.zip",
		`C:\a"b`:                 "C--a-b 2026-03-01.zip",
		"a\x00b\n\u202ec\xff d.": "abc d. 2026-03-01.zip",
		"":                       " 2026-03-01.zip",
		long:                     strings.Repeat("ż", 92) + " 2026-03-01.zip",
	} {
		require.Equal(t, name, filename.FromText(text, " 2026-03-01.zip"), "%q", text)
	}
}

func TestWithEnding(t *testing.T) {
	t.Parallel()
	for name, expected := range map[string]string{
		"menus.pdf": "menus.pdf", "menus.PDF": "menus.PDF", "menus": "menus.pdf", "menus.html": "menus.html.pdf",
		strings.Repeat("ż", 100): strings.Repeat("ż", 98) + ".pdf",
	} {
		require.Equal(t, expected, filename.WithEnding(name, ".pdf"))
	}
}
