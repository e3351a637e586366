-- +goose Up
-- Requests that were sent with a key, and what was answered, so that sending one again changes nothing. They live a day.
CREATE TABLE idempotency_keys (
    id         bytea       NOT NULL, -- a hash of who sent it and of the key: found whatever has become of the secret key
    request    bytea       NOT NULL, -- a keyed hash of what was sent: bodies hold passwords, which nobody is to guess by it
    answer     bytea,                -- encrypted; null once erased
    subjects   uuid[]      NOT NULL, -- whom and what the answer is about: it is erased with any of them
    expires_at timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (id)
);
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);
-- Each entry goes to its place at once, since deletions look for them all the time.
CREATE INDEX idempotency_keys_subjects_idx ON idempotency_keys USING gin (subjects) WITH (fastupdate = off)
    WHERE answer IS NOT NULL;
-- An answer is a kilobyte or a few, and encrypted: trying to compress it takes time for nothing.
ALTER TABLE idempotency_keys ALTER COLUMN answer SET STORAGE EXTERNAL;

-- +goose Down
DROP TABLE idempotency_keys;
