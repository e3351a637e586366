-- name: TokenRevocationInsert :exec
INSERT INTO token_revocations (target_id, min_epoch, revoked_at) VALUES (@target_id, @min_epoch, @revoked_at);

-- name: TokenRevocationInsertMany :exec
INSERT INTO token_revocations (target_id, revoked_at)
SELECT unnest(@target_ids::uuid[]), @revoked_at::timestamptz;

-- name: TokenRevocationList :many
SELECT target_id, min_epoch FROM token_revocations WHERE revoked_at > $1;

-- name: TokenRevocationDeleteOld :execrows
DELETE FROM token_revocations WHERE revoked_at < $1;
