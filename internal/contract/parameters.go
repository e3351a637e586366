package contract

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/clientele-api/clientele/internal/fault"
)

// maxUnreadable is how many parameters that cannot be decoded are listed.
const maxUnreadable = 100

// readQuery gives the parameters of a query that can be decoded, and the faults of those that cannot.
func readQuery(raw string) (url.Values, []fault.Field) {
	query, err := url.ParseQuery(raw)
	if err == nil {
		return query, nil
	}
	var faults []fault.Field
	for part := range strings.SplitSeq(raw, "&") {
		if _, err := url.ParseQuery(part); err != nil && len(faults) < maxUnreadable {
			faults = append(faults, fault.Field{
				Parameter: undecoded(part), Code: "invalid_query", Message: "cannot be decoded",
			})
		}
	}
	if len(faults) == 0 { // each can be read, but there are more of them than net/url takes
		faults = []fault.Field{{Parameter: "query", Code: "invalid_query", Message: "has too many parameters"}}
	}
	return query, faults
}

// undecoded gives the name of a parameter that cannot be decoded, as far as it can.
func undecoded(part string) string {
	name, _, _ := strings.Cut(part, "=")
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	return shown(name)
}

// shown is what a parameter is called in a fault. One without a name goes by its equals sign, since a fault without a
// place would be one of the body.
func shown(name string) string {
	if name == "" {
		return "="
	}
	return name
}

// checkQueryNames finds parameters that the operation does not have, those that are there twice, and what no parameter
// may hold.
func (o *Operation) checkQueryNames(query url.Values) []fault.Field {
	var faults []fault.Field
	members := map[*openapi3.Parameter]uint64{}
	for name, values := range query {
		parameter := o.query[name]
		base, key, nested := strings.Cut(name, "[")
		isObject := parameter == nil && nested && strings.HasSuffix(key, "]")
		if isObject {
			parameter = o.query[base]
		}
		switch {
		case parameter != nil && !isObject && parameter.Style == "deepObject":
			faults = append(faults, fault.Field{
				Parameter: name, Code: "unknown_parameter", Message: fmt.Sprintf("must name a key, as in %s[key]=value", name),
			})
		case parameter == nil || isObject != (parameter.Style == "deepObject"):
			faults = append(faults, fault.Field{
				Parameter: shown(name), Code: "unknown_parameter", Message: "is not a parameter of this operation",
			})
		case len(values) > 1:
			faults = append(faults, fault.Field{Parameter: name, Code: "repeated", Message: "is there more than once"})
		case !isText(name) || !isText(values[0]):
			faults = append(faults, fault.Field{
				Parameter: base, Code: "invalid_text", Message: "must be UTF-8 without NUL characters",
			})
		case isObject:
			members[parameter]++
		}
	}
	for parameter, count := range members {
		if most := parameter.Schema.Value.MaxProps; most != nil && count > *most {
			faults = append(faults, fault.Field{
				Parameter: parameter.Name, Code: "too_many_members", Message: "must have at most " + counted(*most, "key"),
			})
		}
	}
	slices.SortFunc(faults, func(a, b fault.Field) int { return strings.Compare(a.Parameter, b.Parameter) })
	return faults
}

func isText(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// joinLines makes one line of a header that is there more than once, which means the same (RFC 9110, 5.3).
func joinLines(header http.Header, name string) {
	if lines := header.Values(name); len(lines) > 1 {
		header.Set(name, strings.Join(lines, ", "))
	}
}

// checkParameter gives the faults of a parameter's value.
func checkParameter(input *openapi3filter.RequestValidationInput, parameter *openapi3.Parameter) []fault.Field {
	if one := checkLiteral(input, parameter); one != nil {
		return placed(parameter, []fault.Field{*one})
	}
	if err := openapi3filter.ValidateParameter(input.Request.Context(), input, parameter); err != nil {
		return placed(parameter, parameterFaults(parameter, err))
	}
	return nil
}

// literal is how the values of a type are written.
type literal struct {
	form    *regexp.Regexp
	message string
}

// literals are the types that Go's parsers take in more forms than the contract means: t for true, +5 and 0x5 for 5, NaN.
var literals = map[string]literal{
	openapi3.TypeBoolean: {regexp.MustCompile(`^(true|false)$`), "must be true or false"},
	openapi3.TypeInteger: {regexp.MustCompile(`^-?[0-9]+$`), "must be a whole number, written in digits"},
	openapi3.TypeNumber:  {regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`), "must be a number"},
}

// checkLiteral finds a value that is not written as its type is, or a whole number out of bounds. An empty one is left to the schema.
func checkLiteral(input *openapi3filter.RequestValidationInput, parameter *openapi3.Parameter) *fault.Field {
	schema := parameter.Schema.Value
	expected, found := literals[strings.Join(schema.Type.Slice(), " ")]
	if !found {
		return nil
	}
	for _, value := range given(input, parameter) {
		if value != "" && !expected.form.MatchString(value) {
			return &fault.Field{Code: "invalid_type", Message: expected.message}
		}
		if value != "" && schema.Type.Is(openapi3.TypeInteger) {
			if one := integerFault(schema, value); one != nil {
				return one
			}
		}
	}
	return nil
}

// given gives a parameter's text, nothing when it is absent.
func given(input *openapi3filter.RequestValidationInput, parameter *openapi3.Parameter) []string {
	switch parameter.In {
	case openapi3.ParameterInQuery:
		return input.QueryParams[parameter.Name]
	case openapi3.ParameterInHeader:
		return input.Request.Header.Values(parameter.Name)
	case openapi3.ParameterInPath:
		return []string{input.PathParams[parameter.Name]}
	}
	return nil
}

func parameterFaults(parameter *openapi3.Parameter, err error) []fault.Field {
	var schemaErrors openapi3.MultiError
	var schemaError *openapi3.SchemaError
	if errors.As(err, &schemaErrors) || errors.As(err, &schemaError) {
		if found := schemaFaults(err); len(found) > 0 {
			return found
		}
	}
	code, message := "invalid_type", "cannot be read"
	switch {
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		code, message = "required", "is required"
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		code, message = "empty", "must not be empty"
	default:
		if types := parameter.Schema.Value.Type; types != nil {
			message = fmt.Sprintf("must be of type %s", strings.Join(types.Slice(), " or "))
		}
	}
	return []fault.Field{{Code: code, Message: message}}
}

// placed says of faults which parameter they are of.
func placed(parameter *openapi3.Parameter, faults []fault.Field) []fault.Field {
	for i := range faults {
		faults[i].Pointer = ""
		if parameter.In == openapi3.ParameterInHeader {
			faults[i].Header = parameter.Name
		} else {
			faults[i].Parameter = parameter.Name
		}
	}
	return faults
}
