-- +goose Up
-- Whoever chose URL and types of an endpoint, or switched it on last: by their scopes it goes. It is not always who made it.
ALTER TABLE webhook_endpoints ADD owner_kind text, ADD owner_id uuid, ADD owner_name text;
UPDATE webhook_endpoints SET owner_kind = created_by_kind, owner_id = created_by_id, owner_name = created_by_name;
UPDATE webhook_endpoints SET owner_kind = 'api_client', owner_id = api_client_id,
    owner_name = coalesce((SELECT api_clients.name FROM api_clients WHERE api_clients.id = api_client_id), created_by_name)
WHERE api_client_id IS NOT NULL;
-- A person has taken it over from an API client; whoever changed it last, as far as is known.
UPDATE webhook_endpoints SET owner_kind = taken.actor_kind, owner_id = taken.actor_id, owner_name = taken.actor_name
FROM (
    SELECT DISTINCT ON (resource_id) resource_id, actor_kind, actor_id, actor_name FROM events
    WHERE type = 'webhook_endpoint.updated' AND actor_kind = 'staff' ORDER BY resource_id, sequence DESC
) AS taken
WHERE taken.resource_id = webhook_endpoints.id AND created_by_kind = 'api_client' AND api_client_id IS NULL;
ALTER TABLE webhook_endpoints ALTER owner_kind SET NOT NULL, ALTER owner_name SET NOT NULL, DROP api_client_id;

-- +goose Down
ALTER TABLE webhook_endpoints ADD api_client_id uuid;
UPDATE webhook_endpoints SET api_client_id = owner_id WHERE owner_kind = 'api_client';
ALTER TABLE webhook_endpoints DROP owner_kind, DROP owner_id, DROP owner_name;
