package customers

import (
	"encoding/json"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/rawjson"
)

// The limits of a customer's properties.
const (
	maxPropertiesBytes = 64 * 1024
	maxPropertiesKeys  = 200
	maxPropertiesDepth = 8
)

// PatchProperties merges a patch into the properties (RFC 7396) and refuses an outcome beyond the limits.
func PatchProperties(properties, patch json.RawMessage) (json.RawMessage, error) {
	merged, err := jsonpatch.MergePatch(properties, patch)
	if err != nil {
		return nil, fmt.Errorf("merging properties: %w", err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(merged, &keys); err != nil {
		return nil, fmt.Errorf("reading merged properties: %w", err)
	}
	problem := ""
	switch {
	case len(merged) > maxPropertiesBytes:
		problem = "would have more than 64 KiB"
	case len(keys) > maxPropertiesKeys:
		problem = "would have more than 200 keys"
	case rawjson.Depth(merged) > maxPropertiesDepth:
		problem = "would be deeper than 8 levels"
	}
	if problem != "" {
		return nil, fault.InvalidBody(fault.Field{Pointer: "/properties", Code: "too_large", Message: problem})
	}
	return merged, nil
}
