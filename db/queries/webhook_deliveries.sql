-- name: WebhookDeliveryInsert :one
INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, position, redelivery_of, next_attempt_at, created_at)
VALUES (@id, @endpoint_id, @event_id, @event_type, @position, @redelivery_of, @created_at, @created_at)
RETURNING *;

-- name: WebhookDeliveryCopy :copyfrom
INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, position, next_attempt_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: WebhookDeliveryGet :one
SELECT * FROM webhook_deliveries WHERE id = $1;

-- name: WebhookDeliveryGetWithEndpoint :one
-- With what counts of the API client that owns the endpoint, null where there is none.
SELECT sqlc.embed(webhook_deliveries), sqlc.embed(webhook_endpoints), api_clients.id AS client_id,
    api_clients.customer_id AS client_customer_id, api_clients.expires_at AS client_expires_at, api_clients.scopes AS client_scopes
FROM webhook_deliveries JOIN webhook_endpoints ON webhook_endpoints.id = webhook_deliveries.endpoint_id
    LEFT JOIN api_clients ON webhook_endpoints.owner_kind = 'api_client' AND api_clients.id = webhook_endpoints.owner_id
WHERE webhook_deliveries.id = @id;

-- name: WebhookDeliveryRecord :one
-- Notes what became of an attempt, and tells since when nothing arrives at the endpoint, as it is known by now. Of an
-- event of a customer that says nothing (any more) no answer is kept either: it may name whom the event does not. The
-- event is locked, since it may be erased beside this: whoever erases goes over the answers after the events.
WITH event AS (
    SELECT data IS NULL AND customer_id IS NOT NULL AS silent FROM events WHERE events.position = @position FOR SHARE
)
UPDATE webhook_deliveries SET state = @state, attempts = webhook_deliveries.attempts + 1, next_attempt_at = sqlc.narg(next_attempt_at),
    failure = sqlc.narg(failure), last_attempt_at = @last_attempt_at, milliseconds = @milliseconds,
    status_code = sqlc.narg(status_code), explanation = sqlc.narg(explanation), finished_at = sqlc.narg(finished_at),
    answer = CASE WHEN (SELECT silent FROM event) THEN NULL ELSE sqlc.narg(answer) END
WHERE webhook_deliveries.id = @id AND webhook_deliveries.state = 'pending'
RETURNING (SELECT webhook_endpoints.failing_since FROM webhook_endpoints WHERE webhook_endpoints.id = webhook_deliveries.endpoint_id);

-- name: WebhookDeliveryFail :exec
-- Ends a delivery without another attempt.
UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL, failure = @failure, finished_at = @finished_at
WHERE id = @id AND state = 'pending';

-- name: WebhookDeliveryFailAll :exec
UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL, failure = @failure, finished_at = @finished_at
WHERE endpoint_id = @endpoint_id AND state = 'pending';

-- name: WebhookDeliveryListNewestFirst :many
SELECT * FROM webhook_deliveries
WHERE endpoint_id = @endpoint_id AND (created_at, id) < (@before_created_at::timestamptz, @before_id::uuid)
    AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state))
ORDER BY created_at DESC, id DESC
LIMIT @row_limit;

-- name: WebhookDeliveryCount :one
SELECT count(*) FROM webhook_deliveries
WHERE endpoint_id = @endpoint_id AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state));

-- name: WebhookDeliveryBacklog :one
-- How many deliveries have not ended yet, and when the next attempt at one of them is due: without any at the time given.
SELECT count(*) AS pending, coalesce(min(webhook_deliveries.next_attempt_at), @otherwise::timestamptz)::timestamptz AS due_at
FROM webhook_deliveries WHERE state = 'pending';

-- name: WebhookDeliveryDeleteOld :execrows
DELETE FROM webhook_deliveries WHERE id IN (
    SELECT old.id FROM webhook_deliveries AS old WHERE old.created_at < @before AND old.state <> 'pending'
    ORDER BY old.created_at LIMIT @row_limit
);

-- name: WebhookDeliveryEraseCustomers :exec
-- What receivers said of the events of deleted customers. After the events themselves, and in a statement of its own.
UPDATE webhook_deliveries SET answer = NULL
WHERE answer IS NOT NULL AND position IN (SELECT events.position FROM events WHERE events.customer_id = ANY (@customer_ids::uuid[]));

-- name: WebhookDeliveryEraseResource :exec
UPDATE webhook_deliveries SET answer = NULL
WHERE answer IS NOT NULL AND position IN (
    SELECT events.position FROM events
    WHERE events.customer_id = @customer_id AND resource_kind = @resource_kind AND resource_id = @resource_id
);

-- name: WebhookDeliveryEraseActor :exec
UPDATE webhook_deliveries SET answer = NULL
WHERE answer IS NOT NULL AND position IN (
    SELECT events.position FROM events
    WHERE events.customer_id = @customer_id AND actor_kind = 'identity' AND actor_id = @actor_id
);
