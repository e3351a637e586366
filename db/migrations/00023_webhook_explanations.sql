-- +goose Up
-- Why there was no answer, in words: which certificate is wrong in which way, say. Nothing of what receivers answer.
ALTER TABLE webhook_deliveries ADD explanation text;

-- +goose Down
ALTER TABLE webhook_deliveries DROP explanation;
