-- name: SigningKeyList :many
-- The active key, and the retired ones whose tokens may still be valid.
SELECT * FROM signing_keys WHERE retired_at IS NULL OR retired_at > @retired_after::timestamptz ORDER BY created_at;

-- name: SigningKeyRetire :execrows
UPDATE signing_keys SET retired_at = $1 WHERE retired_at IS NULL;

-- name: SigningKeyInsert :exec
INSERT INTO signing_keys (id, public_key, private_key_sealed, created_at)
VALUES (@id, @public_key, @private_key_sealed, @created_at);

-- name: SigningKeyExists :one
SELECT EXISTS (SELECT FROM signing_keys);
