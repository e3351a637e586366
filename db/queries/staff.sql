-- name: StaffGet :one
SELECT * FROM staff WHERE id = $1;

-- name: StaffGetWithActivity :one
SELECT sqlc.embed(staff), staff_activity.last_login_at
FROM staff LEFT JOIN staff_activity ON staff_activity.staff_id = staff.id
WHERE staff.id = $1;

-- name: StaffGetByEmail :one
SELECT * FROM staff WHERE email_key = $1;

-- name: StaffGetForShare :one
-- For grants and refreshes: what they read of the account holds until they commit.
SELECT * FROM staff WHERE id = $1 FOR SHARE;

-- name: StaffGetForNoKeyUpdate :one
SELECT * FROM staff WHERE id = $1 FOR NO KEY UPDATE;

-- name: StaffGetForUpdate :one
SELECT * FROM staff WHERE id = $1 FOR UPDATE;

-- name: StaffInsert :one
INSERT INTO staff (id, name, email, email_key, role, password_hash, created_at, updated_at)
VALUES (@id, @name, @email, @email_key, @role, @password_hash, @created_at, @created_at)
RETURNING *;

-- name: StaffUpdate :one
UPDATE staff SET name = @name, email = @email, email_key = @email_key, role = @role, password_hash = @password_hash,
    token_epoch = @token_epoch, updated_at = @updated_at, version = version + 1
WHERE id = @id
RETURNING *;

-- name: StaffDelete :exec
DELETE FROM staff WHERE id = $1;

-- name: StaffExists :one
SELECT EXISTS (SELECT FROM staff);

-- name: StaffAdministratorsLock :many
-- Whoever takes an administrator away holds this, so that two cannot take each other away.
SELECT id FROM staff WHERE role = 'administrator' ORDER BY id FOR NO KEY UPDATE;

-- name: StaffListOldestFirst :many
SELECT sqlc.embed(staff), staff_activity.last_login_at
FROM staff LEFT JOIN staff_activity ON staff_activity.staff_id = staff.id
WHERE (staff.created_at, staff.id) > (@after_created_at::timestamptz, @after_id::uuid)
ORDER BY staff.created_at, staff.id
LIMIT @row_limit;

-- name: StaffCount :one
SELECT count(*) FROM staff;

-- name: StaffActivityUpsert :exec
INSERT INTO staff_activity (staff_id, last_login_at) VALUES ($1, $2)
ON CONFLICT ON CONSTRAINT staff_activity_pkey DO UPDATE SET last_login_at = excluded.last_login_at;
