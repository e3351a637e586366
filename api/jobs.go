package api

import (
	"context"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/jobs"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// defaultJobOrder is how jobs are sorted when nothing is said.
const defaultJobOrder = "-created_at"

// JobList lists the jobs of all customers.
func (s *Server) JobList(ctx context.Context, request openapi.JobListRequestObject) (openapi.JobListResponseObject, error) {
	params := request.Params
	filter := jobs.Filter{
		Query: orEmpty(params.Q), Status: (*string)(params.Status), CustomerID: params.CustomerId, Reach: reachOf(ctx),
		CreatedAfter: params.CreatedAfter, CreatedBefore: params.CreatedBefore,
	}
	page, err := jobs.List(ctx, s.db, filter, orDefault((*string)(params.Sort), defaultJobOrder),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.JobList200JSONResponse{
		Body: toAPIJobPage(page), Headers: openapi.JobList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// CustomerJobList lists the jobs of a customer.
func (s *Server) CustomerJobList(ctx context.Context, request openapi.CustomerJobListRequestObject) (openapi.CustomerJobListResponseObject, error) {
	params := request.Params
	filter := jobs.Filter{
		Query: orEmpty(params.Q), Status: (*string)(params.Status), CreatedAfter: params.CreatedAfter,
		CreatedBefore: params.CreatedBefore, Reach: reachOf(ctx),
	}
	page, err := jobs.ListOfCustomer(ctx, s.db, request.CustomerId, filter, orDefault((*string)(params.Sort), defaultJobOrder),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.CustomerJobList200JSONResponse{
		Body: toAPIJobPage(page), Headers: openapi.CustomerJobList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// JobCreate submits a job for a customer.
func (s *Server) JobCreate(ctx context.Context, request openapi.JobCreateRequestObject) (openapi.JobCreateResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.JobCreateResponseObject, error) {
		job, err := jobs.Submit(ctx, tx, request.CustomerId, FromAPIJobCreate(*request.Body))
		if err != nil {
			return nil, err
		}
		body := ToAPIJob(job)
		return openapi.JobCreate201JSONResponse{
			Body: body,
			Headers: openapi.JobCreate201ResponseHeaders{
				ETag: etag.Of(job.Version, body), Location: "/v1/jobs/" + job.ID.String(),
			},
		}, nil
	})
}

// JobGet reads a job.
func (s *Server) JobGet(ctx context.Context, request openapi.JobGetRequestObject) (openapi.JobGetResponseObject, error) {
	job, err := jobs.Get(ctx, s.db, jobs.Staff(reachOf(ctx)), request.JobId)
	if err != nil {
		return nil, err
	}
	body := ToAPIJob(job)
	return openapi.JobGet200JSONResponse{
		Body: body, Headers: openapi.JobGet200ResponseHeaders{ETag: etag.Of(job.Version, body)},
	}, nil
}

// JobUpdate changes a job.
func (s *Server) JobUpdate(ctx context.Context, request openapi.JobUpdateRequestObject) (openapi.JobUpdateResponseObject, error) {
	versions, patch := etag.IfMatch(request.Params.IfMatch), FromAPIJobPatch(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.JobUpdateResponseObject, error) {
		job, err := jobs.Update(ctx, tx, jobs.Staff(reachOf(ctx)), request.JobId, versions, patch)
		if err != nil {
			return nil, err
		}
		body := ToAPIJob(job)
		return openapi.JobUpdate200JSONResponse{
			Body: body, Headers: openapi.JobUpdate200ResponseHeaders{ETag: etag.Of(job.Version, body)},
		}, nil
	})
}

// JobStatusUpdate moves a job.
func (s *Server) JobStatusUpdate(ctx context.Context, request openapi.JobStatusUpdateRequestObject) (openapi.JobStatusUpdateResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.JobStatusUpdateResponseObject, error) {
		job, err := jobs.Move(ctx, tx, request.JobId, versions, string(request.Body.Status))
		if err != nil {
			return nil, err
		}
		body := ToAPIJob(job)
		return openapi.JobStatusUpdate200JSONResponse{
			Body: body, Headers: openapi.JobStatusUpdate200ResponseHeaders{ETag: etag.Of(job.Version, body)},
		}, nil
	})
}

// JobDelete deletes a job.
func (s *Server) JobDelete(ctx context.Context, request openapi.JobDeleteRequestObject) (openapi.JobDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.JobDeleteResponseObject, error) {
		return openapi.JobDelete204Response{}, jobs.Delete(ctx, tx, jobs.Staff(reachOf(ctx)), request.JobId, versions)
	})
}

