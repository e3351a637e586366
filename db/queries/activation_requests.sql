-- name: ActivationRequestGet :one
SELECT * FROM activation_requests WHERE id = $1;

-- name: ActivationRequestGetOfCustomer :one
SELECT * FROM activation_requests
WHERE id = @id AND customer_id = @customer_id
    AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, customer_id));

-- name: ActivationRequestGetForUpdate :one
SELECT * FROM activation_requests WHERE id = $1 AND customer_id = $2 FOR UPDATE;

-- name: ActivationRequestInsert :one
INSERT INTO activation_requests (id, customer_id, identity_id, recipient, subject, body, expires_at, created_at, updated_at)
VALUES (@id, @customer_id, @identity_id, @recipient, @subject, @body, @expires_at, @created_at, @created_at)
RETURNING *;

-- name: ActivationRequestUpdate :one
UPDATE activation_requests SET identity_id = @identity_id, state = @state, subject = @subject, body = @body,
    failure = @failure, expires_at = @expires_at, sent_at = @sent_at, updated_at = @updated_at, version = version + 1
WHERE id = @id
RETURNING *;

-- name: ActivationRequestRevokeByCustomer :exec
-- All whose links still work.
UPDATE activation_requests SET state = 'revoked', failure = NULL, updated_at = @updated_at, version = version + 1
WHERE customer_id = @customer_id AND state IN ('draft', 'queued', 'sent', 'failed');

-- name: ActivationRequestRevokeByIdentity :exec
-- Those of a login whose links still work; without a login, those that are to create the customer's first.
UPDATE activation_requests SET state = 'revoked', failure = NULL, updated_at = @updated_at, version = version + 1
WHERE customer_id = @customer_id AND identity_id IS NOT DISTINCT FROM sqlc.narg(identity_id)::uuid
    AND state IN ('draft', 'queued', 'sent', 'failed');

-- name: ActivationRequestErase :many
-- What it says of a login that is deleted, also where it was to create the login and another one did.
UPDATE activation_requests SET recipient = '', subject = '', body = '', failure = NULL, updated_at = @updated_at,
    state = CASE WHEN state = 'used' THEN 'used' ELSE 'revoked' END, version = version + 1
WHERE identity_id = @identity_id
    OR customer_id = @customer_id AND identity_id IS NULL AND recipient = @recipient AND state <> 'used'
RETURNING id;

-- name: ActivationRequestListStuck :many
-- Queued for longer than sending is tried: its job is gone.
SELECT * FROM activation_requests WHERE state = 'queued' AND updated_at < @queued_before ORDER BY updated_at LIMIT 100;

-- name: ActivationRequestListNewestFirst :many
SELECT * FROM activation_requests
WHERE customer_id = @customer_id AND (created_at, id) < (@before_created_at::timestamptz, @before_id::uuid)
ORDER BY created_at DESC, id DESC
LIMIT @row_limit;

-- name: ActivationRequestCount :one
SELECT count(*) FROM activation_requests WHERE customer_id = $1;
