package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/backups"
	"github.com/clientele-api/clientele/internal/filename"
	"github.com/clientele-api/clientele/internal/postgres"
)

// CustomerBackupGet backs a customer up.
func (s *Server) CustomerBackupGet(ctx context.Context, request openapi.CustomerBackupGetRequestObject) (openapi.CustomerBackupGetResponseObject, error) {
	return s.backup(ctx, request.CustomerId)
}

// PortalBackupGet backs the caller's customer up, as far as a portal shows it.
func (s *Server) PortalBackupGet(ctx context.Context, _ openapi.PortalBackupGetRequestObject) (openapi.PortalBackupGetResponseObject, error) {
	begun, err := s.backup(ctx, callerOf(ctx).CustomerID)
	if err != nil {
		return nil, gone(err)
	}
	return begun, nil
}

// CustomerBackupList lists the backups that were taken of a customer.
func (s *Server) CustomerBackupList(ctx context.Context, request openapi.CustomerBackupListRequestObject) (openapi.CustomerBackupListResponseObject, error) {
	params := request.Params
	page, err := backups.List(ctx, s.db, reachOf(ctx), request.CustomerId, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.CustomerBackupList200JSONResponse{
		Body:    openapi.BackupPage{Data: convert(page.Rows, ToAPIBackup), NextCursor: page.Next, Total: page.Total},
		Headers: openapi.CustomerBackupList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// BackupRestore makes a customer of a backup, or says what that would do.
func (s *Server) BackupRestore(ctx context.Context, request openapi.BackupRestoreRequestObject) (openapi.BackupRestoreResponseObject, error) {
	known := requestOf(ctx)
	if known.http.ContentLength > backups.MaxArchive {
		return nil, tooLarge(backups.MaxArchive)
	}
	var answer openapi.BackupRestoreResponseObject
	restored, err := s.backups.Restore(ctx, backups.Source{
		Content: &wholeUpload{upload(ctx, request.Body), known.controller}, ContentType: request.ContentType,
	}, backups.RestoreOptions{
		DryRun: isSet(request.Params.DryRun), Renew: request.Params.OnConflict != nil && *request.Params.OnConflict == openapi.BackupRestoreParamsOnConflictNew,
		Change: func() (postgres.Change, error) { return changing(ctx, s, &answer) },
		Done:   func(restored backups.Restored) { answer = toAPIRestored(restored) },
	})
	_ = known.controller.SetWriteDeadline(time.Now().Add(pieceTime))
	if err != nil {
		return nil, err
	}
	if isSet(request.Params.DryRun) {
		return openapi.BackupRestore200JSONResponse(ToAPIRestorePlan(restored.Plan)), nil
	}
	return answer, nil
}

func toAPIRestored(restored backups.Restored) openapi.BackupRestore201JSONResponse {
	customer := ToAPICustomer(*restored.Customer)
	plan := ToAPIRestorePlan(restored.Plan)
	return openapi.BackupRestore201JSONResponse{
		Body:    openapi.Restored{Customer: customer, Backup: plan.Backup, Counts: plan.Counts, Warnings: plan.Warnings},
		Headers: openapi.BackupRestore201ResponseHeaders{Location: "/v1/customers/" + customer.Id.String()},
	}
}

// wholeUpload is an upload whose answer takes longer than others: no time runs once it is there, neither for reading, whose
// end would pass for the caller's hanging up, nor for writing.
type wholeUpload struct {
	from       io.Reader
	controller *http.ResponseController
}

func (u *wholeUpload) Read(into []byte) (int, error) {
	n, err := u.from.Read(into)
	if errors.Is(err, io.EOF) {
		_ = u.controller.SetReadDeadline(time.Time{})
		_ = u.controller.SetWriteDeadline(time.Time{})
	}
	return n, err
}

// archiveAnswer is a backup as an answer.
type archiveAnswer struct {
	request *request
	name    string          // of the file
	backup  *backups.Backup // nil where only the header is wanted
}

// backup begins a backup of a customer: what goes wrong until all of its rows are read is still a problem.
func (s *Server) backup(ctx context.Context, customerID uuid.UUID) (*archiveAnswer, error) {
	answer := &archiveAnswer{request: requestOf(ctx)}
	if answer.request.head { // which takes nothing, and leaves no record
		customer, err := db.New().CustomerGet(ctx, s.db, customerID, reachOf(ctx))
		answer.name = s.archiveName(customer.Name)
		return answer, err
	}
	// The end of the time for reading requests would pass for the caller's hanging up, and rows may take longer than answers.
	_ = answer.request.controller.SetReadDeadline(time.Time{})
	_ = answer.request.controller.SetWriteDeadline(time.Time{})
	begun, err := s.backups.Begin(ctx, answer.request.change(), callerOf(ctx), customerID)
	_ = answer.request.controller.SetWriteDeadline(time.Now().Add(pieceTime))
	if err != nil {
		return nil, err
	}
	answer.backup, answer.name = begun, s.archiveName(begun.CustomerName)
	return answer, nil
}

// archiveName is what an archive is called after its customer.
func (s *Server) archiveName(customer string) string {
	return filename.FromText(customer, " "+s.db.Now().Format(time.DateOnly)+".zip")
}

// VisitCustomerBackupGetResponse writes the backup.
func (a *archiveAnswer) VisitCustomerBackupGetResponse(w http.ResponseWriter) error {
	return a.serve(w)
}

// VisitPortalBackupGetResponse writes the backup.
func (a *archiveAnswer) VisitPortalBackupGetResponse(w http.ResponseWriter) error { return a.serve(w) }

func (a *archiveAnswer) serve(w http.ResponseWriter) error {
	if a.backup != nil {
		defer a.backup.Close()
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.name}))
	w.WriteHeader(http.StatusOK)
	if a.backup == nil {
		return nil
	}
	pieces := &pieceWriter{to: w, controller: a.request.controller, until: time.Now().Add(backups.TimeLimit)}
	if err := a.backup.Write(a.request.http.Context(), pieces); err != nil {
		// Ended as if it were whole it would pass for all there is.
		panic(fmt.Errorf("%w: %w", http.ErrAbortHandler, err))
	}
	return nil
}

// ToAPIBackup shows that a backup was taken.
func ToAPIBackup(backup db.Backup) openapi.Backup {
	shown := openapi.Backup{
		Id: backup.ID, CustomerId: backup.CustomerID, TakenAt: backup.TakenAt, Parts: backup.Parts,
		TakenBy:   openapi.Actor{Kind: backup.TakenByKind, Id: backup.TakenByID, Name: backup.TakenByName},
		SizeBytes: backup.Size, FinishedAt: backup.FinishedAt,
	}
	if backup.Sha256 != nil {
		digest := hex.EncodeToString(backup.Sha256)
		shown.Sha256 = &digest
	}
	return shown
}

// ToAPIRestorePlan shows what restoring an archive would do.
func ToAPIRestorePlan(plan backups.Plan) openapi.RestorePlan {
	counts := plan.Counts
	shown := openapi.RestorePlan{
		Backup: openapi.RestoredBackup{Id: plan.BackupID, TakenAt: plan.TakenAt},
		Counts: openapi.RestoreCounts{
			Identities: counts.Identities, Jobs: counts.Jobs, Files: counts.Files, Bytes: counts.Bytes, Domains: counts.Domains,
			Notes: counts.Notes, Publishings: counts.Publishings, TermsAcceptances: counts.TermsAcceptances, Events: counts.Events,
		},
		Blockers: convert(plan.Blockers, toAPIRestoreFinding), Warnings: convert(plan.Warnings, toAPIRestoreFinding),
	}
	shown.Customer.Id, shown.Customer.Name = plan.CustomerID, plan.CustomerName
	shown.Customer.Status = openapi.CustomerStatus(plan.Status)
	return shown
}

func toAPIRestoreFinding(finding backups.Finding) openapi.RestoreFinding {
	return openapi.RestoreFinding{
		Code: finding.Code, Message: finding.Message, Resource: openapi.ResourceRef{Kind: finding.Kind, Id: finding.ID},
	}
}
