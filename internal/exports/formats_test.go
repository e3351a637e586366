package exports_test

import (
	"bytes"
	"encoding/csv"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/sheets"
)

// line is what the library makes of the cells, disarmed, but for the end of the line.
func line(t testing.TB, cells ...string) string {
	t.Helper()
	for i, cell := range cells {
		cells[i] = sheets.Disarm(cell)
	}
	var written bytes.Buffer
	w := csv.NewWriter(&written)
	require.NoError(t, w.Write(cells))
	w.Flush()
	require.NoError(t, w.Error())
	text := written.String()
	if text == "\n" {
		text = "\"\"\n" // an empty line would be none
	}
	return text[:len(text)-1] + "\r\n"
}

// checkCSV holds a row with these two texts, and with one of them alone, against what the library makes of it.
func checkCSV(t *testing.T, first, second string) {
	t.Helper()
	row := customers.Customer{Customer: db.Customer{Name: first, Comments: &second}}
	for columns, expected := range map[string]string{
		"name,comments": line(t, first, second), "comments": line(t, second), "comments,name,email": line(t, second, first, ""),
	} {
		table, err := sheets.Customers(columns)
		require.NoError(t, err)
		written, err := exports.CSV(table, false).Row([]byte("before"), &row)
		require.NoError(t, err)
		require.Equal(t, "before"+expected, string(written), "%q, %q", first, second)
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	cells := []string{
		"", "a", "a b", " a", "\u00a0a", "\u2003a", "\u0085", "\xff", "\xffa", "a ", ",", `"`, `""`, `a"b`, "\n", "a\r\nb", "a\rb",
		`\.`, `\.a`, "=1", "=1,2", `="a"`, "-\n", "+48 22", "'", "'a", "',", "\t", "\ta", "\r", "ł", "=ł\"",
	}
	for _, first := range cells {
		for _, second := range cells {
			checkCSV(t, first, second)
		}
	}
}

// TestCSVOfAnything tries texts that are made of little but what matters.
func TestCSVOfAnything(t *testing.T) {
	t.Parallel()
	letters := []rune("=+-@\t\r'\"a,\n \\.\u00a0ł")
	cell := func() string {
		text := make([]rune, rand.IntN(6))
		for i := range text {
			text[i] = letters[rand.IntN(len(letters))]
		}
		return string(text)
	}
	for range 5000 {
		checkCSV(t, cell(), cell())
	}
}

func TestCSVBegins(t *testing.T) {
	t.Parallel()
	table, err := sheets.Customers(`"properties.a,b","properties.=1",name`)
	require.NoError(t, err)
	expected := "\"properties.a,b\",properties.=1,name\r\n"
	require.Equal(t, expected, string(exports.CSV(table, false).Begin(nil)))
	require.Equal(t, "\ufeff"+expected, string(exports.CSV(table, true).Begin(nil)))
}
