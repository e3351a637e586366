-- Where a query takes a reach, that is the customer that the caller is limited to, with those below it: what lies elsewhere
-- is not there. Null is no limit.

-- name: CustomerGet :one
SELECT * FROM customers WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, id));

-- name: CustomerGetForNoKeyUpdate :one
SELECT * FROM customers WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, id))
FOR NO KEY UPDATE;

-- name: CustomerGetForShareByIdentity :one
-- For whatever depends on the customer's status and does not change it.
SELECT customers.* FROM customers
WHERE customers.id = (SELECT identities.customer_id FROM identities WHERE identities.id = @identity_id) FOR SHARE;

-- name: CustomerGetForShare :one
-- As above, for whoever knows the customer.
SELECT * FROM customers WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, id))
FOR SHARE;

-- name: CustomerGetForUpdate :one
SELECT * FROM customers WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, id))
FOR UPDATE;

-- name: CustomerLockForKeyShare :one
-- For whoever adds something that belongs to the customer.
SELECT id FROM customers WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, id))
FOR KEY SHARE;

-- name: CustomerInsert :one
INSERT INTO customers (id, name, email, phone, company, address, comments, modules, properties, parent_id, external_id,
    locale, status, created_at, updated_at, name_key, email_key, search_text, search_grams)
VALUES (@id, @name, @email, @phone, @company, @address, @comments, @modules, @properties, @parent_id, @external_id,
    @locale, @status, @created_at, @created_at, @name_key, @email_key, @search_text,
    @search_grams)
RETURNING *;

-- name: CustomerUpdate :one
UPDATE customers SET name = @name, email = @email, phone = @phone, company = @company, address = @address,
    comments = @comments, modules = @modules, properties = @properties, parent_id = @parent_id,
    external_id = @external_id, locale = @locale, updated_at = @updated_at, name_key = @name_key,
    email_key = @email_key, search_text = @search_text, search_grams = @search_grams, version = version + 1
WHERE id = @id
RETURNING *;

-- name: CustomerChildIDs :many
SELECT id FROM customers WHERE parent_id = $1 ORDER BY id LIMIT $2;

-- name: CustomerAncestors :many
-- The customer itself and all above it, from the bottom to the top.
WITH RECURSIVE line AS (
    SELECT customers.id, customers.parent_id, 1 AS level FROM customers WHERE customers.id = $1
    UNION ALL
    SELECT above.id, above.parent_id, line.level + 1 FROM customers above JOIN line ON above.id = line.parent_id
)
SELECT id FROM line ORDER BY level;

-- name: CustomerHeight :one
-- How many levels the customer and what is below it take up.
WITH RECURSIVE tree AS (
    SELECT customers.id, 1 AS level FROM customers WHERE customers.id = $1
    UNION ALL
    SELECT below.id, tree.level + 1 FROM customers below JOIN tree ON below.parent_id = tree.id
)
SELECT coalesce(max(level), 0)::integer FROM tree;

-- name: HierarchyLock :exec
-- Held by every move until it commits. A statement of its own: what follows must see what the holder before wrote.
SELECT pg_advisory_xact_lock(4119251);

-- name: CustomerFind :one
-- No row when there is no such customer.
SELECT id FROM customers WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, id));

-- name: CustomerGetWithActivity :one
-- With its acceptance of the current terms, null where there is none.
SELECT sqlc.embed(customers), customer_activity.last_activity_at, terms.version AS terms_version,
    terms_acceptances.accepted_at AS terms_accepted_at
FROM customers
LEFT JOIN customer_activity ON customer_activity.customer_id = customers.id
LEFT JOIN terms_acceptances ON terms_acceptances.customer_id = customers.id AND terms_acceptances.is_first
    AND terms_acceptances.terms_id = (SELECT newest.id FROM terms newest ORDER BY newest.version DESC LIMIT 1)
LEFT JOIN terms ON terms.id = terms_acceptances.terms_id
WHERE customers.id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, customers.id));

-- name: CustomerSetStatus :one
UPDATE customers SET status = @status, invited_at = @invited_at, updated_at = @updated_at, version = version + 1
WHERE id = @id
RETURNING *;

-- name: CustomerActivityUpsert :exec
-- The later of two moments stays.
INSERT INTO customer_activity (customer_id, last_activity_at) VALUES ($1, $2)
ON CONFLICT ON CONSTRAINT customer_activity_pkey
DO UPDATE SET last_activity_at = greatest(customer_activity.last_activity_at, excluded.last_activity_at);

-- name: CustomerCopy :copyfrom
INSERT INTO customers (id, name, email, phone, company, address, comments, modules, properties, parent_id, external_id,
    locale, status, created_at, updated_at, name_key, email_key, search_text, search_grams)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19);

-- name: CustomerFindByKeys :many
-- Those that have one of the ids or of the external ids, and whether they are within reach.
SELECT found.id, found.external_id, found.parent_id,
    (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, found.id))::boolean AS reached
FROM (
    SELECT id, external_id, parent_id FROM customers WHERE id = ANY (@ids::uuid[])
    UNION
    SELECT id, external_id, parent_id FROM customers WHERE external_id = ANY (@external_ids::text[])
) AS found;

-- name: CustomerListForNoKeyUpdate :many
SELECT * FROM customers
WHERE id = ANY (@ids::uuid[]) AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, id))
ORDER BY id FOR NO KEY UPDATE;

-- name: CustomerListForUpdate :many
SELECT * FROM customers
WHERE id = ANY (@ids::uuid[]) AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, id))
ORDER BY id FOR UPDATE;

