-- +goose Up
-- Whether the login manages the customer at this moment: it has the role, its own customer is active, and that is
-- somewhere above the customer. It goes up from the customer, which takes one step a level, however many are below.
CREATE FUNCTION manages(manager uuid, managed uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (
    SELECT FROM identities JOIN customers own ON own.id = identities.customer_id
    WHERE identities.id = manager AND identities.role = 'manager' AND own.status = 'active' AND own.id IN (
        WITH RECURSIVE line AS (
            SELECT customers.parent_id FROM customers WHERE customers.id = managed
            UNION ALL
            SELECT above.parent_id FROM customers above JOIN line ON above.id = line.parent_id
        )
        SELECT line.parent_id FROM line
    )
);

-- +goose Down
DROP FUNCTION manages(uuid, uuid);
