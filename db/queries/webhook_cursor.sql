-- name: WebhookCursorTryLock :one
-- A statement of its own: what follows must see what the holder before committed.
SELECT pg_try_advisory_xact_lock(4119253);

-- name: WebhookCursorGet :one
SELECT position FROM webhook_cursor;

-- name: WebhookCursorMove :exec
UPDATE webhook_cursor SET position = $1;
