-- +goose Up
-- What customers have to be printed.
CREATE TABLE jobs (
    id          uuid        NOT NULL,
    customer_id uuid        NOT NULL,
    name        text        NOT NULL,
    description text,
    copies      integer     NOT NULL,
    due_at      timestamptz,
    status      text        NOT NULL,
    restored_at timestamptz, -- when it came out of a backup; null for one that was submitted here
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    -- Made by the program.
    name_key    text        COLLATE "C" NOT NULL, -- folded
    due_key     timestamptz NOT NULL, -- due_at, or the end of time: what is never due comes last
    search_text text        COLLATE "C" NOT NULL, -- name and description, folded
    CONSTRAINT jobs_pkey PRIMARY KEY (id),
    CONSTRAINT jobs_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT jobs_copies_check CHECK (copies > 0),
    CONSTRAINT jobs_status_check CHECK (status IN ('new', 'incoming', 'processing', 'completed'))
);
-- All of them in each order; a customer's; those that wait for something to be done.
CREATE INDEX jobs_created_at_idx ON jobs (created_at, id);
CREATE INDEX jobs_updated_at_idx ON jobs (updated_at, id);
CREATE INDEX jobs_due_idx ON jobs (due_key, id);
CREATE INDEX jobs_name_idx ON jobs (name_key, id);
CREATE INDEX jobs_customer_id_idx ON jobs (customer_id, created_at, id);
CREATE INDEX jobs_status_idx ON jobs (status, created_at, id);
CREATE INDEX jobs_search_idx ON jobs USING gin (search_text gin_trgm_ops);

-- The files of a job: of each kind one at most. Putting another one of a kind replaces the row, never the bytes.
CREATE TABLE job_files (
    job_id       uuid        NOT NULL,
    kind         text        NOT NULL,
    filename     text        NOT NULL, -- as the sender called it, made safe
    content_type text        NOT NULL,
    size         bigint      NOT NULL,
    sha256       bytea       NOT NULL,
    blob_key     text        NOT NULL,
    uploaded_at  timestamptz NOT NULL,
    CONSTRAINT job_files_pkey PRIMARY KEY (job_id, kind),
    CONSTRAINT job_files_job_id_fkey FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE CASCADE,
    CONSTRAINT job_files_blob_fkey FOREIGN KEY (blob_key) REFERENCES blobs (key),
    CONSTRAINT job_files_kind_check CHECK (kind IN ('input', 'pdl-model', 'support'))
);
CREATE INDEX job_files_blob_key_idx ON job_files (blob_key);

-- +goose Down
DROP TABLE job_files;
DROP TABLE jobs;
