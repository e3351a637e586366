package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/digests"
	"github.com/clientele-api/clientele/internal/email"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/filename"
	"github.com/clientele-api/clientele/internal/hostname"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/rawjson"
	"github.com/clientele-api/clientele/internal/weburl"
)

// formats are the formats of the contract that say more than JSON Schema can. Each is judged here, so that its faults
// come together with all others and with their place.
var formats = map[string]openapi3.StringFormatValidator{
	"email":               openapi3.NewCallbackValidator(email.Check),
	"host-name":           openapi3.NewCallbackValidator(hostname.Check),
	"origin":              openapi3.NewCallbackValidator(hostname.CheckOrigin),
	"network":             openapi3.NewCallbackValidator(access.CheckNetwork),
	"line":                openapi3.NewCallbackValidator(checkLine),
	"new-password":        openapi3.NewCallbackValidator(passwords.Check),
	"cursor":              openapi3.NewCallbackValidator(paging.CheckCursor),
	"event-type":          openapi3.NewCallbackValidator(events.CheckPattern),
	"event-types":         openapi3.NewCallbackValidator(events.CheckPatterns),
	"webhook-url":         openapi3.NewCallbackValidator(weburl.Check),
	"uuid":                openapi3.NewCallbackValidator(checkUUID),
	"date-time":           openapi3.NewCallbackValidator(checkMoment),
	"content-disposition": openapi3.NewCallbackValidator(filename.Check),
	"digests":             openapi3.NewCallbackValidator(digests.Check),
	"entity-tags": openapi3.NewCallbackValidator(func(text string) error {
		_, err := etag.Parse(text)
		return err
	}),
}

var schemaOptions = []openapi3.SchemaValidationOption{openapi3.WithStringFormatValidators(formats)}

var bodyOptions = slices.Concat(schemaOptions, []openapi3.SchemaValidationOption{
	openapi3.MultiErrors(), openapi3.VisitAsRequest(),
})

var filterOptions = &openapi3filter.Options{
	MultiError: true, SkipSettingDefaults: true, IncludeResponseStatus: true,
	SchemaValidationOptions: schemaOptions,
}

// checkLine takes one line of text with something on it.
func checkLine(text string) error {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("must be one line of text, without control characters")
	}
	if text != "" && strings.TrimSpace(text) == "" { // an empty one is too short
		return errors.New("must not be blank")
	}
	return nil
}

// checkUUID takes the one way to write an id that RFC 9562 has; the parser knows others.
func checkUUID(text string) error {
	if len(text) != len(uuid.Nil.String()) || uuid.Validate(text) != nil {
		return errors.New("must be a UUID")
	}
	return nil
}

// moment is how RFC 3339 writes a date and time. The parser takes more: commas, hours of one digit, zones a day away.
var moment = regexp.MustCompile(
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)

// checkMoment takes a day and time that there is, in the years 1 to 9999 both where it is written and in UTC: whatever is
// made of it can be written out again.
func checkMoment(text string) error {
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil || !moment.MatchString(text) {
		return errors.New("must be a date and time such as 2026-11-22T09:00:00Z")
	}
	for _, one := range []time.Time{parsed, parsed.UTC()} {
		if _, err := one.MarshalText(); err != nil || one.Year() < 1 {
			return errors.New("must be in the years 1 to 9999")
		}
	}
	return nil
}

// schemaFaults turns what the schema's validator says into faults, each with its place. Of a text that is empty where it
// must not be it tells that alone: what form it has not follows from it.
func schemaFaults(err error) []fault.Field {
	if err == nil {
		return nil
	}
	var faults []fault.Field
	var empty *openapi3.SchemaError // the last of such texts
	for _, leaf := range leaves(err) {
		var one *openapi3.SchemaError
		if !errors.As(leaf, &one) {
			faults = append(faults, fault.Field{Code: "invalid", Message: "is not valid"})
			continue
		}
		switch one.SchemaField {
		case "minLength":
			if one.Value == "" {
				empty = one
			}
		case "pattern", "format":
			if empty != nil && empty.Schema == one.Schema && slices.Equal(empty.JSONPointer(), one.JSONPointer()) {
				continue
			}
		}
		faults = append(faults, schemaFault(one))
	}
	return faults
}

// leaves gives the single errors that an error of the validator is made of.
func leaves(err error) []error {
	var many openapi3.MultiError
	if !errors.As(err, &many) {
		return []error{err}
	}
	var all []error
	for _, one := range many {
		all = append(all, leaves(one)...)
	}
	return all
}

