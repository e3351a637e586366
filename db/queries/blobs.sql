-- name: BlobInsert :exec
INSERT INTO blobs (key, kind, created_at) VALUES (@key, @kind, @created_at);

-- name: BlobListOld :many
SELECT key FROM blobs WHERE created_at < @created_before AND key > @after_key ORDER BY key LIMIT @row_limit;

-- name: BlobRetire :exec
-- Takes a blob away from what could refer to it, and notes that its bytes are to go. A foreign key refuses this when
-- something does refer to it.
WITH retired AS (
    DELETE FROM blobs WHERE blobs.key = @key RETURNING blobs.key
)
INSERT INTO blob_deletions (key, retired_at) SELECT retired.key, @retired_at FROM retired;

-- name: BlobDeletionList :many
SELECT key FROM blob_deletions
WHERE retired_at < @retired_before AND key > @after_key ORDER BY key LIMIT @row_limit;

-- name: BlobDeletionDone :exec
DELETE FROM blob_deletions WHERE key = ANY (@keys::text[]);
