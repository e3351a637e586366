-- name: EventInsert :exec
-- With the customer and all above it as its ancestors, and those that it had besides.
WITH RECURSIVE line AS (
    SELECT customers.id, customers.parent_id FROM customers WHERE customers.id = sqlc.narg(customer_id)::uuid
    UNION ALL
    SELECT above.id, above.parent_id FROM customers above JOIN line ON above.id = line.parent_id
)
INSERT INTO events (id, type, resource_kind, resource_id, version, customer_id, actor_kind, actor_id, actor_name,
    request_id, at, data, ancestors)
SELECT @id::uuid, @type::text, @resource_kind::text, @resource_id::uuid, @version::bigint, sqlc.narg(customer_id)::uuid,
    @actor_kind::text, sqlc.narg(actor_id)::uuid, @actor_name::text, sqlc.narg(request_id)::text, @at::timestamptz,
    sqlc.narg(data)::json, @ancestors::uuid[] || ARRAY(SELECT line.id FROM line);

-- name: EventListByPosition :many
-- Between two positions, so that it reads no more than that, however few events are chosen.
SELECT * FROM events
WHERE position > @after_position::bigint AND position <= @up_to_position::bigint
    AND (resource_kind = ANY (@kinds::text[]) OR type = ANY (@types::text[]))
    AND (sqlc.narg(customer_id)::uuid IS NULL OR customer_id = sqlc.narg(customer_id))
ORDER BY position
LIMIT @row_limit;

-- name: EventGetByPosition :one
SELECT * FROM events WHERE position = $1;

-- name: EventListHeaders :many
-- What the events after a position are about, and nothing of what they say.
SELECT position::bigint AS position, id, type, resource_kind, customer_id, ancestors FROM events
WHERE position > @after_position::bigint
ORDER BY position
LIMIT @row_limit;

-- name: EventListByPositionWithin :many
-- Those alone that were of the customer, or of one below it. A query of its own, so that it has its own plans.
SELECT * FROM events
WHERE position > @after_position::bigint AND position <= @up_to_position::bigint
    AND (resource_kind = ANY (@kinds::text[]) OR type = ANY (@types::text[]))
    AND (sqlc.narg(customer_id)::uuid IS NULL OR customer_id = sqlc.narg(customer_id))
    AND ancestors <> '{}' AND ancestors @> ARRAY[@reach::uuid]
ORDER BY position
LIMIT @row_limit;

-- name: EventListByCustomer :many
-- With a reach those alone that were within it, of a customer that is, or that was when it was deleted: one that was moved out
-- is not there any more, whatever becomes of it.
SELECT * FROM events
WHERE events.customer_id = @customer_id AND events.sequence < @before_sequence
    AND events.resource_kind = ANY (@resource_kinds::text[])
    AND (sqlc.narg(reach)::uuid IS NULL OR events.ancestors @> ARRAY[sqlc.narg(reach)::uuid]
        AND (reaches(sqlc.narg(reach)::uuid, @customer_id)
            OR NOT EXISTS (SELECT FROM customers WHERE customers.id = @customer_id)
                AND (SELECT last.ancestors @> ARRAY[sqlc.narg(reach)::uuid] FROM events last
                    WHERE last.customer_id = @customer_id AND last.type = 'customer.deleted' AND last.restored_at IS NULL
                    ORDER BY last.sequence DESC LIMIT 1)))
ORDER BY events.sequence DESC
LIMIT @row_limit;

-- name: EventLastPosition :one
SELECT coalesce(max(position), 0)::bigint FROM events;

-- name: EventGetIDByPosition :one
SELECT id FROM events WHERE position = $1;

-- name: EventEraseCustomers :exec
-- Nothing personal stays of deleted customers, in their own events or in those of what belonged to them: neither what
-- changed nor what their people were called.
UPDATE events SET data = NULL,
    actor_name = CASE WHEN actor_kind = 'identity' THEN '' ELSE actor_name END,
    request_id = CASE WHEN actor_kind = 'identity' THEN NULL ELSE request_id END
WHERE customer_id = ANY (@customer_ids::uuid[]) AND (data IS NOT NULL OR actor_kind = 'identity');

-- name: EventEraseResource :exec
UPDATE events SET data = NULL
WHERE customer_id = @customer_id AND resource_kind = @resource_kind AND resource_id = @resource_id AND data IS NOT NULL;

-- name: EventEraseActor :exec
-- What a login that is gone did stays, without its name.
UPDATE events SET actor_name = '', request_id = NULL
WHERE customer_id = @customer_id AND actor_kind = 'identity' AND actor_id = @actor_id;

-- name: EventFeedState :one
-- Whether there are events without a position, and the last position that was given. Those that came out of a backup never
-- get one.
SELECT EXISTS (SELECT FROM events WHERE position IS NULL AND restored_at IS NULL) AS unplaced,
    (SELECT coalesce(max(position), 0) FROM events)::bigint AS last;

-- name: EventBacklog :one
-- How many events have no place in the feed yet, how far the feed goes, and how far webhooks have come in it.
SELECT (SELECT count(*) FROM events WHERE position IS NULL AND restored_at IS NULL) AS unplaced,
    (SELECT coalesce(max(position), 0) FROM events)::bigint AS last,
    (SELECT webhook_cursor.position FROM webhook_cursor) AS sent;

-- name: SequencerTryLock :one
-- A statement of its own: EventPlace must see what the holder before committed.
SELECT pg_try_advisory_xact_lock(4119252);

-- name: EventPlace :execrows
-- Gives the committed events that have no position yet the next ones, in the order their rows were locked in. Those that
-- came out of a backup never get one.
WITH unplaced AS (
    SELECT events.sequence, row_number() OVER (ORDER BY events.sequence) AS place
    FROM events WHERE events.position IS NULL AND events.restored_at IS NULL
    ORDER BY events.sequence LIMIT @row_limit
), last AS (
    SELECT coalesce(max(events.position), 0) AS position FROM events
)
UPDATE events SET position = last.position + unplaced.place
FROM unplaced, last
WHERE events.sequence = unplaced.sequence;

-- name: EventCopy :copyfrom
INSERT INTO events (id, type, resource_kind, resource_id, version, customer_id, actor_kind, actor_id, actor_name,
    request_id, at, data, ancestors)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: EventRestore :copyfrom
INSERT INTO events (id, type, resource_kind, resource_id, version, customer_id, actor_kind, actor_id, actor_name,
    request_id, at, data, restored_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: EventLastVersion :one
-- The last version of a customer that there was here; 0 where there was none.
SELECT coalesce(max(version), 0)::bigint FROM events
WHERE customer_id = @customer_id::uuid AND resource_kind = 'customer' AND resource_id = @customer_id::uuid AND restored_at IS NULL;
