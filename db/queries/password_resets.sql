-- name: PasswordResetInsert :execrows
-- For a login that may sign in; nothing for any other address, nor for a login that is just being deleted.
INSERT INTO password_resets (id, identity_id, expires_at, created_at)
SELECT @id::uuid, identities.id, @expires_at::timestamptz, @created_at::timestamptz
FROM identities JOIN customers ON customers.id = identities.customer_id
WHERE identities.email_key = @email_key AND identities.password_hash IS NOT NULL AND customers.status = 'active'
FOR KEY SHARE OF identities;

-- name: PasswordResetGetWithIdentity :one
SELECT sqlc.embed(password_resets), sqlc.embed(identities), customers.name AS customer_name, customers.locale,
    customers.status AS customer_status
FROM password_resets
JOIN identities ON identities.id = password_resets.identity_id
JOIN customers ON customers.id = identities.customer_id
WHERE password_resets.id = $1;

-- name: PasswordResetGetForUpdate :one
SELECT * FROM password_resets WHERE id = $1 FOR UPDATE;

-- name: PasswordResetSetState :exec
UPDATE password_resets SET state = @state WHERE id = @id;

-- name: PasswordResetRevokeOlder :exec
-- A newer link replaces the others of its login.
UPDATE password_resets SET state = 'revoked'
WHERE state = 'open' AND id <> @id::uuid
    AND identity_id = (SELECT newer.identity_id FROM password_resets newer WHERE newer.id = @id::uuid);

-- name: PasswordResetRevokeByIdentity :exec
UPDATE password_resets SET state = 'revoked' WHERE identity_id = $1 AND state = 'open';

-- name: PasswordResetRevokeByCustomer :exec
UPDATE password_resets SET state = 'revoked'
WHERE state = 'open' AND identity_id IN (SELECT identities.id FROM identities WHERE identities.customer_id = $1);

-- name: PasswordResetDeleteOld :execrows
DELETE FROM password_resets WHERE expires_at < $1;
