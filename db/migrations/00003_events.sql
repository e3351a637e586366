-- +goose Up
-- The one change log. It has no foreign keys: what happened stays when what it happened to is gone.
CREATE TABLE events (
    sequence      bigint      GENERATED ALWAYS AS IDENTITY, -- drawn while the changed row is locked
    position      bigint,                                   -- given after commit, without gaps; what readers go by
    id            uuid        NOT NULL,
    type          text        NOT NULL,
    resource_kind text        NOT NULL,
    resource_id   uuid        NOT NULL,
    version       bigint      NOT NULL,
    customer_id   uuid,
    actor_kind    text        NOT NULL,
    actor_id      uuid,
    actor_name    text        NOT NULL,
    request_id    text,
    at            timestamptz NOT NULL,
    data          json,                                     -- null once erased
    CONSTRAINT events_pkey PRIMARY KEY (sequence),
    CONSTRAINT events_position_key UNIQUE (position)
);
CREATE INDEX events_unplaced_idx ON events (sequence) WHERE position IS NULL;
CREATE INDEX events_customer_id_idx ON events (customer_id, sequence) WHERE customer_id IS NOT NULL;

-- +goose Down
DROP TABLE events;
