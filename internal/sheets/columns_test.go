package sheets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/sheets"
)

// randomJSON makes a value with texts of little but what matters, and space between its parts, as PostgreSQL writes it or
// in other ways.
func randomJSON(depth int, space func() string) string {
	letters := []rune("\" \\,:{}[]\n\taż")
	text := func() string {
		made := make([]rune, rand.IntN(6))
		for i := range made {
			made[i] = letters[rand.IntN(len(letters))]
		}
		encoded, _ := json.Marshal(string(made))
		return string(encoded)
	}
	kind := rand.IntN(5)
	if depth == 0 {
		kind = rand.IntN(3)
	}
	switch kind {
	case 0:
		return text()
	case 1:
		return "-1.5e10"
	case 2:
		return "null"
	}
	var parts []string
	for range rand.IntN(4) {
		part := randomJSON(depth-1, space)
		if kind == 3 {
			part = text() + ":" + space() + part
		}
		parts = append(parts, part)
	}
	brackets := "{}"
	if kind == 4 {
		brackets = "[]"
	}
	return brackets[:1] + strings.Join(parts, ","+space()) + brackets[1:]
}

func TestConfigurationsAreCompact(t *testing.T) {
	t.Parallel()
	table := sheets.Domains()
	column := slices.Index(table.Header, "Redirection")
	spaces := []string{"", " ", "\n\t", "\r\n  "}
	var cells sheets.Cells
	for i := range 5000 {
		text := randomJSON(4, func() string {
			if i%2 == 0 {
				return " "
			}
			return spaces[rand.IntN(len(spaces))]
		})
		var expected bytes.Buffer
		require.NoError(t, json.Compact(&expected, []byte(text)))
		table.Fill(&cells, &domains.Named{Domain: db.Domain{Redirection: json.RawMessage(text)}})
		require.Equal(t, len(table.Header), cells.Len())
		require.Equal(t, expected.String(), string(cells.At(column)), text)
	}
}

func TestCellsOfPropertiesOfAnyKind(t *testing.T) {
	t.Parallel()
	for value, expected := range map[string]string{
		`"a \" b"`: `a " b`, `1.50`: `1.50`, `null`: ``, `true`: `true`, `{"a": [1, " "]}`: `{"a":[1," "]}`, `""`: ``,
	} {
		table, err := sheets.Customers("properties.k")
		require.NoError(t, err)
		require.Equal(t, []string{"properties"}, table.Fields)
		customer := customers.Customer{Customer: db.Customer{Properties: fmt.Appendf(nil, `{"k": %s, "l": 1}`, value)}}
		var cells sheets.Cells
		table.Fill(&cells, &customer)
		require.Equal(t, 1, cells.Len())
		require.Equal(t, expected, string(cells.At(0)), value)
	}
}
