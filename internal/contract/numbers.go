package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/rawjson"
)

// integerFault judges a whole number as it is written; nil when it is one of the schema. The schema's validator sees all
// numbers as floats: it lets 1e3 and 5.0 pass, which the decoder refuses, and has several faults for one that is far too large.
func integerFault(schema *openapi3.Schema, text string) *fault.Field {
	if !literals[openapi3.TypeInteger].form.MatchString(text) {
		return &fault.Field{Code: codes["type"], Message: literals[openapi3.TypeInteger].message}
	}
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	if schema.Format == "int32" {
		least, most = math.MinInt32, math.MaxInt32
	}
	if schema.Min != nil {
		least = max(least, int64(*schema.Min))
	}
	if schema.Max != nil {
		most = min(most, int64(*schema.Max))
	}
	number, err := strconv.ParseInt(text, 10, 64)
	beyond := errors.Is(err, strconv.ErrRange)
	switch negative := strings.HasPrefix(text, "-"); {
	case beyond && negative, number < least:
		return &fault.Field{Code: codes["minimum"], Message: fmt.Sprintf("must be at least %d", least)}
	case beyond, number > most:
		return &fault.Field{Code: codes["maximum"], Message: fmt.Sprintf("must be at most %d", most)}
	}
	return nil
}

// integerFaults finds what is wrong with the whole numbers of a value, by the places where the schema has them.
func integerFaults(schema *openapi3.Schema, value any, steps ...string) (faults []fault.Field) {
	below := func(ref *openapi3.SchemaRef, value any, step string) {
		if _, isText := value.(string); ref != nil && !isText { // of which there are the most
			faults = append(faults, integerFaults(ref.Value, value, append(slices.Clip(steps), step)...)...)
		}
	}
	switch given := value.(type) {
	case json.Number:
		if schema.Type.Is(openapi3.TypeInteger) {
			if one := integerFault(schema, given.String()); one != nil {
				one.Pointer = rawjson.Pointer(steps...)
				faults = append(faults, *one)
			}
		}
	case []any:
		for i, item := range given {
			below(schema.Items, item, strconv.Itoa(i))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(given)) {
			member := given[name]
			if property := schema.Properties[name]; property != nil {
				below(property, member, name)
			} else {
				below(schema.AdditionalProperties.Schema, member, name)
			}
		}
	}
	return faults
}

// withNumbers adds the faults that the schema's validator has found to those of the text, and tells of each number once: as
// the text has it, else as a whole number, else as the validator has it.
func withNumbers(found, integers, others []fault.Field) []fault.Field {
	told := map[string]bool{} // by the place of the number
	for _, one := range found {
		if one.Code == "number_too_long" {
			told[one.Pointer] = true
		}
	}
	wrong := map[string]fault.Field{}
	for _, one := range integers {
		wrong[one.Pointer] = one
	}
	for _, one := range slices.Concat(others, integers) { // in the order of the validator, as far as it has them
		if told[one.Pointer] {
			continue
		}
		if integer, isInteger := wrong[one.Pointer]; isInteger {
			one, told[one.Pointer] = integer, true
		}
		found = append(found, one)
	}
	return found
}

// plain writes a bound as people write numbers.
func plain(bound float64) string { return strconv.FormatFloat(bound, 'f', -1, 64) }

// counted tells of how many there are.
func counted(count uint64, noun string) string {
	if count == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", count, noun)
}
