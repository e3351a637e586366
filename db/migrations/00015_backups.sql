-- +goose Up
-- That a backup of a customer was taken, by whom, and what it came to.
CREATE TABLE backups (
    id            uuid        NOT NULL,
    customer_id   uuid        NOT NULL,
    parts         text[]      NOT NULL, -- that it has, by the names of the contract
    taken_by_kind text        NOT NULL,
    taken_by_id   uuid,
    taken_by_name text        NOT NULL, -- '' once the login is deleted
    taken_at      timestamptz NOT NULL,
    size          bigint, -- these are null until the last byte is sent, and stay so where it never was
    sha256        bytea,
    finished_at   timestamptz,
    CONSTRAINT backups_pkey PRIMARY KEY (id),
    CONSTRAINT backups_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT backups_size_check CHECK (num_nonnulls(size, sha256, finished_at) IN (0, 3))
);
CREATE INDEX backups_customer_id_idx ON backups (customer_id, taken_at, id);

-- When a row came out of a backup; null for one that came to be here.
ALTER TABLE customers ADD COLUMN restored_at timestamptz;
ALTER TABLE identities ADD COLUMN restored_at timestamptz;
ALTER TABLE domains ADD COLUMN restored_at timestamptz;
ALTER TABLE publishings ADD COLUMN restored_at timestamptz;
ALTER TABLE notes ADD COLUMN restored_at timestamptz;
ALTER TABLE terms_acceptances ADD COLUMN restored_at timestamptz;

-- What happened before is told by a customer's history alone: such an event never gets a position.
ALTER TABLE events
    ADD COLUMN restored_at timestamptz,
    ADD CONSTRAINT events_position_check CHECK (position IS NULL OR restored_at IS NULL);
DROP INDEX events_unplaced_idx;
CREATE INDEX events_unplaced_idx ON events (sequence) WHERE position IS NULL AND restored_at IS NULL;

-- +goose Down
DELETE FROM events WHERE restored_at IS NOT NULL; -- they would be placed in the feed
DROP INDEX events_unplaced_idx;
CREATE INDEX events_unplaced_idx ON events (sequence) WHERE position IS NULL;
ALTER TABLE events
    DROP CONSTRAINT events_position_check,
    DROP COLUMN restored_at;
ALTER TABLE terms_acceptances DROP COLUMN restored_at;
ALTER TABLE notes DROP COLUMN restored_at;
ALTER TABLE publishings DROP COLUMN restored_at;
ALTER TABLE domains DROP COLUMN restored_at;
ALTER TABLE identities DROP COLUMN restored_at;
ALTER TABLE customers DROP COLUMN restored_at;
DROP TABLE backups;
