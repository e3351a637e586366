-- name: IdentityGet :one
SELECT * FROM identities WHERE id = $1 AND customer_id = $2;

-- name: IdentityGetWithActivity :one
SELECT sqlc.embed(identities), identity_activity.last_login_at
FROM identities LEFT JOIN identity_activity ON identity_activity.identity_id = identities.id
WHERE identities.id = @id AND identities.customer_id = @customer_id
    AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, identities.customer_id));

-- name: IdentityGetByEmail :one
-- With the status of its customer, which decides whether the person may sign in.
SELECT sqlc.embed(identities), customers.status AS customer_status
FROM identities JOIN customers ON customers.id = identities.customer_id
WHERE identities.email_key = $1;

-- name: IdentityGetForShare :one
-- For grants and refreshes: what they read of the login holds until they commit. Its customer is locked before.
SELECT * FROM identities WHERE id = $1 FOR SHARE;

-- name: IdentityGetForNoKeyUpdate :one
SELECT * FROM identities WHERE id = $1 AND customer_id = $2 FOR NO KEY UPDATE;

-- name: IdentityListForUpdate :many
-- All the logins of a customer, in the order in which everybody locks them.
SELECT * FROM identities WHERE customer_id = $1 ORDER BY id FOR UPDATE;

-- name: IdentityCountByCustomer :one
SELECT count(*) FROM identities WHERE customer_id = $1;

-- name: IdentityPasswordExists :one
-- Whether one of the customer's logins has a password.
SELECT EXISTS (SELECT FROM identities WHERE customer_id = $1 AND password_hash IS NOT NULL);

-- name: IdentityInsert :one
INSERT INTO identities (id, customer_id, name, email, role, password_hash, created_at, updated_at, name_key, email_key,
    search_text)
VALUES (@id, @customer_id, @name, @email, @role, @password_hash, @created_at, @created_at, @name_key, @email_key,
    @search_text)
RETURNING *;

-- name: IdentityUpdate :one
UPDATE identities SET name = @name, email = @email, role = @role, password_hash = @password_hash,
    updated_at = @updated_at, name_key = @name_key, email_key = @email_key, search_text = @search_text,
    version = version + 1
WHERE id = @id
RETURNING *;

-- name: IdentityDelete :exec
DELETE FROM identities WHERE id = $1;

-- name: IdentityActivityUpsert :exec
INSERT INTO identity_activity (identity_id, last_login_at) VALUES ($1, $2)
ON CONFLICT ON CONSTRAINT identity_activity_pkey DO UPDATE SET last_login_at = excluded.last_login_at;

-- name: IdentityGetWithCustomer :one
-- With the customer's acceptance of the current terms, null where there is none.
SELECT sqlc.embed(identities), sqlc.embed(customers), terms.version AS terms_version,
    terms_acceptances.accepted_at AS terms_accepted_at
FROM identities
JOIN customers ON customers.id = identities.customer_id
LEFT JOIN terms_acceptances ON terms_acceptances.customer_id = customers.id AND terms_acceptances.is_first
    AND terms_acceptances.terms_id = (SELECT newest.id FROM terms newest ORDER BY newest.version DESC LIMIT 1)
LEFT JOIN terms ON terms.id = terms_acceptances.terms_id
WHERE identities.id = @id AND identities.customer_id = @customer_id;

-- name: IdentityListOldestFirst :many
SELECT * FROM identities WHERE customer_id = $1 ORDER BY created_at, id LIMIT $2;

-- name: IdentityGetStanding :one
-- What a login may do at this moment: its role, and whether its customer's people are let in at all.
SELECT identities.role, customers.status AS customer_status
FROM identities JOIN customers ON customers.id = identities.customer_id
WHERE identities.id = @id AND identities.customer_id = @customer_id;

-- name: IdentityCopy :copyfrom
INSERT INTO identities (id, customer_id, name, email, role, restored_at, version, created_at, updated_at, name_key,
    email_key, search_text)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: IdentityActivityCopy :copyfrom
INSERT INTO identity_activity (identity_id, last_login_at) VALUES ($1, $2);

-- name: IdentityFindTaken :many
-- The logins that have one of the ids or of the email addresses.
SELECT id, customer_id, email_key FROM identities WHERE id = ANY (@ids::uuid[])
UNION
SELECT id, customer_id, email_key FROM identities WHERE email_key = ANY (@email_keys::text[]);
