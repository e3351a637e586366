-- +goose Up
ALTER TABLE customers ADD COLUMN invited_at timestamptz; -- when a mail with an activation link last went out

-- Activity is kept apart from customers and identities: sign-ins must not collide with edits.
CREATE TABLE customer_activity (
    customer_id      uuid        NOT NULL,
    last_activity_at timestamptz NOT NULL,
    CONSTRAINT customer_activity_pkey PRIMARY KEY (customer_id),
    CONSTRAINT customer_activity_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE
);

CREATE TABLE identities (
    id            uuid        NOT NULL,
    customer_id   uuid        NOT NULL,
    name          text        NOT NULL,
    email         text        NOT NULL,
    role          text        NOT NULL,
    password_hash text, -- null while the login is pending
    version       bigint      NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    -- Folded copies, made by the program.
    name_key      text        COLLATE "C" NOT NULL,
    email_key     text        COLLATE "C" NOT NULL,
    search_text   text        COLLATE "C" NOT NULL,
    CONSTRAINT identities_pkey PRIMARY KEY (id),
    CONSTRAINT identities_email_key UNIQUE (email_key),
    CONSTRAINT identities_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT identities_role_check CHECK (role IN ('member', 'manager'))
);
CREATE INDEX identities_customer_id_idx ON identities (customer_id, created_at, id);
CREATE INDEX identities_created_at_idx ON identities (created_at, id);
CREATE INDEX identities_name_idx ON identities (name_key, id);
CREATE INDEX identities_search_idx ON identities USING gin (search_text gin_trgm_ops);

CREATE TABLE identity_activity (
    identity_id   uuid        NOT NULL,
    last_login_at timestamptz NOT NULL,
    CONSTRAINT identity_activity_pkey PRIMARY KEY (identity_id),
    CONSTRAINT identity_activity_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES identities (id) ON DELETE CASCADE
);

-- A session belongs to one login, of the staff or of a customer.
ALTER TABLE sessions
    ALTER COLUMN staff_id DROP NOT NULL,
    ADD COLUMN identity_id uuid,
    ADD COLUMN user_agent text, -- what the program called itself that signed in
    ADD CONSTRAINT sessions_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES identities (id) ON DELETE CASCADE,
    ADD CONSTRAINT sessions_staff_id_check CHECK (num_nonnulls(staff_id, identity_id) = 1);
CREATE INDEX sessions_identity_id_idx ON sessions (identity_id) WHERE identity_id IS NOT NULL;

-- +goose Down
DELETE FROM sessions WHERE identity_id IS NOT NULL;
ALTER TABLE sessions
    DROP CONSTRAINT sessions_staff_id_check,
    DROP COLUMN identity_id,
    DROP COLUMN user_agent,
    ALTER COLUMN staff_id SET NOT NULL;
DROP TABLE identity_activity;
DROP TABLE identities;
DROP TABLE customer_activity;
ALTER TABLE customers DROP COLUMN invited_at;
