-- +goose Up
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE customers (
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    email       text,
    phone       text,
    company     text,
    address     text,
    comments    text,
    modules     text[]      NOT NULL DEFAULT '{}',
    properties  jsonb       NOT NULL DEFAULT '{}',
    parent_id   uuid,
    external_id text,
    locale      text        NOT NULL DEFAULT 'en',
    status      text        NOT NULL DEFAULT 'unregistered',
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    -- Folded copies, made by the program: without case and accents, whatever the database's locale.
    name_key    text        COLLATE "C" NOT NULL,
    email_key   text        COLLATE "C",
    search_text text        COLLATE "C" NOT NULL,
    search_grams int4[]     NOT NULL, -- hashes of every six bytes that follow each other in a field of search_text
    CONSTRAINT customers_pkey PRIMARY KEY (id),
    CONSTRAINT customers_external_id_key UNIQUE (external_id),
    CONSTRAINT customers_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES customers (id) ON DELETE RESTRICT,
    CONSTRAINT customers_parent_id_check CHECK (parent_id <> id),
    CONSTRAINT customers_status_check CHECK (status IN ('unregistered', 'inactive', 'active', 'deactivated')),
    CONSTRAINT customers_properties_check CHECK (jsonb_typeof(properties) = 'object')
);
CREATE INDEX customers_created_at_idx ON customers (created_at, id);
CREATE INDEX customers_updated_at_idx ON customers (updated_at, id);
CREATE INDEX customers_name_idx ON customers (name_key, id);
CREATE INDEX customers_parent_id_idx ON customers (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX customers_email_idx ON customers (email_key) WHERE email_key IS NOT NULL;
CREATE INDEX customers_modules_idx ON customers USING gin (modules) WHERE modules <> '{}';
-- Three letters are in many rows, and the more rows there are the longer are the lists that a search goes through, even
-- when it finds few. Six are in few, so texts that have six are looked for by them, and shorter ones by threes.
CREATE INDEX customers_search_idx ON customers USING gin (search_text gin_trgm_ops);
CREATE INDEX customers_search_grams_idx ON customers USING gin (search_grams);
CREATE INDEX customers_properties_idx ON customers USING gin (properties jsonb_path_ops);

-- The planner judges how many rows a search or a property finds by these samples; the usual hundred are too coarse to
-- tell one in a thousand from one in ten.
ALTER TABLE customers ALTER COLUMN search_text SET STATISTICS 1000;
ALTER TABLE customers ALTER COLUMN properties SET STATISTICS 1000;

CREATE TABLE notes (
    id          uuid        NOT NULL,
    customer_id uuid        NOT NULL,
    text        text        NOT NULL,
    author_kind text        NOT NULL,
    author_id   uuid,
    author_name text        NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT notes_pkey PRIMARY KEY (id),
    CONSTRAINT notes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE
);
CREATE INDEX notes_customer_id_idx ON notes (customer_id, created_at, id);

-- +goose Down
DROP TABLE notes;
DROP TABLE customers;
