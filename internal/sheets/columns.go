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
)

// column is a column of a table: its name, what of a row it is made of, and its cell in a row, as text behind the text that
// is there.
type column[Row any] struct {
	name   string
	fields []string
	cell   func(text []byte, row *Row) []byte
}

// Domains is the table of domains. Its columns are fixed: people have files with these names.
func Domains() Table[domains.Named] {
	type row = domains.Named
	columns := []column[row]{
		{"Host", of("host"), func(t []byte, d *row) []byte { return append(t, d.Host...) }},
		{"HTTP Ports", of("http_ports"), func(t []byte, d *row) []byte { return numbers(t, d.HttpPorts) }},
		{"Scheme", of("scheme"), func(t []byte, d *row) []byte { return append(t, d.Scheme...) }},
		{"Customer Name", of("customer_name"), func(t []byte, d *row) []byte { return append(t, d.CustomerName...) }},
		{"Origin", of("origin"), func(t []byte, d *row) []byte { return text(t, d.Origin) }},
		{"Origin Port", of("origin_port"), func(t []byte, d *row) []byte { return number(t, d.OriginPort) }},
		{"Cache Configuration", of("cache_configuration"), func(t []byte, d *row) []byte { return compact(t, d.CacheConfiguration) }},
		{"Redirection", of("redirection"), func(t []byte, d *row) []byte { return compact(t, d.Redirection) }},
		{"SSL Expiry Date", of("ssl_expires_at"), func(t []byte, d *row) []byte { return moment(t, d.SslExpiresAt) }},
		{"TLS Protocol", of("tls_protocol"), func(t []byte, d *row) []byte { return text(t, d.TlsProtocol) }},
		{"WAF Configuration", of("waf_configuration"), func(t []byte, d *row) []byte { return compact(t, d.WafConfiguration) }},
	}
	table := Table[row]{cells: func(cells *Cells, d *row) {
		for _, column := range columns {
			cells.end(column.cell(cells.text, d))
		}
	}}
	for _, column := range columns {
		table.Header = append(table.Header, column.name)
		table.Fields = append(table.Fields, column.fields...)
	}
	return table
}

func of(fields ...string) []string { return fields }

