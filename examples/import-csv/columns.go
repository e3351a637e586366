package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/clientele-api/clientele/gen/client"
)

// fields says how the text of a cell becomes a field of a customer. Most faults are the server's to find; here are
// only those of texts that the client's types cannot hold.
var fields = map[string]func(*client.CustomerCreate, string) *fault{
	"name":        func(c *client.CustomerCreate, text string) *fault { c.Name = text; return nil },
	"email":       set(func(c *client.CustomerCreate) *nullable.Nullable[string] { return &c.Email }),
	"phone":       set(func(c *client.CustomerCreate) *nullable.Nullable[string] { return &c.Phone }),
	"company":     set(func(c *client.CustomerCreate) *nullable.Nullable[string] { return &c.Company }),
	"address":     set(func(c *client.CustomerCreate) *nullable.Nullable[string] { return &c.Address }),
	"comments":    set(func(c *client.CustomerCreate) *nullable.Nullable[string] { return &c.Comments }),
	"external_id": set(func(c *client.CustomerCreate) *nullable.Nullable[string] { return &c.ExternalId }),
	"locale": func(c *client.CustomerCreate, text string) *fault {
		c.Locale = (*client.Locale)(&text)
		return nil
	},
	"modules":   setModules,
	"parent_id": setParent,
}

func set(field func(*client.CustomerCreate) *nullable.Nullable[string]) func(*client.CustomerCreate, string) *fault {
	return func(c *client.CustomerCreate, text string) *fault {
		field(c).Set(text)
		return nil
	}
}

// setModules takes names separated by semicolons.
func setModules(c *client.CustomerCreate, text string) *fault {
	names := []string{}
	for name := range strings.SplitSeq(text, ";") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	c.Modules = &names
	return nil
}

func setParent(c *client.CustomerCreate, text string) *fault {
	id, err := uuid.Parse(text)
	if err != nil {
		return &fault{pointer: "/parent_id", code: "invalid_format", message: "must be the id of a customer"}
	}
	c.ParentId.Set(id)
	return nil
}

// target is where a column goes: into a field, into a property, or, with neither, nowhere.
type target struct{ field, property string }

const (
	nowhere         = "-"
	propertiesField = "properties."
)

// plan gives each column its target.
func plan(header []string, asked columnFlags) ([]target, error) {
	targets := make([]target, len(header))
	taken := map[target]string{}
	for i, column := range header {
		if slices.Index(header, column) != i {
			return nil, fmt.Errorf("the column %q is there twice", column)
		}
		if column == "" {
			return nil, fmt.Errorf("column %d has no name", i+1)
		}
		targets[i] = targetOf(column, asked)
		if first, twice := taken[targets[i]]; twice && targets[i] != (target{}) {
			return nil, fmt.Errorf("the columns %q and %q go to the same place; see -map", first, column)
		}
		taken[targets[i]] = column
	}
	for column := range asked {
		if !slices.Contains(header, column) {
			return nil, fmt.Errorf("-map: there is no column %q; there are %s", column, strings.Join(header, ", "))
		}
	}
	if _, named := taken[target{field: "name"}]; !named {
		return nil, fmt.Errorf("no column is the name; say which with -map COLUMN=name, of %s", strings.Join(header, ", "))
	}
	return targets, nil
}

func targetOf(column string, asked columnFlags) target {
	where, given := asked[column]
	if !given {
		where = propertiesField + column
		if fields[column] != nil {
			where = column
		}
		if column == lineColumn || column == reasonColumn {
			where = nowhere // of refused rows, corrected and imported once more
		}
	}
	if where == nowhere {
		return target{}
	}
	if property, found := strings.CutPrefix(where, propertiesField); found {
		return target{property: property}
	}
	return target{field: where}
}

// toCustomer turns the cells of a row into a customer to be. A cell that is empty, or says so, is left out.
func toCustomer(cells []string, targets []target, empty listFlag) (client.CustomerCreate, []fault) {
	var customer client.CustomerCreate
	var faults []fault
	properties := map[string]string{}
	for i, cell := range cells {
		switch to := targets[i]; {
		case strings.TrimSpace(cell) == "" || slices.Contains(empty, cell):
		case to.property != "":
			properties[to.property] = cell
		case to.field != "":
			if found := fields[to.field](&customer, cell); found != nil {
				faults = append(faults, *found)
			}
		}
	}
	if len(properties) > 0 {
		encoded, _ := json.Marshal(properties) // texts always encode
		customer.Properties = (*client.Properties)(&encoded)
	}
	return customer, faults
}

// columnFlags are the -map flags: where a column goes, by its name.
type columnFlags map[string]string

// String is empty: there is no default to show.
func (columnFlags) String() string { return "" }

// Set reads one flag.
func (c columnFlags) Set(text string) error {
	at := strings.LastIndexByte(text, '=')
	if at < 1 || at == len(text)-1 {
		return fmt.Errorf("must look like column=field")
	}
	column, where := text[:at], text[at+1:]
	property, isProperty := strings.CutPrefix(where, propertiesField)
	if where != nowhere && fields[where] == nil && (!isProperty || property == "") {
		names := slices.Sorted(maps.Keys(fields))
		return fmt.Errorf("there is no field %q; there are %s and properties.KEY", where, strings.Join(names, ", "))
	}
	c[column] = where
	return nil
}

// listFlag is a flag that may be given again and again.
type listFlag []string

// String is empty: there is no default to show.
func (listFlag) String() string { return "" }

// Set adds a value.
func (l *listFlag) Set(text string) error {
	*l = append(*l, text)
	return nil
}
