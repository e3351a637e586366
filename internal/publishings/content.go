package publishings

import (
	"bytes"
	"encoding/json"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/fault"
)

// maxContentBytes is how large a content is, also one that a merge has made.
const maxContentBytes = 256 * 1024

// setContent gives a publishing a content, which is valid JSON, and what it is found by. White space between values is
// not kept; everything else is, as it is written.
func setContent(publishing *db.Publishing, content json.RawMessage) error {
	var compact bytes.Buffer
	compact.Grow(len(content))
	if err := json.Compact(&compact, content); err != nil {
		return err
	}
	if compact.Len() > maxContentBytes {
		return fault.InvalidBody(fault.Field{Pointer: "/content", Code: "too_large", Message: "would have more than 256 KiB"})
	}
	publishing.Content, publishing.SizeBytes = compact.Bytes(), int32(compact.Len())
	publishing.Marks = marks(publishing.CustomerID, publishing.Content)
	return nil
}
