-- name: BackupInsert :one
INSERT INTO backups (id, customer_id, parts, taken_by_kind, taken_by_id, taken_by_name, taken_at)
VALUES (@id, @customer_id, @parts, @taken_by_kind, @taken_by_id, @taken_by_name, @taken_at)
RETURNING *;

-- name: BackupFinish :exec
UPDATE backups SET size = @size, sha256 = @sha256, finished_at = @finished_at WHERE id = @id;

-- name: BackupListNewestFirst :many
SELECT * FROM backups
WHERE customer_id = @customer_id AND (taken_at, id) < (@before_taken_at::timestamptz, @before_id::uuid)
ORDER BY taken_at DESC, id DESC
LIMIT @row_limit;

-- name: BackupCount :one
SELECT count(*) FROM backups WHERE customer_id = $1;

-- name: BackupEraseActor :exec
-- What a login that is gone took stays, without its name.
UPDATE backups SET taken_by_name = '' WHERE customer_id = @customer_id AND taken_by_kind = 'identity' AND taken_by_id = @taken_by_id;
