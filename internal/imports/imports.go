// Package imports takes files of customers and of domains: CSV, or lines of JSON. A file is received whole first, as UTF-8,
// and then read by the steps of an operation, each of which writes a thousand rows and goes on where the one before
// ended. It knows how a row of a file becomes the patch of a resource and what is wrong with one that does not; what a
// patch does to a resource, the resource's own package knows.
package imports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/bulk"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/sheets"
)

// Format is what a file is made of.
type Format string

// The formats.
const (
	CSV   Format = "csv"
	Lines Format = "lines" // of JSON
)

// Settings say how a file is imported. They are kept with the operation.
type Settings struct {
	Format     Format            `json:"format"`
	OnConflict bulk.OnConflict   `json:"on_conflict"`
	Atomic     bool              `json:"atomic"`              // all rows or none
	Columns    []string          `json:"columns,omitempty"`   // of CSV without a line of headers
	Map        map[string]string `json:"map,omitempty"`       // which field a column is, by its header
	Delimiter  string            `json:"delimiter,omitempty"` // of CSV, one character; "" to see from the file
}

// Check refuses settings that say nothing of a file of this format.
func (s Settings) Check() error {
	var faults []fault.Field
	for parameter, given := range map[string]bool{
		"map": len(s.Map) > 0, "columns": s.Columns != nil, "delimiter": s.Delimiter != "",
	} {
		if given && s.Format == Lines {
			faults = append(faults, fault.Field{Parameter: parameter, Code: "contradiction", Message: "is for CSV, and the file is JSON"})
		}
	}
	if len(faults) > 0 {
		return fault.InvalidRequest(faults...)
	}
	return nil
}

// Runners gives the runners of the operations that import files, by their kind.
func Runners(store *blobs.Store, loaded *contract.Contract) (map[string]operations.Runner, error) {
	customerSchema, err := loaded.Schema("CustomerImportRow")
	if err != nil {
		return nil, err
	}
	domainSchema, err := loaded.Schema("DomainImportRow")
	if err != nil {
		return nil, err
	}
	return map[string]operations.Runner{
		operations.CustomerImport: &runner[customers.ImportRow]{
			store: store, schema: customerSchema, fields: sheets.CustomerFields(), hasProperties: true,
			hold: customers.HoldHierarchy, decode: decodeCustomer, write: writeCustomers,
		},
		operations.DomainImport: &runner[domains.ImportRow]{
			store: store, schema: domainSchema, fields: sheets.DomainFields(), required: "host",
			lock: lockCustomer, decode: decodeDomain, write: writeDomains,
		},
	}, nil
}

func decodeCustomer(body []byte, format Format) (customers.ImportRow, error) {
	var row struct {
		ID *uuid.UUID `json:"id"`
		customers.Patch
	}
	if err := json.Unmarshal(body, &row); err != nil {
		return customers.ImportRow{}, fmt.Errorf("reading a row: %w", err)
	}
	return customers.ImportRow{ID: row.ID, Patch: row.Patch, Texts: format == CSV}, nil
}

func decodeDomain(body []byte, format Format) (domains.ImportRow, error) {
	row := domains.ImportRow{Patch: domains.Patch{Replaces: format == CSV}}
	err := json.Unmarshal(body, &row.Patch)
	return row, err
}

// lockCustomer keeps the customer of an import of domains, before anything that belongs to it.
func lockCustomer(ctx context.Context, tx *postgres.Tx, operation db.Operation) error {
	err := customers.LockForKeyShare(ctx, tx, *operation.CustomerID)
	if errors.Is(err, pgx.ErrNoRows) {
		return &operations.Failure{Code: "not_found", Message: "The customer is not there any more, or out of reach."}
	}
	return err
}

func writeCustomers(
	ctx context.Context, tx *postgres.Tx, _ db.Operation, rows []customers.ImportRow, onConflict bulk.OnConflict, write bool,
) ([]bulk.Result, error) {
	return customers.Import(ctx, tx, rows, onConflict, write)
}

func writeDomains(
	ctx context.Context, tx *postgres.Tx, operation db.Operation, rows []domains.ImportRow, onConflict bulk.OnConflict, write bool,
) ([]bulk.Result, error) {
	return domains.Import(ctx, tx, *operation.CustomerID, rows, onConflict, write)
}