// customerColumns are the fields of a customer in the order in which they stand when nothing is said, by the names that
// the contract gives them.
func customerColumns() []column[customers.Customer] {
	type row = customers.Customer
	return []column[row]{
		{"id", of("id"), func(t []byte, c *row) []byte { return id(t, &c.ID) }},
		{"name", of("name"), func(t []byte, c *row) []byte { return append(t, c.Name...) }},
		{"email", of("email"), func(t []byte, c *row) []byte { return text(t, c.Email) }},
		{"phone", of("phone"), func(t []byte, c *row) []byte { return text(t, c.Phone) }},
		{"company", of("company"), func(t []byte, c *row) []byte { return text(t, c.Company) }},
		{"address", of("address"), func(t []byte, c *row) []byte { return text(t, c.Address) }},
		{"comments", of("comments"), func(t []byte, c *row) []byte { return text(t, c.Comments) }},
		{"modules", of("modules"), func(t []byte, c *row) []byte { return list(t, c.Modules) }},
		{"parent_id", of("parent_id"), func(t []byte, c *row) []byte { return id(t, c.ParentID) }},
		{"external_id", of("external_id"), func(t []byte, c *row) []byte { return text(t, c.ExternalID) }},
		{"locale", of("locale"), func(t []byte, c *row) []byte { return append(t, c.Locale...) }},
		{"status", of("status"), func(t []byte, c *row) []byte { return append(t, c.Status...) }},
		{"invited_at", of("invited_at"), func(t []byte, c *row) []byte { return moment(t, c.InvitedAt) }},
		{"last_activity_at", of("last_activity_at"), func(t []byte, c *row) []byte { return moment(t, c.LastActivityAt) }},
		{"terms", of("terms_version", "terms_accepted_at"), terms},
		{"allowed_actions", of("status"), actions},
		{"restored_at", of("restored_at"), func(t []byte, c *row) []byte { return moment(t, c.RestoredAt) }},
		{"version", of("version"), func(t []byte, c *row) []byte { return strconv.AppendInt(t, c.Version, 10) }},
		{"created_at", of("created_at"), func(t []byte, c *row) []byte { return moment(t, &c.CreatedAt) }},
		{"updated_at", of("updated_at"), func(t []byte, c *row) []byte { return moment(t, &c.UpdatedAt) }},
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
	columns := make([]func([]byte, *customers.Customer, map[string]json.RawMessage) []byte, len(table.Header))
	hasProperties := false
	for i, name := range table.Header {
		if slices.Index(table.Header, name) != i {
			return table, columnFault("repeated_item", fmt.Sprintf("has %q twice", name))
		}
		at := slices.IndexFunc(known, func(c column[customers.Customer]) bool { return c.name == name })
		key, isProperty := strings.CutPrefix(name, propertyPrefix)
		switch {
		case at >= 0:
			table.Fields = append(table.Fields, known[at].fields...)
			columns[i] = func(text []byte, c *customers.Customer, _ map[string]json.RawMessage) []byte {
				return known[at].cell(text, c)
			}
		case isProperty && key != "":
			hasProperties = true
			columns[i] = func(text []byte, _ *customers.Customer, p map[string]json.RawMessage) []byte {
				return append(text, customers.PropertyText(p[key])...)
			}
		default:
			return table, columnFault("unknown_value",
				fmt.Sprintf("%q is neither a field that can be a column nor properties.<key>", name))
		}
	}
	if hasProperties {
		table.Fields = append(table.Fields, "properties")
	}
	table.cells = func(cells *Cells, c *customers.Customer) {
		var properties map[string]json.RawMessage
		if hasProperties {
			_ = json.Unmarshal(c.Properties, &properties) // an object, by the database's own word
		}
		for _, cell := range columns {
			cells.end(cell(cells.text, c, properties))
		}
	}
	return table, nil
}

func columnFault(code, message string) error {
	return fault.InvalidRequest(fault.Field{Parameter: "columns", Code: code, Message: message})
}

func text(cell []byte, value *string) []byte {
	if value == nil {
		return cell
	}
	return append(cell, *value...)
}

func number(cell []byte, value *int32) []byte {
	if value == nil {
		return cell
	}
	return strconv.AppendInt(cell, int64(*value), 10)
}

func id(cell []byte, value *uuid.UUID) []byte {
	if value == nil {
		return cell
	}
	return append(cell, value.String()...)
}

// moment is written as the API does, so that nothing of it is lost.
func moment(cell []byte, value *time.Time) []byte {
	if value == nil {
		return cell
	}
	return value.UTC().AppendFormat(cell, time.RFC3339Nano)
}

func numbers(cell []byte, values []int32) []byte {
	for i, value := range values {
		if i > 0 {
			cell = append(cell, ", "...)
		}
		cell = strconv.AppendInt(cell, int64(value), 10)
	}
	return cell
}

// list puts texts into a cell: with commas between them, or as JSON where that could not be told apart again.
func list(cell []byte, values []string) []byte {
	plain := !slices.ContainsFunc(values, func(value string) bool {
		return strings.Contains(value, ",") || strings.TrimSpace(value) != value
	}) && (len(values) == 0 || !strings.HasPrefix(values[0], "["))
	if !plain {
		return encoded(cell, values)
	}
	return joined(cell, values)
}

func joined[Text ~string](cell []byte, values []Text) []byte {
	for i, value := range values {
		if i > 0 {
			cell = append(cell, ", "...)
		}
		cell = append(cell, value...)
	}
	return cell
}

func actions(cell []byte, c *customers.Customer) []byte {
	return joined(cell, customers.AllowedActions(c.Status))
}

func terms(cell []byte, c *customers.Customer) []byte {
	if c.TermsVersion == nil || c.TermsAcceptedAt == nil {
		return cell
	}
	return encoded(cell, struct {
		Version    int32     `json:"version"`
		AcceptedAt time.Time `json:"accepted_at"`
	}{*c.TermsVersion, *c.TermsAcceptedAt})
}

// compact is JSON without the space between its parts. That it is JSON is the database's word: unlike the library this
// does not check it, which would take longer than all else that is done for a row.
func compact(cell []byte, value json.RawMessage) []byte {
	end := len(cell)
	cell = append(cell, value...)
	inText, escaped := false, false
	for _, c := range value {
		switch {
		case !inText && (c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			continue
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			inText = !inText
		}
		cell[end] = c
		end++
	}
	return cell[:end]
}

func encoded(cell []byte, value any) []byte {
	text := bytes.NewBuffer(cell)
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // texts, numbers and times
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}
