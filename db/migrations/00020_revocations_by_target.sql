-- +goose Up
-- Requests that last long ask again, by whom they are from.
CREATE INDEX token_revocations_target_id_idx ON token_revocations (target_id);

-- +goose Down
DROP INDEX token_revocations_target_id_idx;
