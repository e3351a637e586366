package sheets

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/rawjson"
)

// Domains is the table of domains. Its columns are fixed: people have files with these names.
func Domains() Table[domains.Named] {
	return Table[domains.Named]{
		Header: []string{
			"Host", "HTTP Ports", "Scheme", "Customer Name", "Origin", "Origin Port", "Cache Configuration", "Redirection",
			"SSL Expiry Date", "TLS Protocol", "WAF Configuration",
		},
		Cells: func(cells []string, d domains.Named) []string {
			return append(cells, d.Host, numbers(d.HttpPorts), d.Scheme, d.CustomerName, text(d.Origin), number(d.OriginPort),
				rawjson.Compact(d.CacheConfiguration), rawjson.Compact(d.Redirection), moment(d.SslExpiresAt), text(d.TlsProtocol),
				rawjson.Compact(d.WafConfiguration))
		},
	}
}

type customerColumn struct {
	name string
	cell func(customers.Customer) string
}

// customerColumns are the fields of a customer in the order in which they stand when nothing is said, by the names that
// the contract gives them.
func customerColumns() []customerColumn {
	return []customerColumn{
		{"id", func(c customers.Customer) string { return c.ID.String() }},
		{"name", func(c customers.Customer) string { return c.Name }},
		{"email", func(c customers.Customer) string { return text(c.Email) }},
		{"phone", func(c customers.Customer) string { return text(c.Phone) }},
		{"company", func(c customers.Customer) string { return text(c.Company) }},
		{"address", func(c customers.Customer) string { return text(c.Address) }},
		{"comments", func(c customers.Customer) string { return text(c.Comments) }},
		{"modules", func(c customers.Customer) string { return list(c.Modules) }},
		{"parent_id", func(c customers.Customer) string { return id(c.ParentID) }},
		{"external_id", func(c customers.Customer) string { return text(c.ExternalID) }},
		{"locale", func(c customers.Customer) string { return c.Locale }},
		{"status", func(c customers.Customer) string { return c.Status }},
		{"invited_at", func(c customers.Customer) string { return moment(c.InvitedAt) }},
		{"last_activity_at", func(c customers.Customer) string { return moment(c.LastActivityAt) }},
		{"terms", terms},
		{"allowed_actions", actions},
		{"version", func(c customers.Customer) string { return strconv.FormatInt(c.Version, 10) }},
		{"created_at", func(c customers.Customer) string { return moment(&c.CreatedAt) }},
		{"updated_at", func(c customers.Customer) string { return moment(&c.UpdatedAt) }},
	}
}

// propertyPrefix begins the name of a column that is a property.
const propertyPrefix = "properties."

// Customers is the table of customers with the named columns, which are written as a line of CSV; with "" all fields but
// the properties. A name that is none is a fault of the parameter columns.
func Customers(names string) (Table[customers.Customer], error) {
	known := customerColumns()
	table := Table[customers.Customer]{}
	if names == "" {
		for _, column := range known {
			table.Header = append(table.Header, column.name)
		}
	} else {
		line := csv.NewReader(strings.NewReader(names))
		header, err := line.Read()
		if err != nil || line.InputOffset() != int64(len(names)) {
			return table, columnFault("invalid_format", "must be names with commas between them")
		}
		table.Header = header
	}
	columns := make([]func(customers.Customer, map[string]json.RawMessage) string, len(table.Header))
	hasProperties := false
	for i, name := range table.Header {
		if slices.Index(table.Header, name) != i {
			return table, columnFault("repeated_item", fmt.Sprintf("has %q twice", name))
		}
		at := slices.IndexFunc(known, func(c customerColumn) bool { return c.name == name })
		key, isProperty := strings.CutPrefix(name, propertyPrefix)
		switch {
		case at >= 0:
			columns[i] = func(c customers.Customer, _ map[string]json.RawMessage) string { return known[at].cell(c) }
		case isProperty && key != "":
			hasProperties = true
			columns[i] = func(_ customers.Customer, p map[string]json.RawMessage) string { return customers.PropertyText(p[key]) }
		default:
			return table, columnFault("unknown_value",
				fmt.Sprintf("%q is neither a field that can be a column nor properties.<key>", name))
		}
	}
	table.Cells = func(cells []string, c customers.Customer) []string {
		var properties map[string]json.RawMessage
		if hasProperties {
			_ = json.Unmarshal(c.Properties, &properties) // an object, by the database's own word
		}
		for _, cell := range columns {
			cells = append(cells, cell(c, properties))
		}
		return cells
	}
	return table, nil
}

func columnFault(code, message string) error {
	return fault.InvalidRequest(fault.Field{Parameter: "columns", Code: code, Message: message})
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

func number(value *int32) string {
	if value == nil {
		return ""
	}
	return strconv.Itoa(int(*value))
}

func id(value *uuid.UUID) string {
	if value == nil {
		return ""
	}
	return value.String()
}

// moment is written as the API does, so that nothing of it is lost.
func moment(value *time.Time) string {
	if value == nil {
		return ""
	}
	return value.UTC().Format(time.RFC3339Nano)
}

func numbers(values []int32) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = strconv.Itoa(int(value))
	}
	return strings.Join(texts, ", ")
}

// list puts texts into a cell: with commas between them, or as JSON where that could not be told apart again.
func list(values []string) string {
	plain := !slices.ContainsFunc(values, func(value string) bool {
		return strings.Contains(value, ",") || strings.TrimSpace(value) != value
	}) && (len(values) == 0 || !strings.HasPrefix(values[0], "["))
	if plain {
		return strings.Join(values, ", ")
	}
	return encoded(values)
}

func actions(c customers.Customer) string {
	var names []string
	for _, action := range customers.AllowedActions(c.Status) {
		names = append(names, string(action))
	}
	return list(names)
}

func terms(c customers.Customer) string {
	if c.TermsVersion == nil || c.TermsAcceptedAt == nil {
		return ""
	}
	return encoded(struct {
		Version    int32     `json:"version"`
		AcceptedAt time.Time `json:"accepted_at"`
	}{*c.TermsVersion, *c.TermsAcceptedAt})
}

func encoded(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // texts, numbers and times
	return strings.TrimSuffix(text.String(), "\n")
}
