-- name: TokenRevocationInsert :exec
INSERT INTO token_revocations (target_id, min_epoch, revoked_at) VALUES (@target_id, @min_epoch, @revoked_at);

-- name: TokenRevocationInsertMany :exec
INSERT INTO token_revocations (target_id, revoked_at)
SELECT unnest(@target_ids::uuid[]), @revoked_at::timestamptz;

-- name: TokenRevocationList :many
-- By session or subject, the first epoch that is valid; the greatest number where none is.
SELECT target_id, max(coalesce(min_epoch, 2147483647))::integer AS min_epoch
FROM token_revocations WHERE revoked_at > $1 GROUP BY target_id;

-- name: TokenRevocationExists :one
-- Whether tokens of the epoch are revoked, of any of these sessions and subjects.
SELECT EXISTS (
    SELECT FROM token_revocations
    WHERE target_id = ANY (@target_ids::uuid[]) AND coalesce(min_epoch, 2147483647) > @epoch::integer
);

-- name: TokenRevocationDeleteOld :execrows
DELETE FROM token_revocations WHERE revoked_at < $1;
