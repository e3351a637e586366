-- +goose Up
-- Where events are sent to.
CREATE TABLE webhook_endpoints (
    id                     uuid        NOT NULL,
    url                    text        NOT NULL,
    description            text        NOT NULL DEFAULT '',
    event_types            text[]      NOT NULL, -- as they were chosen: types, "kind.*", "*"
    scopes                 text[]      NOT NULL, -- to read, of whoever chose URL and types; what they do not show is not sent
    api_client_id          uuid,                 -- that these are of, as long as it is there and has them; null for people's
    enabled                boolean     NOT NULL DEFAULT true,
    disabled_reason        text,                 -- null while it is enabled
    secret_sealed          bytea       NOT NULL,
    previous_secret_sealed bytea,                -- signs too, until
    previous_secret_until  timestamptz,
    after_position         bigint      NOT NULL, -- events up to here happened before it was there, or while it was off
    failing_since          timestamptz,          -- null when the last attempt arrived
    created_by_kind        text        NOT NULL,
    created_by_id          uuid,
    created_by_name        text        NOT NULL,
    version                bigint      NOT NULL DEFAULT 1,
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_endpoints_enabled_disabled_reason_check CHECK (enabled = (disabled_reason IS NULL))
);
CREATE INDEX webhook_endpoints_created_at_idx ON webhook_endpoints (created_at, id);

-- What is sent, and what became of it. The event itself is read from the change log each time, so that what is erased there
-- is not sent any more. Only columns without an index change, and nothing but the answer says anything about anybody.
CREATE TABLE webhook_deliveries (
    id              uuid        NOT NULL,
    endpoint_id     uuid        NOT NULL,
    event_id        uuid        NOT NULL,
    event_type      text        NOT NULL,
    position        bigint,               -- of the event; null for a test
    redelivery_of   uuid,
    state           text        NOT NULL DEFAULT 'pending',
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,          -- null once it is finished
    failure         text,
    last_attempt_at timestamptz,
    milliseconds    integer,
    status_code     integer,
    answer          text,                 -- the beginning of it; null once the event is erased
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_state_check CHECK (state IN ('pending', 'delivered', 'failed'))
);
CREATE INDEX webhook_deliveries_endpoint_id_idx ON webhook_deliveries (endpoint_id, created_at, id);
CREATE INDEX webhook_deliveries_position_idx ON webhook_deliveries (position) WHERE position IS NOT NULL;
CREATE INDEX webhook_deliveries_created_at_idx ON webhook_deliveries (created_at);

-- The position up to which events have got their deliveries. One row.
CREATE TABLE webhook_cursor (
    single   boolean NOT NULL DEFAULT true,
    position bigint  NOT NULL,
    CONSTRAINT webhook_cursor_pkey PRIMARY KEY (single),
    CONSTRAINT webhook_cursor_single_check CHECK (single)
);
INSERT INTO webhook_cursor (position) SELECT coalesce(max(position), 0) FROM events;

-- +goose Down
DROP TABLE webhook_cursor;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_endpoints;
DELETE FROM river_job WHERE kind = 'webhook_delivery';
