package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/digests"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/jobs"
	"github.com/clientele-api/clientele/internal/postgres"
)

// JobFilePut puts a file of a job into its place.
func (s *Server) JobFilePut(ctx context.Context, request openapi.JobFilePutRequestObject) (openapi.JobFilePutResponseObject, error) {
	params := request.Params
	stored, err := s.putJobFile(ctx, jobs.Staff(reachOf(ctx)), request.JobId, etag.IfMatchTags(params.IfMatch).Except(params.IfNoneMatch), jobs.Upload{
		Kind: string(request.Kind), Content: request.Body, ContentType: request.ContentType,
		Disposition: orEmpty(params.ContentDisposition), Digest: orEmpty(params.ReprDigest),
	})
	if err != nil {
		return nil, err
	}
	body, tag := ToAPIJobFile(stored.JobFile), jobs.FileTag(stored.JobFile)
	if stored.IsNew {
		return openapi.JobFilePut201JSONResponse{Body: body, Headers: openapi.JobFilePut201ResponseHeaders{ETag: tag}}, nil
	}
	return openapi.JobFilePut200JSONResponse{Body: body, Headers: openapi.JobFilePut200ResponseHeaders{ETag: tag}}, nil
}

// PortalJobFilePut puts a file of a job of the caller's customer into its place.
func (s *Server) PortalJobFilePut(ctx context.Context, request openapi.PortalJobFilePutRequestObject) (openapi.PortalJobFilePutResponseObject, error) {
	params := request.Params
	stored, err := s.putJobFile(ctx, jobs.People(callerOf(ctx)), request.JobId, etag.IfMatchTags(params.IfMatch).Except(params.IfNoneMatch), jobs.Upload{
		Kind: string(request.Kind), Content: request.Body, ContentType: request.ContentType,
		Disposition: orEmpty(params.ContentDisposition), Digest: orEmpty(params.ReprDigest),
	})
	if err != nil {
		return nil, err
	}
	body, tag := ToAPIJobFile(stored.JobFile), jobs.FileTag(stored.JobFile)
	if stored.IsNew {
		return openapi.PortalJobFilePut201JSONResponse{Body: body, Headers: openapi.PortalJobFilePut201ResponseHeaders{ETag: tag}}, nil
	}
	return openapi.PortalJobFilePut200JSONResponse{Body: body, Headers: openapi.PortalJobFilePut200ResponseHeaders{ETag: tag}}, nil
}

// putJobFile receives a file, for as long as that takes, and puts it into its place. What could not be put there anyway is
// refused before.
func (s *Server) putJobFile(
	ctx context.Context, by jobs.By, id uuid.UUID, tags etag.Tags, file jobs.Upload,
) (jobs.Stored, error) {
	if err := jobs.MayPut(ctx, s.db, by, id, file.Kind, tags); err != nil {
		return jobs.Stored{}, err
	}
	if limit := jobs.MaxSize(file.Kind); requestOf(ctx).http.ContentLength > limit {
		return jobs.Stored{}, tooLarge(limit)
	}
	file.Content = upload(ctx, file.Content)
	received, err := jobs.Receive(ctx, s.blobs, file)
	if err != nil {
		return jobs.Stored{}, err
	}
	stored, err := change(ctx, s, func(tx *postgres.Tx) (jobs.Stored, error) {
		return jobs.PutFile(ctx, tx, by, id, tags, received)
	})
	if err != nil || stored.IsUnused {
		s.blobs.Discard(ctx, received.Blob.Key)
	}
	return stored, err
}

// JobFileDelete deletes a file of a job.
func (s *Server) JobFileDelete(ctx context.Context, request openapi.JobFileDeleteRequestObject) (openapi.JobFileDeleteResponseObject, error) {
	tags := etag.IfMatchTags(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.JobFileDeleteResponseObject, error) {
		return openapi.JobFileDelete204Response{}, jobs.DeleteFile(ctx, tx, jobs.Staff(reachOf(ctx)), request.JobId, string(request.Kind), tags)
	})
}

// JobFileGet downloads a file of a job.
func (s *Server) JobFileGet(ctx context.Context, request openapi.JobFileGetRequestObject) (openapi.JobFileGetResponseObject, error) {
	return s.jobFile(ctx, jobs.Staff(reachOf(ctx)), request.JobId, request.Kind)
}

// PortalJobFileGet downloads a file of a job of the caller's customer.
func (s *Server) PortalJobFileGet(ctx context.Context, request openapi.PortalJobFileGetRequestObject) (openapi.PortalJobFileGetResponseObject, error) {
	return s.jobFile(ctx, jobs.People(callerOf(ctx)), request.JobId, request.Kind)
}

// jobFile is a file of a job as an answer.
type jobFile struct{ download }

// VisitJobFileGetResponse writes the file.
func (f jobFile) VisitJobFileGetResponse(w http.ResponseWriter) error { return f.serve(w) }

// VisitPortalJobFileGetResponse writes the file.
func (f jobFile) VisitPortalJobFileGetResponse(w http.ResponseWriter) error { return f.serve(w) }

func (s *Server) jobFile(ctx context.Context, by jobs.By, id uuid.UUID, kind openapi.JobFileKind) (*jobFile, error) {
	file, err := jobs.GetFile(ctx, s.db, by, id, string(kind))
	if err != nil {
		return nil, err
	}
	reader, err := s.blobs.Open(ctx, file.BlobKey)
	if err != nil {
		return nil, err
	}
	if reader.Size() != file.Size { // half a file must not pass for a whole one
		return nil, errors.Join(fmt.Errorf("%s of job %s has %d bytes and not %d", kind, id, reader.Size(), file.Size), reader.Close())
	}
	contentType := file.ContentType
	if kind == openapi.JobFileKindSupport {
		contentType = "application/octet-stream" // what senders call it means nothing to a browser
	}
	return &jobFile{download{
		ctx: ctx, reader: reader, contentType: contentType, fileName: file.Filename, attached: true,
		digest: hex.EncodeToString(file.Sha256), reprDigest: digests.Header(file.Sha256),
	}}, nil
}

// ToAPIJobFile shows what is known of a job's file.
func ToAPIJobFile(file db.JobFile) openapi.JobFile {
	return openapi.JobFile{
		Kind: openapi.JobFileKind(file.Kind), Filename: file.Filename, ContentType: file.ContentType, Size: file.Size,
		Sha256: hex.EncodeToString(file.Sha256), UploadedAt: file.UploadedAt,
	}
}
