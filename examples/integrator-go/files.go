package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/client"
)

// pollEvery is how often it is asked how far an operation is.
const pollEvery = 200 * time.Millisecond

// rows sends customers as a file, follows the work that it sets off, and fetches customers as a file. The import is a dry
// run: it says what would become of the rows and writes none.
func (t *trip) rows(ctx context.Context) error {
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

// file submits a job, gives it its file, and fetches the file. The body of the request is the file itself; what it is called
// goes along in Content-Disposition.
func (t *trip) file(ctx context.Context) error {
	submitted, err := t.api.JobCreateWithResponse(ctx, t.ids[0], nil, client.JobCreate{Name: "Menus for December"})
	if err != nil {
		return err
	}
	if err := answered(submitted.HTTPResponse, submitted.Body); err != nil {
		return err
	}
	job, input := submitted.JSON201.Id, []byte("%PDF-1.7\n%%EOF\n")
	called := "attachment; filename=menus.pdf"
	uploaded, err := t.api.JobFilePutWithBodyWithResponse(ctx, job, client.JobFileKindInput,
		&client.JobFilePutParams{ContentDisposition: &called}, "application/pdf", bytes.NewReader(input))
	if err != nil {
		return err
	}
	if err := answered(uploaded.HTTPResponse, uploaded.Body); err != nil {
		return err
	}
	fetched, err := t.api.JobFileGetWithResponse(ctx, job, client.JobFileKindInput, nil)
	if err != nil {
		return err
	}
	if err := answered(fetched.HTTPResponse, fetched.Body); err != nil {
		return err
	}
	if !bytes.Equal(fetched.Body, input) {
		return errors.New("the file came back as another one")
	}
	fmt.Fprintf(t.out, "uploaded %s and fetched its %d bytes again\n", uploaded.JSON201.Filename, len(fetched.Body))
	return nil
}
