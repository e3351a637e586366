-- +goose Up
-- How often something was tried that is slowed down, such as signing in. The key is a keyed hash of what is counted, so
-- that no email address and no network address stands here. A crash of PostgreSQL empties the table, and so does the
-- promotion of a standby: counting then begins anew, and for that a try costs no write to the disk.
CREATE UNLOGGED TABLE attempt_counts (
    key     bytea       NOT NULL,
    count   integer     NOT NULL, -- the tries that are not forgotten yet
    last_at timestamptz NOT NULL, -- when the last of them was counted
    free_at timestamptz NOT NULL, -- until then none is let through
    CONSTRAINT attempt_counts_pkey PRIMARY KEY (key)
) WITH (fillfactor = 70);

-- From where a login has signed in, as a keyed hash of both. It must outlive a crash: it is what lets the owner of a
-- login in while others guess at it.
CREATE TABLE known_addresses (
    key        bytea       NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT known_addresses_pkey PRIMARY KEY (key)
);
CREATE INDEX known_addresses_expires_at_idx ON known_addresses (expires_at);

-- +goose Down
DROP TABLE known_addresses;
DROP TABLE attempt_counts;
