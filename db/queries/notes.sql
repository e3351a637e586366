-- name: NoteInsert :one
INSERT INTO notes (id, customer_id, text, author_kind, author_id, author_name, created_at)
VALUES (@id, @customer_id, @text, @author_kind, @author_id, @author_name, @created_at)
RETURNING *;

-- name: NoteListNewestFirst :many
SELECT * FROM notes
WHERE customer_id = @customer_id
    AND (created_at, id) < (@before_created_at::timestamptz, @before_id::uuid)
ORDER BY created_at DESC, id DESC
LIMIT @row_limit;

-- name: NoteCount :one
SELECT count(*) FROM notes WHERE customer_id = $1;

-- name: NoteDelete :one
DELETE FROM notes WHERE id = $1 AND customer_id = $2 RETURNING *;

-- name: NoteCopy :copyfrom
INSERT INTO notes (id, customer_id, text, author_kind, author_id, author_name, created_at, restored_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: NoteFindTaken :many
SELECT id FROM notes WHERE id = ANY (@ids::uuid[]);
