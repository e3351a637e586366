-- +goose Up
-- Mails with a link through which a person sets the password of a login. The link's token is derived from the id and
-- stored nowhere.
CREATE TABLE activation_requests (
    id          uuid        NOT NULL,
    customer_id uuid        NOT NULL,
    identity_id uuid, -- null while following the link is to create the login, and once the login is deleted
    state       text        NOT NULL DEFAULT 'draft', -- that time has passed makes it expired is not stored
    recipient   text        NOT NULL,
    subject     text        NOT NULL,
    body        text        NOT NULL, -- with {{link}} where the link goes
    failure     text,
    expires_at  timestamptz NOT NULL,
    sent_at     timestamptz,
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT activation_requests_pkey PRIMARY KEY (id),
    CONSTRAINT activation_requests_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT activation_requests_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES identities (id) ON DELETE SET NULL,
    CONSTRAINT activation_requests_state_check CHECK (state IN ('draft', 'queued', 'sent', 'failed', 'used', 'revoked'))
);
CREATE INDEX activation_requests_customer_id_idx ON activation_requests (customer_id, created_at, id);
CREATE INDEX activation_requests_identity_id_idx ON activation_requests (identity_id) WHERE identity_id IS NOT NULL;

CREATE INDEX activation_requests_queued_idx ON activation_requests (updated_at) WHERE state = 'queued';

CREATE TABLE password_resets (
    id          uuid        NOT NULL,
    identity_id uuid        NOT NULL,
    state       text        NOT NULL DEFAULT 'open',
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT password_resets_pkey PRIMARY KEY (id),
    CONSTRAINT password_resets_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES identities (id) ON DELETE CASCADE,
    CONSTRAINT password_resets_state_check CHECK (state IN ('open', 'used', 'revoked'))
);
CREATE INDEX password_resets_identity_id_idx ON password_resets (identity_id);
CREATE INDEX password_resets_expires_at_idx ON password_resets (expires_at);

-- +goose Down
DROP TABLE password_resets;
DROP TABLE activation_requests;
