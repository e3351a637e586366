-- +goose Up
-- How many requests a credential has made in the present window, on all replicas together. Each replica adds what it has
-- counted once a second. A crash of PostgreSQL empties the table, and counting begins anew.
CREATE UNLOGGED TABLE request_counts (
    credential   text        NOT NULL, -- the kind of caller and its id
    window_start timestamptz NOT NULL,
    requests     bigint      NOT NULL,
    CONSTRAINT request_counts_pkey PRIMARY KEY (credential, window_start)
) WITH (fillfactor = 70);

-- +goose Down
DROP TABLE request_counts;
