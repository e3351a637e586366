-- +goose Up
-- Work that takes longer than a request: imports, bulk deletions. It is done in steps, each a transaction of its own.
CREATE TABLE operations (
    id              uuid        NOT NULL,
    kind            text        NOT NULL,
    customer_id     uuid, -- that an import is for; null where no single customer is meant
    dry_run         boolean     NOT NULL,
    state           text        NOT NULL DEFAULT 'queued',
    settings        json,        -- what was asked for, which may be personal; null once it is done
    spool_key       text,        -- the file that is imported; null once it is done
    columns         text[],      -- the headers of the file; null where it has none, or none that is known
    step            bigint      NOT NULL DEFAULT 0, -- how many are done
    start_key       uuid,        -- a hash of the token that it was started with, which starts nothing else; null for none
    is_long         boolean     NOT NULL, -- whether the next step may take more than a minute
    place           json,        -- where the next step goes on; null before the first one and once it is done
    rows_total      bigint,      -- null where it is not known
    rows_read       bigint      NOT NULL DEFAULT 0,
    rows_created    bigint      NOT NULL DEFAULT 0,
    rows_updated    bigint      NOT NULL DEFAULT 0,
    rows_deleted    bigint      NOT NULL DEFAULT 0,
    rows_skipped    bigint      NOT NULL DEFAULT 0,
    rows_refused    bigint      NOT NULL DEFAULT 0,
    bytes_total     bigint,      -- null where no file is read
    bytes_read      bigint      NOT NULL DEFAULT 0,
    failure_code    text,
    failure_message text,
    created_by_kind text        NOT NULL,
    created_by_id   uuid,
    created_by_name text        NOT NULL,
    request_id      text,
    version         bigint      NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    started_at      timestamptz,
    updated_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    CONSTRAINT operations_pkey PRIMARY KEY (id),
    CONSTRAINT operations_start_key UNIQUE (start_key),
    CONSTRAINT operations_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT operations_spool_fkey FOREIGN KEY (spool_key) REFERENCES blobs (key),
    CONSTRAINT operations_kind_check CHECK (kind IN ('customer_import', 'domain_import', 'customer_bulk_delete')),
    CONSTRAINT operations_state_check CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT operations_finished_at_state_check CHECK ((finished_at IS NULL) = (state IN ('queued', 'running')))
);
CREATE INDEX operations_created_at_idx ON operations (created_at, id);
CREATE INDEX operations_customer_id_idx ON operations (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX operations_spool_key_idx ON operations (spool_key) WHERE spool_key IS NOT NULL;
CREATE INDEX operations_open_idx ON operations (updated_at) WHERE finished_at IS NULL;
CREATE INDEX operations_finished_at_idx ON operations (finished_at) WHERE finished_at IS NOT NULL;

-- What an operation did not do, and why.
CREATE TABLE operation_refusals (
    operation_id  uuid     NOT NULL,
    number        bigint   NOT NULL, -- 1 for the operation's first
    row           bigint,            -- of the file; null where there is none
    resource_kind text,
    resource_id   uuid,
    faults        jsonb    NOT NULL, -- [{"column": …, "code": …, "message": …}]
    cells         text[]   NOT NULL, -- of the row, as they came; one cell for a line that has none
    CONSTRAINT operation_refusals_pkey PRIMARY KEY (operation_id, number),
    CONSTRAINT operation_refusals_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES operations (id) ON DELETE CASCADE
);

-- The keys that were met in a file, to find those that are there twice. They go when the operation is done.
CREATE TABLE operation_keys (
    operation_id uuid   NOT NULL,
    key          uuid   NOT NULL, -- a hash of it
    row          bigint NOT NULL,
    CONSTRAINT operation_keys_pkey PRIMARY KEY (operation_id, key),
    CONSTRAINT operation_keys_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES operations (id) ON DELETE CASCADE
);

-- What is still to be done, one resource each, in this order. They go when the operation is done.
CREATE TABLE operation_items (
    operation_id uuid   NOT NULL,
    number       bigint NOT NULL,
    resource_id  uuid   NOT NULL,
    CONSTRAINT operation_items_pkey PRIMARY KEY (operation_id, number),
    CONSTRAINT operation_items_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES operations (id) ON DELETE CASCADE
);

-- +goose Down
DROP TABLE operation_items;
DROP TABLE operation_keys;
DROP TABLE operation_refusals;
DROP TABLE operations;
