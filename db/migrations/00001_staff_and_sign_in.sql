-- +goose Up
CREATE TABLE staff (
    id            uuid        NOT NULL,
    name          text        NOT NULL,
    email         text        NOT NULL,
    email_key     text        NOT NULL, -- email, case folded
    role          text        NOT NULL,
    password_hash text        NOT NULL,
    token_epoch   integer     NOT NULL DEFAULT 1, -- access tokens of an earlier epoch are refused
    version       bigint      NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT staff_pkey PRIMARY KEY (id),
    CONSTRAINT staff_email_key UNIQUE (email_key),
    CONSTRAINT staff_role_check CHECK (role IN ('administrator', 'operator', 'viewer'))
);

-- Sign-ins are kept apart from staff: they must not collide with edits.
CREATE TABLE staff_activity (
    staff_id      uuid        NOT NULL,
    last_login_at timestamptz NOT NULL,
    CONSTRAINT staff_activity_pkey PRIMARY KEY (staff_id),
    CONSTRAINT staff_activity_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE CASCADE
);

CREATE TABLE sessions (
    id         uuid        NOT NULL,
    client_id  text        NOT NULL,
    staff_id   uuid        NOT NULL,
    scope      text, -- narrower than the role gives; null for all of it
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE CASCADE
);
CREATE INDEX sessions_staff_id_idx ON sessions (staff_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

-- Spent tokens stay as long as their session, so that a second use is recognised.
CREATE TABLE refresh_tokens (
    hash           bytea       NOT NULL,
    session_id     uuid        NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    spent_at       timestamptz,
    replayed_at    timestamptz,
    parent_hash    bytea, -- the token that was spent for this one
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (hash),
    CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id, created_at);
CREATE INDEX refresh_tokens_parent_hash_idx ON refresh_tokens (parent_hash);

-- Access tokens that are refused before they expire: all of a session, or those of a subject before an epoch. Every
-- replica holds the whole of it for the length of a token's life.
CREATE TABLE token_revocations (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    target_id  uuid        NOT NULL, -- a session or a subject
    min_epoch  integer,              -- null: none is valid
    revoked_at timestamptz NOT NULL,
    CONSTRAINT token_revocations_pkey PRIMARY KEY (id)
);
CREATE INDEX token_revocations_revoked_at_idx ON token_revocations (revoked_at);

CREATE TABLE signing_keys (
    id                 uuid        NOT NULL,
    public_key         bytea       NOT NULL, -- PKIX, DER
    private_key_sealed bytea       NOT NULL, -- PKCS #8, DER, sealed under the installation's secret key
    created_at         timestamptz NOT NULL,
    retired_at         timestamptz,
    CONSTRAINT signing_keys_pkey PRIMARY KEY (id)
);
-- One key signs at a time; two replicas that start together cannot both make one.
CREATE UNIQUE INDEX signing_keys_active_key ON signing_keys ((true)) WHERE retired_at IS NULL;

-- +goose Down
DROP TABLE signing_keys;
DROP TABLE token_revocations;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE staff_activity;
DROP TABLE staff;
