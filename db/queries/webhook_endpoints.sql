-- name: WebhookEndpointInsert :one
INSERT INTO webhook_endpoints (id, url, description, event_types, scopes, secret_sealed, after_position,
    owner_kind, owner_id, owner_name, created_by_kind, created_by_id, created_by_name, created_at, updated_at)
VALUES (@id, @url, @description, @event_types, @scopes, @secret_sealed, @after_position,
    @owner_kind, @owner_id, @owner_name, @owner_kind, @owner_id, @owner_name, @created_at, @created_at)
RETURNING *;

-- name: WebhookEndpointGet :one
SELECT * FROM webhook_endpoints WHERE id = $1;

-- name: WebhookEndpointGetForUpdate :one
SELECT * FROM webhook_endpoints WHERE id = $1 FOR UPDATE;

-- name: WebhookEndpointGetForNoKeyUpdate :one
SELECT * FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE;

-- name: WebhookEndpointGetForKeyShare :one
-- For whoever adds a delivery.
SELECT * FROM webhook_endpoints WHERE id = $1 FOR KEY SHARE;

-- name: WebhookEndpointUpdate :one
UPDATE webhook_endpoints SET url = @url, description = @description, event_types = @event_types, scopes = @scopes,
    owner_kind = @owner_kind, owner_id = @owner_id, owner_name = @owner_name, enabled = @enabled,
    disabled_reason = @disabled_reason, secret_sealed = @secret_sealed,
    previous_secret_sealed = @previous_secret_sealed, previous_secret_until = @previous_secret_until,
    after_position = @after_position, failing_since = @failing_since, updated_at = @updated_at, version = version + 1
WHERE id = @id
RETURNING *;

-- name: WebhookEndpointFails :exec
-- Nothing has arrived since then. It is no change of the endpoint itself.
UPDATE webhook_endpoints SET failing_since = @since WHERE id = @id AND failing_since IS NULL;

-- name: WebhookEndpointArrives :exec
UPDATE webhook_endpoints SET failing_since = NULL WHERE id = @id AND failing_since IS NOT NULL;

-- name: WebhookEndpointSetSecrets :exec
-- The same secrets under another key.
UPDATE webhook_endpoints SET secret_sealed = @secret_sealed, previous_secret_sealed = @previous_secret_sealed WHERE id = @id;

-- name: WebhookEndpointDelete :exec
DELETE FROM webhook_endpoints WHERE id = $1;

-- name: WebhookEndpointListOldestFirst :many
SELECT * FROM webhook_endpoints
WHERE (created_at, id) > (@after_created_at::timestamptz, @after_id::uuid)
ORDER BY created_at, id
LIMIT @row_limit;

-- name: WebhookEndpointListAllForNoKeyUpdate :many
SELECT * FROM webhook_endpoints ORDER BY id FOR NO KEY UPDATE;

-- name: WebhookEndpointListOfAPIClients :many
-- Those that belong to API clients: to one, or to any.
SELECT * FROM webhook_endpoints
WHERE owner_kind = 'api_client' AND (sqlc.narg(owner_id)::uuid IS NULL OR owner_id = sqlc.narg(owner_id))
ORDER BY id;

-- name: WebhookEndpointCount :one
SELECT count(*) FROM webhook_endpoints;

-- name: WebhookEndpointExistEnabled :one
SELECT EXISTS (SELECT FROM webhook_endpoints WHERE enabled);

-- name: WebhookEndpointListEnabledForKeyShare :many
-- Those that events are sent to; none of them is deleted before their deliveries are there.
SELECT id, event_types, scopes, after_position FROM webhook_endpoints WHERE enabled ORDER BY id FOR KEY SHARE;

-- name: WebhookEndpointsLock :exec
-- One at a time makes a new one, since there may be only so many.
SELECT pg_advisory_xact_lock(4119254);
