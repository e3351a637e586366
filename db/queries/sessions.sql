-- name: SessionInsert :exec
INSERT INTO sessions (id, client_id, staff_id, identity_id, scope, user_agent, created_at, expires_at)
VALUES (@id, @client_id, @staff_id, @identity_id, @scope, @user_agent, @created_at, @expires_at);

-- name: SessionGet :one
SELECT * FROM sessions WHERE id = $1;

-- name: SessionGetForUpdate :one
SELECT * FROM sessions WHERE id = $1 FOR UPDATE;

-- name: SessionRevoke :execrows
UPDATE sessions SET revoked_at = @revoked_at WHERE id = @id AND revoked_at IS NULL;

-- name: SessionRevokeByStaff :many
-- Ends the sessions of an account, but for the one to keep.
UPDATE sessions SET revoked_at = @revoked_at
WHERE staff_id = @staff_id AND revoked_at IS NULL AND id IS DISTINCT FROM sqlc.narg(keep_id)
RETURNING id;

-- name: SessionRevokeByIdentity :many
-- Ends the sessions of a login, but for the one to keep.
UPDATE sessions SET revoked_at = @revoked_at
WHERE identity_id = @identity_id AND revoked_at IS NULL AND id IS DISTINCT FROM sqlc.narg(keep_id)
RETURNING id;

-- name: SessionRevokeByCustomers :many
-- Ends the sessions of all the logins of these customers.
UPDATE sessions SET revoked_at = @revoked_at
WHERE identity_id IN (SELECT identities.id FROM identities WHERE identities.customer_id = ANY (@customer_ids::uuid[]))
    AND revoked_at IS NULL
RETURNING id;

-- name: SessionListByIdentity :many
-- Those that are open, the newest first, with when a refresh token last carried them on.
SELECT sessions.id, sessions.user_agent, sessions.created_at, sessions.expires_at, coalesce((
    SELECT max(refresh_tokens.created_at) FROM refresh_tokens WHERE refresh_tokens.session_id = sessions.id
), sessions.created_at)::timestamptz AS last_used_at
FROM sessions
WHERE sessions.identity_id = @identity_id AND sessions.revoked_at IS NULL AND sessions.expires_at > @now
    AND (sessions.created_at, sessions.id) < (@before_created_at::timestamptz, @before_id::uuid)
ORDER BY sessions.created_at DESC, sessions.id DESC
LIMIT @row_limit;

-- name: SessionCountByIdentity :one
SELECT count(*) FROM sessions WHERE identity_id = @identity_id AND revoked_at IS NULL AND expires_at > @now;

-- name: SessionRevokeOfIdentity :execrows
-- Ends one of a login's own sessions.
UPDATE sessions SET revoked_at = @revoked_at
WHERE id = @id AND identity_id = @identity_id AND revoked_at IS NULL AND expires_at > @revoked_at;

-- name: SessionCountByCustomer :one
SELECT count(*) FROM sessions JOIN identities ON identities.id = sessions.identity_id
WHERE identities.customer_id = @customer_id AND sessions.revoked_at IS NULL AND sessions.expires_at > @now;

-- name: SessionDeleteExpired :execrows
DELETE FROM sessions WHERE expires_at < $1;

-- name: RefreshTokenInsert :exec
INSERT INTO refresh_tokens (hash, session_id, created_at, expires_at, parent_hash)
VALUES (@hash, @session_id, @created_at, @expires_at, @parent_hash);

-- name: RefreshTokenGet :one
SELECT * FROM refresh_tokens WHERE hash = $1;

-- name: RefreshTokenSpend :exec
UPDATE refresh_tokens SET spent_at = @spent_at WHERE hash = @hash;

-- name: RefreshTokenReplay :exec
UPDATE refresh_tokens SET replayed_at = @replayed_at WHERE hash = @hash;

-- name: RefreshTokenSuccessorSpent :one
SELECT EXISTS (SELECT FROM refresh_tokens WHERE parent_hash = $1 AND spent_at IS NOT NULL);
