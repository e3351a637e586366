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
