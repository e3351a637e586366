package listing

import (
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
)

// Search narrows a list to rows that have a text in their column search_text. One that is nothing but accents finds nothing.
func Search(where *postgres.Where, text string) {
	if pattern, some := textfold.Pattern(text); some {
		where.AndSearch("search_text LIKE " + where.Arg(pattern))
	} else {
		where.And("false")
	}
}
