-- name: RequestCountAddAll :many
-- Adds what a replica has counted, and answers with what all have. The credentials must be sorted: replicas that add to the
-- same ones lock them in one order.
INSERT INTO request_counts (credential, window_start, requests)
SELECT unnest(@credentials::text[]), @window_start::timestamptz, unnest(@requests::bigint[])
ON CONFLICT ON CONSTRAINT request_counts_pkey DO UPDATE SET requests = request_counts.requests + excluded.requests
RETURNING credential, requests;

-- name: RequestCountDeleteBefore :exec
DELETE FROM request_counts WHERE window_start < @before::timestamptz;
