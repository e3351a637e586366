-- +goose Up
-- Versions of the terms and conditions; the highest is the current one. They are never changed and never deleted.
CREATE TABLE terms (
    id               uuid        NOT NULL,
    version          integer     NOT NULL,
    title            text        NOT NULL,
    content_type     text        NOT NULL,
    size             bigint      NOT NULL,
    sha256           bytea       NOT NULL,
    blob_key         text        NOT NULL,
    uploaded_at      timestamptz NOT NULL,
    uploaded_by_kind text        NOT NULL,
    uploaded_by_id   uuid,
    uploaded_by_name text        NOT NULL,
    CONSTRAINT terms_pkey PRIMARY KEY (id),
    CONSTRAINT terms_version_key UNIQUE (version),
    CONSTRAINT terms_blob_fkey FOREIGN KEY (blob_key) REFERENCES blobs (key)
);
CREATE INDEX terms_blob_key_idx ON terms (blob_key);

-- Who accepted which version. It outlives the login, but not the customer.
CREATE TABLE terms_acceptances (
    id             uuid        NOT NULL,
    customer_id    uuid        NOT NULL,
    terms_id       uuid        NOT NULL,
    identity_id    uuid, -- this and the next two are null once the login is deleted
    identity_name  text,
    identity_email text,
    is_first       boolean     NOT NULL, -- of the customer's acceptances of this version: the one that counts for it
    accepted_at    timestamptz NOT NULL,
    CONSTRAINT terms_acceptances_pkey PRIMARY KEY (id),
    CONSTRAINT terms_acceptances_identity_id_terms_id_key UNIQUE (identity_id, terms_id),
    CONSTRAINT terms_acceptances_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT terms_acceptances_terms_id_fkey FOREIGN KEY (terms_id) REFERENCES terms (id)
);
CREATE INDEX terms_acceptances_customer_id_idx ON terms_acceptances (customer_id, accepted_at, id);
CREATE UNIQUE INDEX terms_acceptances_first_key ON terms_acceptances (customer_id, terms_id) WHERE is_first;

-- +goose Down
DROP TABLE terms_acceptances;
DROP TABLE terms;
