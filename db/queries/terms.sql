-- name: TermsLock :exec
-- Held by whoever publishes until it commits: of two, one has the next version and the other the one after it.
LOCK TABLE terms IN SHARE ROW EXCLUSIVE MODE;

-- name: TermsInsert :one
INSERT INTO terms (id, version, title, content_type, size, sha256, blob_key, uploaded_at, uploaded_by_kind,
    uploaded_by_id, uploaded_by_name)
SELECT @id::uuid, coalesce(max(terms.version), 0) + 1, @title::text, @content_type::text, @size::bigint, @sha256::bytea,
    @blob_key::text, @uploaded_at::timestamptz, @uploaded_by_kind::text, sqlc.narg(uploaded_by_id)::uuid,
    @uploaded_by_name::text
FROM terms
RETURNING *;

-- name: TermsGet :one
SELECT * FROM terms WHERE id = $1;

-- name: TermsGetCurrent :one
SELECT * FROM terms ORDER BY version DESC LIMIT 1;

-- name: TermsListNewestFirst :many
SELECT * FROM terms WHERE version < @before_version ORDER BY version DESC LIMIT @row_limit;

-- name: TermsCount :one
SELECT count(*) FROM terms;

-- name: TermsMissing :one
-- The current terms, when the customer has not accepted them.
SELECT current.id FROM (SELECT terms.id FROM terms ORDER BY terms.version DESC LIMIT 1) AS current
WHERE NOT EXISTS (
    SELECT FROM terms_acceptances
    WHERE terms_acceptances.customer_id = @customer_id AND terms_acceptances.terms_id = current.id
        AND terms_acceptances.is_first
);

-- name: TermsCurrentVersion :one
-- 0 before the first.
SELECT coalesce(max(version), 0)::integer FROM terms;

-- name: TermsFindByDocument :many
-- The versions that have one of the documents.
SELECT id, version, sha256 FROM terms WHERE sha256 = ANY (@digests::bytea[]) ORDER BY version;
