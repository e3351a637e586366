package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Restore writes jobs of a customer that is being restored, with their files, which are stored already. No events are written:
// that of the customer stands for them.
func Restore(ctx context.Context, tx *postgres.Tx, restored []Job) error {
	rows := make([]db.JobCopyParams, len(restored))
	var files []db.JobFileCopyParams
	for i, job := range restored {
		normalize(&job.Job)
		rows[i] = db.JobCopyParams{
			ID: job.ID, CustomerID: job.CustomerID, Name: job.Name, Description: job.Description, Copies: job.Copies, DueAt: job.DueAt,
			Status: job.Status, RestoredAt: &tx.Now, Version: job.Version, CreatedAt: job.CreatedAt, UpdatedAt: job.UpdatedAt,
			NameKey: job.NameKey, DueKey: job.DueKey, SearchText: job.SearchText,
		}
		for _, file := range job.Files {
			files = append(files, db.JobFileCopyParams(file))
		}
	}
	if _, err := db.New().JobCopy(ctx, tx, rows); err != nil {
		return fmt.Errorf("restoring jobs: %w", err)
	}
	if _, err := db.New().JobFileCopy(ctx, tx, files); err != nil {
		return fmt.Errorf("restoring the files of jobs: %w", err)
	}
	return nil
}

// Inspect reads a file of the kind to its end, and judges it as Receive does, which it would be refused by.
func Inspect(kind string, content io.Reader) error {
	switch kind {
	case Input:
		content = &pdfReader{from: content}
	case PDLModel:
		checked := checkJSON(content)
		_, err := io.Copy(io.Discard, content)
		return errors.Join(checked, err)
	}
	_, err := io.Copy(io.Discard, content)
	return err
}
