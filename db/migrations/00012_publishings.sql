-- +goose Up
-- What the people of customers write, each their own. It outlives the login, but not the customer.
CREATE TABLE publishings (
    id            uuid        NOT NULL,
    customer_id   uuid        NOT NULL,
    identity_id   uuid,  -- the owner; null once the login is deleted
    owner_hash    bytea, -- made then, of the login's email under the installation's key: how the same login finds it again
    kind          text        COLLATE "C" NOT NULL,
    title         text        NOT NULL,
    content       json        NOT NULL, -- as text: numbers to the digit, members in their order
    state         text        NOT NULL,
    visibility    text        NOT NULL,
    template_id   uuid, -- that it was started from, which may be gone by now: no foreign key
    size_bytes    integer     NOT NULL, -- of the content
    version       bigint      NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    -- Made by the program.
    title_key     text        COLLATE "C" NOT NULL, -- folded
    marks         bigint[]    NOT NULL, -- hashes of customer, name and value of the content's members, which it is found by
    CONSTRAINT publishings_pkey PRIMARY KEY (id),
    CONSTRAINT publishings_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
    CONSTRAINT publishings_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES identities (id) ON DELETE SET NULL,
    CONSTRAINT publishings_identity_id_check CHECK (num_nonnulls(identity_id, owner_hash) = 1), -- nobody's, for nobody: never
    CONSTRAINT publishings_state_check CHECK (state IN ('draft', 'submitted', 'archived')),
    CONSTRAINT publishings_visibility_check CHECK (visibility IN ('private', 'customer'))
);
-- One's own, in each order; a customer's; what is shared; what a login that is created looks for.
CREATE INDEX publishings_created_at_idx ON publishings (identity_id, created_at, id);
CREATE INDEX publishings_updated_at_idx ON publishings (identity_id, updated_at, id);
CREATE INDEX publishings_title_idx ON publishings (identity_id, title_key, id);
CREATE INDEX publishings_customer_id_idx ON publishings (customer_id, created_at, id);
CREATE INDEX publishings_shared_idx ON publishings (customer_id, created_at, id)
    WHERE visibility = 'customer' AND identity_id IS NOT NULL;
CREATE INDEX publishings_owner_hash_idx ON publishings (customer_id, owner_hash) WHERE owner_hash IS NOT NULL;
CREATE INDEX publishings_marks_idx ON publishings USING gin (marks);
-- Most marks are in one publishing or two, which the planner learns from fine samples alone.
ALTER TABLE publishings ALTER COLUMN marks SET STATISTICS 1000;

-- Who else read the content of one: its owner sees that.
CREATE TABLE publishing_accesses (
    id            uuid        NOT NULL,
    publishing_id uuid        NOT NULL,
    actor_kind    text        NOT NULL,
    actor_id      uuid,
    actor_name    text        NOT NULL,
    via           text        NOT NULL,
    at            timestamptz NOT NULL,
    CONSTRAINT publishing_accesses_pkey PRIMARY KEY (id),
    CONSTRAINT publishing_accesses_publishing_id_fkey FOREIGN KEY (publishing_id) REFERENCES publishings (id) ON DELETE CASCADE,
    CONSTRAINT publishing_accesses_via_check CHECK (via IN ('read', 'backup'))
);
CREATE INDEX publishing_accesses_publishing_id_idx ON publishing_accesses (publishing_id, at, id);

-- The second wall: whatever a query says, publishings are written by their owner alone. Every change tells the database
-- who acts in it (clientele.actor); what has not told writes nothing. Three things pass: that a login goes or comes back,
-- which changes nothing but the owner; that a customer goes, with all that it has; and that a customer is restored: in a
-- transaction that says so of this customer (clientele.restoring) and has just written it.
-- +goose StatementBegin
CREATE FUNCTION publishings_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor text := current_setting('clientele.actor', true);
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF actor = 'identity ' || NEW.identity_id OR actor <> ''
            AND current_setting('clientele.restoring', true) = NEW.customer_id::text
            AND EXISTS (SELECT FROM customers WHERE id = NEW.customer_id AND xmin = pg_current_xact_id()::xid) THEN
            RETURN NEW;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        IF actor = 'identity ' || OLD.identity_id AND NEW.identity_id = OLD.identity_id
            AND NEW.id = OLD.id AND NEW.customer_id = OLD.customer_id THEN
            RETURN NEW;
        END IF;
        IF actor <> '' AND num_nonnulls(OLD.identity_id, NEW.identity_id) = 1 AND (NEW.identity_id IS NULL OR EXISTS (
            SELECT FROM identities WHERE id = NEW.identity_id AND customer_id = NEW.customer_id
        )) THEN
            OLD.identity_id := NEW.identity_id;
            OLD.owner_hash := NEW.owner_hash;
            IF OLD *= NEW THEN
                RETURN NEW;
            END IF;
        END IF;
    ELSIF actor = 'identity ' || OLD.identity_id OR NOT EXISTS (
        SELECT FROM customers WHERE id = OLD.customer_id
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'publishings are written by their owner alone, not by %', coalesce(nullif(actor, ''), 'nobody')
        USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER publishings_guard BEFORE INSERT OR UPDATE OR DELETE ON publishings
    FOR EACH ROW EXECUTE FUNCTION publishings_guard();

-- +goose Down
DROP TABLE publishing_accesses;
DROP TABLE publishings;
DROP FUNCTION publishings_guard;
