-- name: JobFileGet :one
SELECT job_files.* FROM job_files JOIN jobs ON jobs.id = job_files.job_id
WHERE job_files.job_id = @job_id AND job_files.kind = @kind
    AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, jobs.customer_id));

-- name: JobFileGetByCustomer :one
SELECT job_files.* FROM job_files JOIN jobs ON jobs.id = job_files.job_id
WHERE job_files.job_id = @job_id AND job_files.kind = @kind AND jobs.customer_id = @customer_id;

-- name: JobFileList :many
-- Those of the jobs.
SELECT * FROM job_files WHERE job_id = ANY (@job_ids::uuid[]) ORDER BY job_id, kind;

-- name: JobFileUpsert :exec
INSERT INTO job_files (job_id, kind, filename, content_type, size, sha256, blob_key, uploaded_at)
VALUES (@job_id, @kind, @filename, @content_type, @size, @sha256, @blob_key, @uploaded_at)
ON CONFLICT ON CONSTRAINT job_files_pkey
DO UPDATE SET filename = excluded.filename, content_type = excluded.content_type, size = excluded.size,
    sha256 = excluded.sha256, blob_key = excluded.blob_key, uploaded_at = excluded.uploaded_at;

-- name: JobFileDelete :exec
DELETE FROM job_files WHERE job_id = $1 AND kind = $2;

-- name: JobFileSumByCustomer :one
SELECT count(*) AS files, coalesce(sum(job_files.size), 0)::bigint AS bytes
FROM job_files JOIN jobs ON jobs.id = job_files.job_id WHERE jobs.customer_id = $1;

-- name: JobFileCopy :copyfrom
INSERT INTO job_files (job_id, kind, filename, content_type, size, sha256, blob_key, uploaded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);
