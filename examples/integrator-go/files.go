package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/client"
)

// pollEvery is how often it is asked how far an operation is.
const pollEvery = 200 * time.Millisecond

// files sends a file, follows the work that it sets off, and fetches a file. The import is a dry run: it says what would
// become of the rows and writes none.
func (t *trip) files(ctx context.Context) error {
	rows := "external_id,name,email\n" +
		t.tag + "-6,Königlich Essen,koeniglich@example.com\n" +
		t.tag + "-7,Nobody,not an address\n"
	dryRun := true
	begun, err := t.api.CustomerImportWithBodyWithResponse(ctx, &client.CustomerImportParams{DryRun: &dryRun},
		"text/csv", strings.NewReader(rows))
	if err != nil {
		return err
	}
	if err := answered(begun.HTTPResponse, begun.Body); err != nil {
		return err
	}
	done, err := t.follow(ctx, begun.JSON202.Id)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "imported, as a trial: %s, %d of %d rows refused\n", done.State, done.Progress.Refused, done.Progress.Read)

	exported, err := t.api.CustomerExportWithResponse(ctx, &client.CustomerExportParams{
		Properties: &map[string]string{"trip": t.tag},
	})
	if err != nil {
		return err
	}
	if err := answered(exported.HTTPResponse, exported.Body); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "downloaded %d lines of CSV\n", strings.Count(string(exported.Body), "\n"))
	return nil
}

// follow waits for an operation to end.
func (t *trip) follow(ctx context.Context, id uuid.UUID) (*client.Operation, error) {
	for {
		read, err := t.api.OperationGetWithResponse(ctx, id, nil)
		if err != nil {
			return nil, err
		}
		if err := answered(read.HTTPResponse, read.Body); err != nil {
			return nil, err
		}
		switch read.JSON200.State {
		case client.OperationStateSucceeded, client.OperationStateFailed, client.OperationStateCancelled:
			return read.JSON200, nil
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return nil, err
		}
	}
}
