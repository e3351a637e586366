-- name: ApiClientGet :one
SELECT * FROM api_clients WHERE id = $1;

-- name: ApiClientGetWithActivity :one
SELECT sqlc.embed(api_clients), api_client_activity.last_used_at
FROM api_clients LEFT JOIN api_client_activity ON api_client_activity.api_client_id = api_clients.id
WHERE api_clients.id = $1;

-- name: ApiClientGetForNoKeyUpdate :one
SELECT * FROM api_clients WHERE id = $1 FOR NO KEY UPDATE;

-- name: ApiClientGetForUpdate :one
SELECT * FROM api_clients WHERE id = $1 FOR UPDATE;

-- name: ApiClientInsert :one
INSERT INTO api_clients (id, name, scopes, customer_id, expires_at, allowed_networks, secret_hash, secret_changed_at,
    created_at, updated_at)
VALUES (@id, @name, @scopes, @customer_id, @expires_at, @allowed_networks, @secret_hash, @created_at,
    @created_at, @created_at)
RETURNING *;

-- name: ApiClientUpdate :one
UPDATE api_clients SET name = @name, scopes = @scopes, customer_id = @customer_id, expires_at = @expires_at,
    allowed_networks = @allowed_networks, secret_hash = @secret_hash, secret_changed_at = @secret_changed_at,
    previous_secret_hash = @previous_secret_hash,
    previous_secret_expires_at = @previous_secret_expires_at, token_epoch = @token_epoch, updated_at = @updated_at,
    version = version + 1
WHERE id = @id
RETURNING *;

-- name: ApiClientDelete :exec
DELETE FROM api_clients WHERE id = $1;

-- name: ApiClientListOldestFirst :many
SELECT sqlc.embed(api_clients), api_client_activity.last_used_at
FROM api_clients LEFT JOIN api_client_activity ON api_client_activity.api_client_id = api_clients.id
WHERE (api_clients.created_at, api_clients.id) > (@after_created_at::timestamptz, @after_id::uuid)
ORDER BY api_clients.created_at, api_clients.id
LIMIT @row_limit;

-- name: ApiClientCount :one
SELECT count(*) FROM api_clients;

-- name: ApiClientCountByCustomer :one
SELECT count(*) FROM api_clients WHERE customer_id = $1;

-- name: ApiClientListForUpdateByCustomers :many
-- Those that are limited to the customers, which are about to be deleted.
SELECT id FROM api_clients WHERE customer_id = ANY (@customer_ids::uuid[]) ORDER BY id FOR UPDATE;

-- name: ApiClientActivityUpsert :exec
-- The later of two moments stays. Nothing for a client that is gone.
INSERT INTO api_client_activity (api_client_id, last_used_at)
SELECT api_clients.id, @last_used_at::timestamptz FROM api_clients WHERE api_clients.id = @id
ON CONFLICT ON CONSTRAINT api_client_activity_pkey
DO UPDATE SET last_used_at = excluded.last_used_at WHERE api_client_activity.last_used_at < excluded.last_used_at;
