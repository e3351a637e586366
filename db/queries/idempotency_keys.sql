-- name: IdempotencyKeyClaim :one
-- Takes a key until the transaction ends, unless somebody has it, and waits for nobody: who waited would hold a
-- connection. It tells whether the key was taken, and what is stored under it; no request means nothing. What the holder
-- before has committed just now it may not see: then IdempotencyKeyInsert fails, and the change is run again.
SELECT pg_try_advisory_xact_lock(@number::bigint) AS claimed, stored.request, stored.answer, stored.subjects, stored.expires_at
FROM (SELECT @id::bytea AS id) AS asked LEFT JOIN idempotency_keys AS stored ON stored.id = asked.id;

-- name: IdempotencyKeyGet :one
SELECT request, answer, subjects FROM idempotency_keys WHERE id = @id AND expires_at > @now;

-- name: IdempotencyKeyInsert :exec
INSERT INTO idempotency_keys (id, request, answer, subjects, expires_at)
VALUES (@id, @request, @answer, @subjects, @expires_at);

-- name: IdempotencyKeyDelete :exec
DELETE FROM idempotency_keys WHERE id = @id AND expires_at <= @now;

-- name: IdempotencyKeyErase :exec
-- The keys stay: what was asked for with them must not happen again.
UPDATE idempotency_keys SET answer = NULL WHERE subjects && @subjects::uuid[] AND answer IS NOT NULL;

-- name: IdempotencyKeyDeleteExpired :execrows
DELETE FROM idempotency_keys WHERE id IN (
    SELECT expired.id FROM idempotency_keys AS expired WHERE expired.expires_at <= @now
    LIMIT @row_limit FOR UPDATE SKIP LOCKED
);
