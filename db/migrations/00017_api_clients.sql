-- +goose Up
-- The credentials of programs.
CREATE TABLE api_clients (
    id                         uuid        NOT NULL, -- what the program calls itself, too
    name                       text        NOT NULL,
    scopes                     text[]      NOT NULL,
    customer_id                uuid, -- that it is limited to, with those below; null for one that is not limited
    expires_at                 timestamptz,
    allowed_networks           text[]      NOT NULL DEFAULT '{}', -- as CIDR has it; empty for all
    secret_hash                bytea       NOT NULL,
    secret_changed_at          timestamptz NOT NULL,
    previous_secret_hash       bytea, -- works until then
    previous_secret_expires_at timestamptz,
    token_epoch                integer     NOT NULL DEFAULT 1, -- access tokens of an earlier epoch are refused
    version                    bigint      NOT NULL DEFAULT 1,
    created_at                 timestamptz NOT NULL,
    updated_at                 timestamptz NOT NULL,
    CONSTRAINT api_clients_pkey PRIMARY KEY (id),
    -- Never SET NULL: what it was limited to would be everything.
    CONSTRAINT api_clients_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT api_clients_scopes_check CHECK (scopes <> '{}'),
    CONSTRAINT api_clients_previous_secret_hash_check CHECK (num_nonnulls(previous_secret_hash, previous_secret_expires_at) <> 1)
);
CREATE INDEX api_clients_created_at_idx ON api_clients (created_at, id);
CREATE INDEX api_clients_customer_id_idx ON api_clients (customer_id) WHERE customer_id IS NOT NULL;

-- Use is kept apart from clients: it must not collide with edits.
CREATE TABLE api_client_activity (
    api_client_id uuid        NOT NULL,
    last_used_at  timestamptz NOT NULL,
    CONSTRAINT api_client_activity_pkey PRIMARY KEY (api_client_id),
    CONSTRAINT api_client_activity_api_client_id_fkey FOREIGN KEY (api_client_id) REFERENCES api_clients (id) ON DELETE CASCADE
);

-- Whether the customer is the one that a caller is limited to, or somewhere below it. It goes up from the customer, which
-- takes one step a level, however many are below.
-- Queries ask it only where there is a limit, since it is not free: reach IS NULL OR reaches(reach, customer).
CREATE FUNCTION reaches(reach uuid, customer uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN reach IN (
    WITH RECURSIVE line AS (
        SELECT customers.id, customers.parent_id FROM customers WHERE customers.id = customer
        UNION ALL
        SELECT above.id, above.parent_id FROM customers above JOIN line ON above.id = line.parent_id
    )
    SELECT line.id FROM line
);

-- An operation on behalf of a caller that is limited to a customer, whose steps are, too. Without a foreign key: it may be
-- the operation that deletes the customer.
ALTER TABLE operations ADD COLUMN reach uuid;

-- The customer of an event and all above it when it was written; of a move, on both sides.
ALTER TABLE events ADD COLUMN ancestors uuid[] NOT NULL DEFAULT '{}';
UPDATE events SET ancestors = ARRAY[customer_id] || ARRAY(
    WITH RECURSIVE line AS (
        SELECT customers.parent_id FROM customers WHERE customers.id = events.customer_id
        UNION ALL
        SELECT above.parent_id FROM customers above JOIN line ON above.id = line.parent_id
    )
    SELECT line.parent_id FROM line WHERE line.parent_id IS NOT NULL
) WHERE customer_id IS NOT NULL;
CREATE INDEX events_ancestors_idx ON events USING gin (ancestors) WHERE ancestors <> '{}';

-- +goose Down
DROP INDEX events_ancestors_idx;
ALTER TABLE events DROP COLUMN ancestors;
ALTER TABLE operations DROP COLUMN reach;
DROP FUNCTION reaches(uuid, uuid);
DROP TABLE api_client_activity;
DROP TABLE api_clients;
