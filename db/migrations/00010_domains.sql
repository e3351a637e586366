-- +goose Up
CREATE TABLE domains (
    id                  uuid        NOT NULL,
    customer_id         uuid        NOT NULL,
    host                text        COLLATE "C" NOT NULL, -- in ASCII, as the DNS has it
    http_ports          integer[]   NOT NULL,
    scheme              text        NOT NULL,
    origin              text,
    origin_port         integer,
    cache_configuration jsonb,
    redirection         jsonb,
    ssl_expires_at      timestamptz,
    tls_protocol        text,
    waf_configuration   jsonb,
    version             bigint      NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    search_text         text        COLLATE "C" NOT NULL, -- made by the program: host in both forms and origin, folded
    CONSTRAINT domains_pkey PRIMARY KEY (id),
    CONSTRAINT domains_host_key UNIQUE (host),
    CONSTRAINT domains_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT domains_scheme_check CHECK (scheme IN ('http', 'https')),
    CONSTRAINT domains_tls_protocol_check CHECK (tls_protocol IN ('TLSv1.0', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'))
);
CREATE INDEX domains_host_idx ON domains (host, id);
CREATE INDEX domains_customer_id_idx ON domains (customer_id, host, id);
CREATE INDEX domains_created_at_idx ON domains (created_at, id);
CREATE INDEX domains_updated_at_idx ON domains (updated_at, id);
CREATE INDEX domains_ssl_expires_at_idx ON domains (ssl_expires_at) WHERE ssl_expires_at IS NOT NULL;
CREATE INDEX domains_search_idx ON domains USING gin (search_text gin_trgm_ops);

-- +goose Down
DROP TABLE domains;