// codes says for each keyword of JSON Schema what its violation is called.
var codes = map[string]string{
	"required": "required", "type": "invalid_type", "nullable": "not_nullable", "enum": "unknown_value",
	"minLength": "too_short", "maxLength": "too_long", "pattern": "invalid_format", "format": "invalid_format",
	"minimum": "too_small", "maximum": "too_large", "minItems": "too_few_items", "maxItems": "too_many_items",
	"uniqueItems": "repeated_item", "minProperties": "too_few_members", "maxProperties": "too_many_members",
}

// formatCodes are the formats whose violation has a name of its own.
var formatCodes = map[string]string{"cursor": "invalid_cursor", "new-password": "weak_password", "email": "invalid_email"}

// isForm tells whether a code is of the form of a text.
func isForm(code string) bool {
	return code == codes["format"] || slices.Contains(slices.Collect(maps.Values(formatCodes)), code)
}

func schemaFault(err *openapi3.SchemaError) fault.Field {
	steps := err.JSONPointer()
	if unknown, found := strings.CutSuffix(err.Reason, " is unsupported"); found && err.SchemaField == "properties" {
		if name, unquoteErr := strconv.Unquote(strings.TrimPrefix(unknown, "property ")); unquoteErr == nil {
			steps = append(steps, name)
		}
		return fault.Field{Pointer: rawjson.Pointer(steps...), Code: "unknown_member", Message: "is not known here"}
	}
	violated := violation(err)
	code, known := codes[violated]
	if !known {
		code = "invalid"
	}
	if violated == "format" && formatCodes[err.Schema.Format] != "" {
		code = formatCodes[err.Schema.Format]
	}
	return fault.Field{Pointer: rawjson.Pointer(steps...), Code: code, Message: schemaMessage(err, violated)}
}

// violation gives the keyword that a value violates. The validator looks at the enum before the type, though a value of
// another type is one that no enum would have.
func violation(err *openapi3.SchemaError) string {
	if err.SchemaField != "enum" || err.Schema.Type == nil {
		return err.SchemaField
	}
	var is string
	switch err.Value.(type) {
	case nil:
		return "nullable"
	case bool:
		is = openapi3.TypeBoolean
	case string:
		is = openapi3.TypeString
	case json.Number:
		is = openapi3.TypeInteger // and so a number, too
	case []any:
		is = openapi3.TypeArray
	case map[string]any:
		is = openapi3.TypeObject
	}
	if is == "" || err.Schema.Type.Permits(is) || is == openapi3.TypeInteger && err.Schema.Type.Permits(openapi3.TypeNumber) {
		return err.SchemaField
	}
	return "type"
}

func schemaMessage(err *openapi3.SchemaError, violated string) string {
	schema := err.Schema
	switch violated {
	case "required":
		return "is required"
	case "type":
		return fmt.Sprintf("must be of type %s", strings.Join(schema.Type.Slice(), " or "))
	case "nullable":
		return "must not be null"
	case "enum":
		var values []string
		for _, value := range schema.Enum {
			if value != nil { // which stands for nothing said
				values = append(values, fmt.Sprint(value))
			}
		}
		return "must be one of " + strings.Join(values, ", ")
	case "minLength":
		if schema.MinLength == 1 {
			return "must not be empty"
		}
		return "must have at least " + counted(schema.MinLength, "character")
	case "maxLength":
		return "must have at most " + counted(*schema.MaxLength, "character")
	case "minimum":
		return "must be at least " + plain(*schema.Min)
	case "maximum":
		return "must be at most " + plain(*schema.Max)
	case "minItems":
		return "must have at least " + counted(schema.MinItems, "item")
	case "maxItems":
		return "must have at most " + counted(*schema.MaxItems, "item")
	case "uniqueItems":
		return "must not have an item twice"
	case "minProperties":
		return "must have at least " + counted(schema.MinProps, "key")
	case "maxProperties":
		return "must have at most " + counted(*schema.MaxProps, "key")
	case "pattern":
		return patternMessage(schema)
	case "format":
		if err.Origin != nil {
			if cause := errors.Unwrap(err.Origin); cause != nil {
				return cause.Error()
			}
			return err.Origin.Error()
		}
		return fmt.Sprintf("must be a %s", schema.Format)
	}
	return "is not valid"
}

// patternMessage says what a pattern is for: in the words of the schema's x-pattern-message, where there are any.
func patternMessage(schema *openapi3.Schema) string {
	message, given := schema.Extensions["x-pattern-message"].(string)
	switch {
	case given:
		return message
	case schema.Pattern == `\S`:
		return "must not be blank"
	}
	return "must match " + schema.Pattern
}
