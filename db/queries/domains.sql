-- name: DomainGet :one
SELECT * FROM domains WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, customer_id));

-- name: DomainGetForUpdate :one
SELECT * FROM domains WHERE id = @id AND (sqlc.narg(reach)::uuid IS NULL OR reaches(sqlc.narg(reach)::uuid, customer_id))
FOR UPDATE;

-- name: DomainInsert :one
INSERT INTO domains (id, customer_id, host, http_ports, scheme, origin, origin_port, cache_configuration, redirection,
    ssl_expires_at, tls_protocol, waf_configuration, created_at, updated_at, search_text)
VALUES (@id, @customer_id, @host, @http_ports, @scheme, @origin, @origin_port, @cache_configuration, @redirection,
    @ssl_expires_at, @tls_protocol, @waf_configuration, @created_at, @created_at, @search_text)
RETURNING *;

-- name: DomainUpdate :one
UPDATE domains SET host = @host, http_ports = @http_ports, scheme = @scheme, origin = @origin, origin_port = @origin_port,
    cache_configuration = @cache_configuration, redirection = @redirection, ssl_expires_at = @ssl_expires_at,
    tls_protocol = @tls_protocol, waf_configuration = @waf_configuration, updated_at = @updated_at,
    search_text = @search_text, version = version + 1
WHERE id = @id
RETURNING *;

-- name: DomainDelete :exec
DELETE FROM domains WHERE id = $1;

-- name: DomainCountByCustomer :one
SELECT count(*) FROM domains WHERE customer_id = $1;

-- name: DomainCopy :copyfrom
INSERT INTO domains (id, customer_id, host, http_ports, scheme, origin, origin_port, cache_configuration, redirection,
    ssl_expires_at, tls_protocol, waf_configuration, created_at, updated_at, search_text)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: DomainFindByHosts :many
SELECT id, customer_id, host FROM domains WHERE host = ANY (@hosts::text[]);

-- name: DomainListForUpdate :many
SELECT * FROM domains WHERE id = ANY (@ids::uuid[]) ORDER BY id FOR UPDATE;

-- name: DomainRestore :copyfrom
INSERT INTO domains (id, customer_id, host, http_ports, scheme, origin, origin_port, cache_configuration, redirection,
    ssl_expires_at, tls_protocol, waf_configuration, restored_at, version, created_at, updated_at, search_text)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: DomainFindTaken :many
-- The domains that have one of the ids or of the hosts.
SELECT id, customer_id, host FROM domains WHERE id = ANY (@ids::uuid[])
UNION
SELECT id, customer_id, host FROM domains WHERE host = ANY (@hosts::text[]);
