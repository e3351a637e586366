package imports

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/clientele-api/clientele/internal/csvfile"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/rawjson"
	"github.com/clientele-api/clientele/internal/sheets"
)

// column is what a column of a file is.
type column struct {
	header   string
	field    sheets.Field
	property string // the key, where the column is a property
	passed   bool   // over
}

// moves tells whether the column may give a customer another parent.
func (c column) moves() bool { return c.field.Name == "parent_id" && !c.passed }

const (
	// propertyPrefix begins the name of a column that is a property.
	propertyPrefix = "properties."
	// passedOver is the field of a column that is not to be read.
	passedOver = "-"
)

// ParseColumns reads the names of columns, which are written as a line of CSV.
func ParseColumns(text string) ([]string, error) {
	line := csvfile.NewReader(strings.NewReader(text), ',', 0, 1)
	record, err := line.Read()
	if err != nil || record.Fault != nil || line.Offset() != int64(len(text)) {
		return nil, errors.New("must be names with commas between them")
	}
	return slices.Clone(record.Cells), nil
}

// columns finds out what the columns of a file are, and what is wrong with its headers.
func (r *runner[Row]) columns(headers []string, mapped map[string]string) ([]column, []operations.Fault) {
	var faults []operations.Fault
	refuse := func(fault operations.Fault) { faults = append(faults, fault) }
	for one := range mapped {
		for other := range mapped {
			if one < other && sameHeader(one, other) {
				refuse(operations.Fault{Column: other, Code: "repeated_column", Message: "is named twice by map"})
			}
		}
	}
	columns := make([]column, len(headers))
	met := map[string]bool{}
	for i, header := range headers {
		name := header
		for said, field := range mapped {
			if sameHeader(said, header) {
				name = field
			}
		}
		found, known := r.column(name)
		found.header = header
		columns[i] = found
		target := found.field.Name + "\x00" + found.property
		switch {
		case !known && name != header:
			refuse(operations.Fault{
				Column: header, Code: "unknown_column", Message: "is to be " + name + ", which is no field",
			})
		case !known:
			refuse(operations.Fault{
				Column: header, Code: "unknown_column",
				Message: "is no field: name it with map[" + header + "]=field, or pass it over with map[" + header + "]=-",
			})
		case !found.passed && (met[target] || found.property != "" && met["properties\x00"]):
			refuse(operations.Fault{
				Column: header, Code: "repeated_column", Message: "is of a field that another column is of, too",
			})
		case !found.passed:
			met[target] = true
		}
	}
	for header := range mapped {
		if !slices.ContainsFunc(headers, func(one string) bool { return sameHeader(one, header) }) {
			refuse(operations.Fault{
				Column: header, Code: "missing_column", Message: "is not in the file, though map names it",
			})
		}
	}
	if r.required != "" && len(faults) == 0 && !met[r.required+"\x00"] {
		refuse(operations.Fault{Column: r.required, Code: "missing_column", Message: "is not in the file"})
	}
	return columns, faults
}

// sameHeader tells whether two headers are the same, whatever their case and the spaces around them.
func sameHeader(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// column finds the column that a header, or the field that it is mapped to, means.
func (r *runner[Row]) column(name string) (column, bool) {
	name = strings.TrimSpace(name)
	if name == passedOver || sheets.IsRefusalColumn(name) {
		return column{passed: true}, true
	}
	if length := len(propertyPrefix); r.hasProperties && len(name) > length && strings.EqualFold(name[:length], propertyPrefix) {
		return column{property: name[length:]}, true
	}
	field, found := r.fields.Find(name)
	return column{field: field, passed: !field.IsRead()}, found
}

// body makes the JSON of a row from its cells, and tells what is wrong with those of which none can be made.
func body(columns []column, cells []string) (json.RawMessage, []operations.Fault) {
	var faults []operations.Fault
	text, properties := []byte("{"), []byte(nil)
	member := func(into []byte, name string, value json.RawMessage) []byte {
		if len(into) > 1 {
			into = append(into, ',')
		}
		quoted, _ := json.Marshal(name) // a text
		return append(append(append(into, quoted...), ':'), value...)
	}
	for i, cell := range cells {
		of := columns[i]
		cell = sheets.Rearm(cell)
		switch {
		case of.passed:
		case of.property != "":
			if properties == nil {
				properties = []byte("{")
			}
			properties = member(properties, of.property, sheets.Property(cell))
		default:
			value, wrong := of.field.JSON(cell)
			if wrong != nil {
				faults = append(faults, operations.Fault{Column: of.header, Code: wrong.Code, Message: wrong.Message})
				continue
			}
			text = member(text, of.field.Name, value)
		}
	}
	if properties != nil {
		text = member(text, "properties", append(properties, '}'))
	}
	return append(text, '}'), faults
}

// placed says of faults of a row's JSON which column each is of. Lines of JSON have members, which are called by their
// pointers.
func placed(columns []column, faults []fault.Field) []operations.Fault {
	found := make([]operations.Fault, len(faults))
	for i, one := range faults {
		found[i] = operations.Fault{Column: columnAt(columns, one.Pointer), Code: one.Code, Message: one.Message}
	}
	return found
}

func columnAt(columns []column, pointer string) string {
	for _, of := range columns {
		at := rawjson.Pointer(of.field.Name)
		if of.property != "" {
			at = rawjson.Pointer("properties", of.property)
		}
		if !of.passed && (pointer == at || strings.HasPrefix(pointer, at+"/")) {
			return of.header
		}
	}
	if columns == nil {
		return pointer
	}
	return strings.TrimPrefix(pointer, "/")
}
