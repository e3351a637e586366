-- +goose Up
-- The keys of bytes that are kept outside the database, each inserted before there are bytes. What refers to bytes has a
-- foreign key on this table, without ON DELETE, and an index on its column: the foreign keys say which bytes are needed.
CREATE TABLE blobs (
    key        text        NOT NULL,
    kind       text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT blobs_pkey PRIMARY KEY (key),
    CONSTRAINT blobs_kind_check CHECK (kind ~ '^[a-z][a-z0-9-]*$')
);

-- Keys that nothing can refer to any more. Their bytes stay a day, for those who are still reading, and then go.
CREATE TABLE blob_deletions (
    key        text        NOT NULL,
    retired_at timestamptz NOT NULL,
    CONSTRAINT blob_deletions_pkey PRIMARY KEY (key)
);

-- +goose Down
DROP TABLE blob_deletions;
DROP TABLE blobs;
