package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/bulk"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/imports"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
)

// CustomerImport receives a file of customers and begins to import it.
func (s *Server) CustomerImport(ctx context.Context, request openapi.CustomerImportRequestObject) (openapi.CustomerImportResponseObject, error) {
	params := request.Params
	settings, err := FromAPIImportSettings(importParams{
		onConflict: (*string)(params.OnConflict), atomic: params.Atomic, columns: params.Columns,
		delimiter: (*string)(params.Delimiter), mapped: deepObject(ctx, "map"),
	})
	if err != nil {
		return nil, err
	}
	return startImport(ctx, s, operations.Input{Kind: operations.CustomerImport, DryRun: isSet(params.DryRun)}, settings,
		imports.Source{Content: request.Body, ContentType: request.ContentType, Encoding: orEmpty((*string)(params.Encoding))},
		func(started openapi.Operation) openapi.CustomerImportResponseObject {
			return openapi.CustomerImport202JSONResponse{
				Body: started, Headers: openapi.CustomerImport202ResponseHeaders{
					ETag: etag.Of(started.Version, started), Location: "/v1/operations/" + started.Id.String(),
				},
			}
		})
}

// DomainImport receives a file of domains of a customer and begins to import it.
func (s *Server) DomainImport(ctx context.Context, request openapi.DomainImportRequestObject) (openapi.DomainImportResponseObject, error) {
	params := request.Params
	settings, err := FromAPIImportSettings(importParams{
		onConflict: (*string)(params.OnConflict), atomic: params.Atomic, columns: params.Columns,
		delimiter: (*string)(params.Delimiter), mapped: deepObject(ctx, "map"),
	})
	if err != nil {
		return nil, err
	}
	return startImport(ctx, s, operations.Input{
		Kind: operations.DomainImport, CustomerID: &request.CustomerId, DryRun: isSet(params.DryRun),
	}, settings, imports.Source{
		Content: request.Body, ContentType: request.ContentType, Encoding: orEmpty((*string)(params.Encoding)),
	}, func(started openapi.Operation) openapi.DomainImportResponseObject {
		return openapi.DomainImport202JSONResponse{
			Body: started, Headers: openapi.DomainImport202ResponseHeaders{
				ETag: etag.Of(started.Version, started), Location: "/v1/operations/" + started.Id.String(),
			},
		}
	})
}

// startImport receives a file, for as long as that takes, and begins to import it.
func startImport[Answer any](
	ctx context.Context, s *Server, input operations.Input, settings imports.Settings, source imports.Source,
	show func(openapi.Operation) Answer,
) (nothing Answer, err error) {
	if err := s.customerThere(ctx, input.CustomerID); err != nil { // known before a large file has come in vain
		return nothing, err
	}
	if requestOf(ctx).http.ContentLength > imports.MaxFile {
		return nothing, tooLarge(imports.MaxFile)
	}
	source.Content = upload(ctx, source.Content)
	received, err := imports.Receive(ctx, s.blobs, source)
	if err != nil {
		return nothing, err
	}
	settings.Format = received.Format
	if err := settings.Check(); err != nil {
		return nothing, err
	}
	input.Settings, input.SpoolKey, input.BytesTotal = settings, &received.Key, &received.Size
	return change(ctx, s, func(tx *postgres.Tx) (Answer, error) {
		if err := lockCustomer(ctx, tx, input.CustomerID); err != nil {
			return nothing, err
		}
		started, err := s.operations.Start(ctx, tx, input)
		if err != nil {
			return nothing, err
		}
		return show(ToAPIOperation(started, nil)), nil
	})
}

func (s *Server) customerThere(ctx context.Context, id *uuid.UUID) error {
	if id == nil {
		return nil
	}
	_, err := db.New().CustomerFind(ctx, s.db, *id, reachOf(ctx))
	return err
}

func lockCustomer(ctx context.Context, tx *postgres.Tx, id *uuid.UUID) error {
	if id == nil {
		return nil
	}
	return customers.LockForKeyShare(ctx, tx, *id)
}

// importParams are the parameters that both imports have.
type importParams struct {
	onConflict *string
	atomic     *bool
	columns    *string
	delimiter  *string
	mapped     map[string]string
}

// delimiters are what the contract calls the characters between cells.
var delimiters = map[string]string{"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}

// FromAPIImportSettings gives how a file is to be imported.
func FromAPIImportSettings(params importParams) (imports.Settings, error) {
	settings := imports.Settings{
		OnConflict: bulk.OnConflict(orDefault(params.onConflict, string(bulk.Fail))), Atomic: isSet(params.atomic),
		Map: params.mapped, Delimiter: delimiters[orEmpty(params.delimiter)],
	}
	var err error
	if params.columns != nil {
		if settings.Columns, err = imports.ParseColumns(*params.columns); err != nil {
			err = fault.InvalidRequest(fault.Field{Parameter: "columns", Code: "invalid_format", Message: err.Error()})
		}
	}
	return settings, err
}

// isSet tells whether a flag is given, and true.
func isSet(flag *bool) bool { return flag != nil && *flag }
