-- name: PublishingAccessInsert :exec
INSERT INTO publishing_accesses (id, publishing_id, actor_kind, actor_id, actor_name, via, at)
VALUES (@id, @publishing_id, @actor_kind, @actor_id, @actor_name, @via, @at);

-- name: PublishingAccessListNewestFirst :many
-- For the owner.
SELECT publishing_accesses.* FROM publishing_accesses
JOIN publishings ON publishings.id = publishing_accesses.publishing_id
WHERE publishing_accesses.publishing_id = @publishing_id AND publishings.identity_id = @identity_id::uuid
    AND (publishing_accesses.at, publishing_accesses.id) < (@before_at::timestamptz, @before_id::uuid)
ORDER BY publishing_accesses.at DESC, publishing_accesses.id DESC
LIMIT @row_limit;

-- name: PublishingAccessCount :one
SELECT count(*) FROM publishing_accesses
JOIN publishings ON publishings.id = publishing_accesses.publishing_id
WHERE publishing_accesses.publishing_id = @publishing_id AND publishings.identity_id = @identity_id::uuid;

-- name: PublishingAccessInsertMany :exec
-- For those of the publishings that are still there.
WITH read AS (
    SELECT publishings.id FROM publishings WHERE publishings.id = ANY (@publishing_ids::uuid[]) ORDER BY publishings.id FOR KEY SHARE
), given AS (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@publishing_ids::uuid[]) AS publishing_id
)
INSERT INTO publishing_accesses (id, publishing_id, actor_kind, actor_id, actor_name, via, at)
SELECT given.id, given.publishing_id, @actor_kind::text, sqlc.narg(actor_id)::uuid, @actor_name::text, @via::text, @at::timestamptz
FROM given JOIN read ON read.id = given.publishing_id;

-- name: PublishingAccessCopy :copyfrom
INSERT INTO publishing_accesses (id, publishing_id, actor_kind, actor_id, actor_name, via, at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: PublishingAccessFindTaken :many
SELECT id FROM publishing_accesses WHERE id = ANY (@ids::uuid[]);