// PortalJobList lists the jobs of the caller's customer.
func (s *Server) PortalJobList(ctx context.Context, request openapi.PortalJobListRequestObject) (openapi.PortalJobListResponseObject, error) {
	params := request.Params
	filter := jobs.Filter{
		Query: orEmpty(params.Q), Status: (*string)(params.Status), CreatedAfter: params.CreatedAfter,
		CreatedBefore: params.CreatedBefore,
	}
	page, err := jobs.ListOwn(ctx, s.db, callerOf(ctx), filter, orDefault((*string)(params.Sort), defaultJobOrder),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.PortalJobList200JSONResponse{
		Body: toAPIJobPage(page), Headers: openapi.PortalJobList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// PortalJobCreate submits a job for the caller's customer.
func (s *Server) PortalJobCreate(ctx context.Context, request openapi.PortalJobCreateRequestObject) (openapi.PortalJobCreateResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalJobCreateResponseObject, error) {
		job, err := jobs.SubmitOwn(ctx, tx, callerOf(ctx), FromAPIJobCreate(*request.Body))
		if err != nil {
			return nil, gone(err)
		}
		body := ToAPIJob(job)
		return openapi.PortalJobCreate201JSONResponse{
			Body: body,
			Headers: openapi.PortalJobCreate201ResponseHeaders{
				ETag: etag.Of(job.Version, body), Location: "/v1/portal/jobs/" + job.ID.String(),
			},
		}, nil
	})
}

// PortalJobGet reads a job of the caller's customer.
func (s *Server) PortalJobGet(ctx context.Context, request openapi.PortalJobGetRequestObject) (openapi.PortalJobGetResponseObject, error) {
	job, err := jobs.Get(ctx, s.db, jobs.People(callerOf(ctx)), request.JobId)
	if err != nil {
		return nil, err
	}
	body := ToAPIJob(job)
	return openapi.PortalJobGet200JSONResponse{
		Body: body, Headers: openapi.PortalJobGet200ResponseHeaders{ETag: etag.Of(job.Version, body)},
	}, nil
}

// PortalJobUpdate changes a job of the caller's customer.
func (s *Server) PortalJobUpdate(ctx context.Context, request openapi.PortalJobUpdateRequestObject) (openapi.PortalJobUpdateResponseObject, error) {
	versions, patch := etag.IfMatch(request.Params.IfMatch), FromAPIJobPatch(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalJobUpdateResponseObject, error) {
		job, err := jobs.Update(ctx, tx, jobs.People(callerOf(ctx)), request.JobId, versions, patch)
		if err != nil {
			return nil, err
		}
		body := ToAPIJob(job)
		return openapi.PortalJobUpdate200JSONResponse{
			Body: body, Headers: openapi.PortalJobUpdate200ResponseHeaders{ETag: etag.Of(job.Version, body)},
		}, nil
	})
}

// PortalJobDelete withdraws a job of the caller's customer.
func (s *Server) PortalJobDelete(ctx context.Context, request openapi.PortalJobDeleteRequestObject) (openapi.PortalJobDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalJobDeleteResponseObject, error) {
		return openapi.PortalJobDelete204Response{}, jobs.Delete(ctx, tx, jobs.People(callerOf(ctx)), request.JobId, versions)
	})
}

// ToAPIJob shows a job.
func ToAPIJob(job jobs.Job) openapi.Job {
	return openapi.Job{
		Id: job.ID, CustomerId: job.CustomerID, Name: job.Name, Description: job.Description, Copies: job.Copies,
		DueAt: job.DueAt, Status: openapi.JobStatus(job.Status),
		AllowedStatuses: convert(job.State().Allowed(), func(status string) openapi.JobStatus { return openapi.JobStatus(status) }),
		Files:           convert(job.Files, ToAPIJobFile), RestoredAt: job.RestoredAt, Version: job.Version,
		CreatedAt: job.CreatedAt, UpdatedAt: job.UpdatedAt,
	}
}

func toAPIJobPage(page paging.Page[jobs.Job]) openapi.JobPage {
	return openapi.JobPage{Data: convert(page.Rows, ToAPIJob), NextCursor: page.Next, Total: page.Total}
}

// FromAPIJobCreate gives what is said of a new job.
func FromAPIJobCreate(body openapi.JobCreate) jobs.Submission {
	submission := jobs.Submission{Name: body.Name, Description: body.Description, DueAt: body.DueAt}
	if body.Copies != nil {
		submission.Copies = *body.Copies
	}
	return submission
}

// FromAPIJobPatch gives what to change of a job.
func FromAPIJobPatch(body openapi.JobPatch) jobs.Patch {
	return jobs.Patch{Name: body.Name, Description: body.Description, Copies: body.Copies, DueAt: body.DueAt}
}
