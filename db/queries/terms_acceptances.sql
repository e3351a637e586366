-- name: TermsAcceptanceInsert :one
-- The customer is locked: nobody else accepts for it meanwhile.
INSERT INTO terms_acceptances (id, customer_id, terms_id, identity_id, identity_name, identity_email, is_first, accepted_at)
SELECT @id::uuid, @customer_id::uuid, @terms_id::uuid, @identity_id::uuid, @identity_name::text, @identity_email::text,
    NOT EXISTS (
        SELECT FROM terms_acceptances earlier
        WHERE earlier.customer_id = @customer_id::uuid AND earlier.terms_id = @terms_id::uuid
    ), @accepted_at::timestamptz
RETURNING *;

-- name: TermsAcceptanceGet :one
SELECT * FROM terms_acceptances WHERE identity_id = $1 AND terms_id = $2;

-- name: TermsAcceptanceListNewestFirst :many
SELECT sqlc.embed(terms_acceptances), terms.version AS terms_version, terms.sha256 AS document_sha256
FROM terms_acceptances JOIN terms ON terms.id = terms_acceptances.terms_id
WHERE terms_acceptances.customer_id = @customer_id
    AND (terms_acceptances.accepted_at, terms_acceptances.id) < (@before_accepted_at::timestamptz, @before_id::uuid)
ORDER BY terms_acceptances.accepted_at DESC, terms_acceptances.id DESC
LIMIT @row_limit;

-- name: TermsAcceptanceListByIdentity :many
SELECT sqlc.embed(terms_acceptances), terms.version AS terms_version, terms.sha256 AS document_sha256
FROM terms_acceptances JOIN terms ON terms.id = terms_acceptances.terms_id
WHERE terms_acceptances.identity_id = @identity_id AND terms.version < @before_version
ORDER BY terms.version DESC
LIMIT @row_limit;

-- name: TermsAcceptanceCountByIdentity :one
SELECT count(*) FROM terms_acceptances WHERE identity_id = $1;

-- name: TermsAcceptanceCount :one
SELECT count(*) FROM terms_acceptances WHERE customer_id = $1;

-- name: TermsAcceptanceErase :exec
-- That somebody accepted stays, without who it was.
UPDATE terms_acceptances SET identity_id = NULL, identity_name = NULL, identity_email = NULL WHERE identity_id = $1;

-- name: TermsAcceptanceCopy :copyfrom
INSERT INTO terms_acceptances (id, customer_id, terms_id, identity_id, identity_name, identity_email, is_first, accepted_at,
    restored_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: TermsAcceptanceFindTaken :many
SELECT id FROM terms_acceptances WHERE id = ANY (@ids::uuid[]);
