-- name: PublishingGet :one
-- For a login: its own, and what its colleagues share. Without its login a publishing is nobody's to see here.
SELECT sqlc.embed(publishings), identities.name AS owner_name
FROM publishings JOIN identities ON identities.id = publishings.identity_id
WHERE publishings.id = @id AND publishings.customer_id = @customer_id
    AND (publishings.identity_id = @identity_id::uuid OR publishings.visibility = 'customer');

-- name: PublishingGetForUpdate :one
SELECT sqlc.embed(publishings), identities.name AS owner_name
FROM publishings JOIN identities ON identities.id = publishings.identity_id
WHERE publishings.id = @id AND publishings.identity_id = @identity_id::uuid
FOR UPDATE OF publishings;

-- name: PublishingGetByCustomer :one
SELECT * FROM publishings
WHERE id = @id AND customer_id = @customer_id
    AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, customer_id));

-- name: PublishingFind :one
-- No row when the login has no such publishing.
SELECT id FROM publishings WHERE id = @id AND identity_id = @identity_id::uuid;

-- name: PublishingInsert :one
-- Gives the owner's name; no row when the login is gone. Its customer is locked before it, as everybody does.
WITH customer AS (
    SELECT customers.id FROM customers WHERE customers.id = @customer_id FOR KEY SHARE
), owner AS (
    SELECT identities.id, identities.customer_id, identities.name
    FROM identities JOIN customer ON identities.customer_id = customer.id
    WHERE identities.id = @identity_id::uuid
)
INSERT INTO publishings (id, customer_id, identity_id, kind, title, content, state, visibility, template_id, size_bytes,
    created_at, updated_at, title_key, marks)
SELECT @id, owner.customer_id, owner.id, @kind, @title, @content, @state, @visibility, @template_id, @size_bytes,
    @created_at, @created_at, @title_key, @marks
FROM owner
RETURNING (SELECT owner.name FROM owner)::text AS owner_name;

-- name: PublishingUpdate :exec
UPDATE publishings SET kind = @kind, title = @title, content = @content, state = @state, visibility = @visibility,
    size_bytes = @size_bytes, updated_at = @updated_at, title_key = @title_key, marks = @marks,
    version = version + 1
WHERE id = @id AND identity_id = @identity_id::uuid;

-- name: PublishingDelete :exec
DELETE FROM publishings WHERE id = @id AND identity_id = @identity_id::uuid;

-- name: PublishingCountByCustomer :one
SELECT count(*) FROM publishings WHERE customer_id = $1;

-- name: PublishingOrphan :exec
-- Of a login that is about to be deleted; it is locked.
UPDATE publishings SET identity_id = NULL, owner_hash = @owner_hash WHERE identity_id = @identity_id::uuid;

-- name: PublishingAdopt :exec
-- For a login that was just created: what the same login had before it was deleted.
UPDATE publishings SET identity_id = @identity_id::uuid, owner_hash = NULL
WHERE customer_id = @customer_id AND owner_hash = ANY (@owner_hashes::bytea[]);

-- name: PublishingCopy :copyfrom
INSERT INTO publishings (id, customer_id, identity_id, owner_hash, kind, title, content, state, visibility, template_id,
    size_bytes, version, created_at, updated_at, restored_at, title_key, marks)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: PublishingFindTaken :many
SELECT id FROM publishings WHERE id = ANY (@ids::uuid[]);
