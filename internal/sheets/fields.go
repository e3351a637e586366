package sheets

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clientele-api/clientele/internal/fault"
)

// form is how the values of a field are written in cells.
type form int

const (
	asText form = iota
	asList
	asNumbers
	asNumber
	asMoment
	asObject
	notRead // what a file may have and nobody can write
)

// Field is a field of a resource as the column of a file.
type Field struct {
	Name  string // that the contract gives it
	form  form
	empty string // what an empty cell means, as JSON: null, or the value that stands for nothing said
}

// IsRead tells whether the field can be written; the cells of one that cannot are passed over.
func (f Field) IsRead() bool { return f.form != notRead }

// Fields are the fields of a resource.
type Fields struct {
	fields  []Field
	aliases map[string]string // other names, as simplified, of fields
}

// CustomerFields are the fields of a customer, but for single properties.
func CustomerFields() Fields {
	fields := []Field{
		{"id", asText, "null"}, {"name", asText, ""}, {"email", asText, "null"}, {"phone", asText, "null"},
		{"company", asText, "null"}, {"address", asText, "null"}, {"comments", asText, "null"}, {"modules", asList, "null"},
		{"properties", asObject, "null"}, {"parent_id", asText, "null"}, {"external_id", asText, "null"},
		{"locale", asText, `"en"`},
	}
	for _, column := range customerColumns() {
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == column.name }) {
			fields = append(fields, Field{Name: column.name, form: notRead})
		}
	}
	return Fields{fields: fields}
}

// DomainFields are the fields of a domain.
func DomainFields() Fields {
	return Fields{
		fields: []Field{
			{"host", asText, ""}, {"http_ports", asNumbers, "[80]"}, {"scheme", asText, `"https"`}, {"origin", asText, "null"},
			{"origin_port", asNumber, "null"}, {"cache_configuration", asObject, "null"}, {"redirection", asObject, "null"},
			{"ssl_expires_at", asMoment, "null"}, {"tls_protocol", asText, "null"}, {"waf_configuration", asObject, "null"},
			{"id", notRead, ""}, {"customer_id", notRead, ""}, {"customer_name", notRead, ""}, {"host_unicode", notRead, ""},
			{"restored_at", notRead, ""}, {"version", notRead, ""}, {"created_at", notRead, ""}, {"updated_at", notRead, ""},
		},
		aliases: map[string]string{"ssl_expiry_date": "ssl_expires_at"},
	}
}

// Find finds the field that a column is of by its header: the field's name, or what the export calls it, whatever the case
// and the spaces.
func (f Fields) Find(header string) (Field, bool) {
	name := simplified(header)
	if alias, found := f.aliases[name]; found {
		name = alias
	}
	at := slices.IndexFunc(f.fields, func(field Field) bool { return field.Name == name })
	if at < 0 {
		return Field{}, false
	}
	return f.fields[at], true
}

var notInNames = regexp.MustCompile(`[\s_-]+`)

func simplified(header string) string {
	return strings.ToLower(notInNames.ReplaceAllString(strings.TrimSpace(header), "_"))
}

// JSON gives what a cell says as JSON, or what is wrong with it. Whether that is right for the field the contract says.
func (f Field) JSON(cell string) (json.RawMessage, *fault.Field) {
	if strings.TrimSpace(cell) == "" && f.form != asText || cell == "" {
		if f.empty == "" {
			return nil, &fault.Field{Code: "required", Message: "must not be empty"}
		}
		return json.RawMessage(f.empty), nil
	}
	switch f.form {
	case asList:
		return listJSON(cell)
	case asNumbers:
		return numbersJSON(cell)
	case asNumber:
		number := strings.TrimSpace(cell)
		if !wholeNumber.MatchString(number) {
			return nil, &fault.Field{Code: "invalid_type", Message: "must be a whole number"}
		}
		return json.RawMessage(number), nil
	case asMoment:
		return quoted(momentOf(strings.TrimSpace(cell))), nil
	case asObject:
		if object := strings.TrimSpace(cell); json.Valid([]byte(object)) {
			return json.RawMessage(object), nil
		}
		return nil, &fault.Field{Code: "invalid_json", Message: `must be a JSON object such as {"mode":"log"}`}
	}
	return quoted(cell), nil
}

// wholeNumber is how JSON writes one, in as many digits as a port needs.
var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,9})$`)

func numbersJSON(cell string) (json.RawMessage, *fault.Field) {
	list := []byte("[")
	for number := range strings.FieldsFuncSeq(cell, func(r rune) bool { return strings.ContainsRune(",; \t\n", r) }) {
		if !wholeNumber.MatchString(number) {
			return nil, &fault.Field{Code: "invalid_type", Message: "must be whole numbers with commas between"}
		}
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = append(list, number...)
	}
	return append(list, ']'), nil
}

// listJSON reads what list wrote: texts with commas between them, or JSON.
func listJSON(cell string) (json.RawMessage, *fault.Field) {
	if strings.HasPrefix(cell, "[") {
		if json.Valid([]byte(cell)) {
			return json.RawMessage(cell), nil
		}
		return nil, &fault.Field{Code: "invalid_json", Message: `must be texts with commas between, or JSON such as ["a, b","c"]`}
	}
	var items []string
	for item := range strings.SplitSeq(cell, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	encoded, _ := json.Marshal(items) // texts
	return encoded, nil
}

// momentForms are how spreadsheets write moments that they took for such; what they leave out is midnight in UTC.
var momentForms = []string{time.DateOnly, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"}

// momentOf writes a moment as the API does. A text that is none stays as it is.
func momentOf(cell string) string {
	for _, form := range momentForms {
		if moment, err := time.Parse(form, cell); err == nil {
			return moment.Format(time.RFC3339)
		}
	}
	return cell
}

func quoted(value string) json.RawMessage {
	encoded, _ := json.Marshal(value) // a text
	return encoded
}

// Property gives what the cell of a property says as JSON: a text, or null where it is empty.
func Property(cell string) json.RawMessage {
	if cell == "" {
		return json.RawMessage("null")
	}
	return quoted(cell)
}
