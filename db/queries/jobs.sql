-- name: JobGet :one
SELECT * FROM jobs WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, customer_id));

-- name: JobGetByCustomer :one
SELECT * FROM jobs WHERE id = $1 AND customer_id = $2;

-- name: JobGetForUpdate :one
-- Its customer is locked before it, as everybody does: one that is being deleted takes the job along.
WITH customer AS (
    SELECT customers.id FROM customers
    WHERE customers.id = (SELECT jobs.customer_id FROM jobs WHERE jobs.id = @id)
        AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, customers.id))
    FOR KEY SHARE
)
SELECT jobs.* FROM jobs JOIN customer ON customer.id = jobs.customer_id WHERE jobs.id = @id FOR UPDATE OF jobs;

-- name: JobGetByCustomerForUpdate :one
-- As above, for one of the people of the customer: an upload may take longer than it takes to switch them off.
WITH customer AS (
    SELECT customers.id FROM customers
    WHERE customers.id = @customer_id AND customers.status = 'active' AND EXISTS (
        SELECT FROM identities WHERE identities.id = @identity_id AND identities.customer_id = customers.id
    )
    FOR KEY SHARE
)
SELECT jobs.* FROM jobs JOIN customer ON customer.id = jobs.customer_id WHERE jobs.id = @id FOR UPDATE OF jobs;

-- name: JobInsert :one
INSERT INTO jobs (id, customer_id, name, description, copies, due_at, status, created_at, updated_at, name_key, due_key,
    search_text)
VALUES (@id, @customer_id, @name, @description, @copies, @due_at, @status, @created_at, @created_at, @name_key, @due_key,
    @search_text)
RETURNING *;

-- name: JobUpdate :one
UPDATE jobs SET name = @name, description = @description, copies = @copies, due_at = @due_at, updated_at = @updated_at,
    name_key = @name_key, due_key = @due_key, search_text = @search_text, version = version + 1
WHERE id = @id
RETURNING *;

-- name: JobSetStatus :one
UPDATE jobs SET status = @status, updated_at = @updated_at, version = version + 1 WHERE id = @id RETURNING *;

-- name: JobTouch :one
-- Something of it changed that is not in its row.
UPDATE jobs SET updated_at = @updated_at, version = version + 1 WHERE id = @id RETURNING *;

-- name: JobDelete :exec
DELETE FROM jobs WHERE id = $1;

-- name: JobCountByCustomer :many
SELECT status, count(*) FROM jobs WHERE customer_id = $1 GROUP BY status;

-- name: JobListBlocking :many
-- The jobs of a customer that are in another status than these.
SELECT id, status FROM jobs
WHERE customer_id = @customer_id AND status <> ALL (@statuses::text[]) ORDER BY id LIMIT @row_limit;

-- name: JobListBlockingOfAll :many
-- Of each of the customers that have a job in another status than these, the first such job.
SELECT DISTINCT ON (customer_id) customer_id, id, status FROM jobs
WHERE customer_id = ANY (@customer_ids::uuid[]) AND status <> ALL (@statuses::text[]) ORDER BY customer_id, id;

-- name: JobFindTaken :many
SELECT id FROM jobs WHERE id = ANY (@ids::uuid[]);

-- name: JobCopy :copyfrom
INSERT INTO jobs (id, customer_id, name, description, copies, due_at, status, restored_at, version, created_at, updated_at,
    name_key, due_key, search_text)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);