-- name: CustomerLevels :many
-- On which level of the hierarchy each of the customers is, those at the top on the first.
WITH RECURSIVE line AS (
    SELECT customers.id AS start, customers.parent_id, 1 AS level FROM customers
    WHERE customers.id = ANY (@ids::uuid[])
        AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, customers.id))
    UNION ALL
    SELECT line.start, above.parent_id, line.level + 1 FROM customers above JOIN line ON above.id = line.parent_id
)
SELECT start AS id, max(level)::integer AS level FROM line GROUP BY start;

-- name: CustomerLines :many
-- Each of the customers with itself and all above it.
WITH RECURSIVE line AS (
    SELECT customers.id AS start, customers.id, customers.parent_id FROM customers WHERE customers.id = ANY (@ids::uuid[])
    UNION ALL
    SELECT line.start, above.id, above.parent_id FROM customers above JOIN line ON above.id = line.parent_id
)
SELECT start AS id, array_agg(line.id)::uuid[] AS line FROM line GROUP BY start;

-- name: CustomerDeleteAll :exec
DELETE FROM customers WHERE id = ANY (@ids::uuid[]);

-- name: CustomerParentsWithOthers :many
-- Those of the customers that have children who are not among them, with one of these.
SELECT DISTINCT ON (parent_id) parent_id::uuid AS parent_id, id FROM customers
WHERE parent_id = ANY (@ids::uuid[]) AND id <> ALL (@ids::uuid[]) ORDER BY parent_id, id;

-- name: CustomerChangedAfter :many
-- Those of the customers of which, or of what belongs to them, something was changed after the moment.
SELECT given.id::uuid FROM unnest(@ids::uuid[]) AS given (id)
WHERE EXISTS (SELECT FROM events WHERE events.customer_id = given.id AND events.at > @after::timestamptz);

-- name: CustomerActiveAfter :many
-- Those of the customers whose people were active after the moment.
SELECT customer_id FROM customer_activity
WHERE customer_id = ANY (@ids::uuid[]) AND last_activity_at > @after::timestamptz;

-- name: CustomerMovedAfter :many
-- Those of the customers that have somebody between themselves and the ancestor who was changed, and so may have been
-- moved, after the moment.
WITH RECURSIVE line AS (
    SELECT customers.id AS start, customers.parent_id FROM customers WHERE customers.id = ANY (@ids::uuid[])
    UNION ALL
    SELECT line.start, above.parent_id FROM customers above JOIN line ON above.id = line.parent_id
    WHERE above.id <> @ancestor_id::uuid
)
SELECT DISTINCT line.start AS id FROM line JOIN customers above ON above.id = line.parent_id
WHERE above.id <> @ancestor_id::uuid AND above.updated_at > @after::timestamptz;

-- name: HierarchyLockShared :exec
-- Held by who changes what is below a customer because of where it is: no move begins until it commits. A statement of
-- its own, as above.
SELECT pg_advisory_xact_lock_shared(4119251);

-- name: CustomerGetManaged :one
-- One that the login manages, as CustomerGetWithActivity has it.
SELECT sqlc.embed(customers), customer_activity.last_activity_at, terms.version AS terms_version,
    terms_acceptances.accepted_at AS terms_accepted_at
FROM customers
LEFT JOIN customer_activity ON customer_activity.customer_id = customers.id
LEFT JOIN terms_acceptances ON terms_acceptances.customer_id = customers.id AND terms_acceptances.is_first
    AND terms_acceptances.terms_id = (SELECT newest.id FROM terms newest ORDER BY newest.version DESC LIMIT 1)
LEFT JOIN terms ON terms.id = terms_acceptances.terms_id
WHERE customers.id = @id AND manages(@manager_id, customers.id);

-- name: CustomerGetManagedForNoKeyUpdate :one
SELECT customers.* FROM customers WHERE customers.id = @id AND manages(@manager_id, customers.id) FOR NO KEY UPDATE;

-- name: CustomerGetManagedForKeyShare :one
-- The customer of a manager itself, or one that it manages: what a child may be added to.
SELECT customers.* FROM customers
WHERE customers.id = @id AND (manages(@manager_id, customers.id) OR EXISTS (
    SELECT FROM identities WHERE identities.id = @manager_id AND identities.role = 'manager'
        AND identities.customer_id = customers.id AND customers.status = 'active'))
FOR KEY SHARE OF customers;

-- name: CustomerRestore :exec
-- As a backup has it.
INSERT INTO customers (id, name, email, phone, company, address, comments, modules, properties, parent_id, external_id,
    locale, status, invited_at, restored_at, version, created_at, updated_at, name_key, email_key, search_text, search_grams)
VALUES (@id, @name, @email, @phone, @company, @address, @comments, @modules, @properties, @parent_id, @external_id,
    @locale, @status, @invited_at, @restored_at, @version, @created_at, @updated_at, @name_key, @email_key, @search_text,
    @search_grams);

-- name: CustomerRestoring :exec
-- Lets the publishings of this customer in, until the transaction ends.
SELECT set_config('clientele.restoring', @id::text, true);

-- name: CustomerFindByExternalID :one
SELECT id FROM customers WHERE external_id = $1;

-- name: CustomerAllReached :one
-- Whether those of the ids that are customers are the reach or below it.
SELECT NOT EXISTS (SELECT FROM customers WHERE id = ANY (@ids::uuid[]) AND NOT reaches(@reach::uuid, id));

-- name: CustomerAllManaged :one
-- Whether those of the ids that are customers are the login's own or managed by it.
SELECT NOT EXISTS (
    SELECT FROM customers WHERE id = ANY (@ids::uuid[]) AND id <> @own::uuid AND NOT manages(@manager::uuid, id)
);
