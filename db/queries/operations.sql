-- name: OperationInsert :one
-- No row when there is one that was started with the same key.
INSERT INTO operations (id, kind, customer_id, dry_run, settings, spool_key, start_key, is_long, bytes_total, rows_total,
    created_by_kind, created_by_id, created_by_name, request_id, created_at, updated_at, reach)
VALUES (@id, @kind, @customer_id, @dry_run, @settings, @spool_key, @start_key, @is_long, @bytes_total, @rows_total,
    @created_by_kind, @created_by_id, @created_by_name, @request_id, @created_at, @created_at, @reach)
ON CONFLICT ON CONSTRAINT operations_start_key DO NOTHING
RETURNING *;

-- name: OperationGetByStartKey :one
SELECT * FROM operations WHERE start_key = $1;

-- name: OperationGet :one
SELECT * FROM operations WHERE id = $1;

-- name: OperationGetVisible :one
-- Who may not know of a kind of operation finds none, nor who is limited to a customer one that goes further.
SELECT * FROM operations WHERE id = @id AND kind = ANY (@kinds::text[])
    AND (sqlc.narg(within)::uuid IS NULL OR reaches(sqlc.narg(within)::uuid, coalesce(customer_id, reach)));

-- name: OperationGetVisibleForNoKeyUpdate :one
SELECT * FROM operations WHERE id = @id AND kind = ANY (@kinds::text[])
    AND (sqlc.narg(within)::uuid IS NULL OR reaches(sqlc.narg(within)::uuid, coalesce(customer_id, reach)))
FOR NO KEY UPDATE;

-- name: OperationTryLock :one
-- Held by whoever does a step, until that is committed. It is no lock on the row, so that others may cancel meanwhile.
SELECT pg_try_advisory_xact_lock(4119253, hashtext((@id::uuid)::text));

-- name: OperationAdvance :execrows
-- Notes a step that was done. No row when it was done by another one, or the operation has been cancelled.
UPDATE operations SET state = 'running', step = step + 1, version = version + 1, place = @place,
    is_long = @is_long, updated_at = @updated_at,
    started_at = coalesce(started_at, @started_at), columns = coalesce(sqlc.narg(columns)::text[], columns), rows_total = coalesce(sqlc.narg(rows_total), rows_total),
    rows_read = rows_read + @rows_read, rows_created = rows_created + @rows_created,
    rows_updated = rows_updated + @rows_updated, rows_deleted = rows_deleted + @rows_deleted,
    rows_skipped = rows_skipped + @rows_skipped, rows_refused = rows_refused + @rows_refused, bytes_read = @bytes_read
WHERE id = @id AND step = @step AND finished_at IS NULL;

-- name: OperationFinish :execrows
-- What it was asked for and where it stood is nobody's business any more.
UPDATE operations SET state = @state, version = version + 1, updated_at = @finished_at, finished_at = @finished_at,
    started_at = coalesce(started_at, @finished_at), settings = NULL, place = NULL, spool_key = NULL,
    failure_code = @failure_code, failure_message = @failure_message
WHERE id = @id AND finished_at IS NULL;

-- name: OperationListFinishedBefore :many
SELECT id FROM operations WHERE finished_at < @finished_before ORDER BY finished_at LIMIT @row_limit;

-- name: OperationDelete :exec
DELETE FROM operations WHERE id = $1;

-- name: OperationRefusalCopy :copyfrom
INSERT INTO operation_refusals (operation_id, number, row, resource_kind, resource_id, faults, cells)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: OperationRefusalList :many
SELECT * FROM operation_refusals
WHERE operation_id = @operation_id AND number > @after_number ORDER BY number LIMIT @row_limit;

-- name: OperationRefusalDeleteOld :execrows
DELETE FROM operation_refusals WHERE (operation_id, number) IN (
    SELECT refusal.operation_id, refusal.number FROM operation_refusals refusal
    JOIN operations ON operations.id = refusal.operation_id
    WHERE operations.finished_at < @finished_before LIMIT @row_limit);

-- name: OperationKeyInsert :many
-- Gives those of the keys that were there before.
WITH given AS (
    SELECT unnest(@keys::uuid[]) AS key, unnest(@key_rows::bigint[]) AS row
), added AS (
    INSERT INTO operation_keys (operation_id, key, row) SELECT @operation_id, given.key, given.row FROM given
    ON CONFLICT ON CONSTRAINT operation_keys_pkey DO NOTHING
    RETURNING operation_keys.key
)
SELECT met.key, met.row FROM operation_keys met WHERE met.operation_id = @operation_id AND met.key = ANY (@keys::uuid[]);

-- name: OperationKeyDelete :execrows
DELETE FROM operation_keys WHERE (operation_id, key) IN (
    SELECT met.operation_id, met.key FROM operation_keys met WHERE met.operation_id = @operation_id LIMIT @row_limit);

-- name: OperationItemList :many
SELECT number, resource_id FROM operation_items
WHERE operation_id = @operation_id AND number > @after_number ORDER BY number LIMIT @row_limit;

-- name: OperationItemDelete :execrows
DELETE FROM operation_items WHERE (operation_id, number) IN (
    SELECT item.operation_id, item.number FROM operation_items item WHERE item.operation_id = @operation_id LIMIT @row_limit);
