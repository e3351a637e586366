-- name: AttemptCountPlan :exec
-- For the statements of the transaction that follow: they find each row by its key. Their plans are kept, and one that
-- was made while the table was all but empty would read the whole of it when it is full.
SELECT set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true);

-- name: AttemptCountLock :exec
-- Locks the rows of the keys, making those that are missing. Whoever locks several does it in the order of their keys.
-- DO UPDATE locks a row even where its condition keeps it from being written.
INSERT INTO attempt_counts (key, count, last_at, free_at)
SELECT keys.key, 0, @now::timestamptz, @now::timestamptz
FROM (SELECT unnest(@keys::bytea[]) AS key) AS keys
ORDER BY keys.key
ON CONFLICT ON CONSTRAINT attempt_counts_pkey DO UPDATE SET count = attempt_counts.count WHERE false;

-- name: AttemptCountRaise :many
-- Counts one try under all rules that apply, or, when one of them lets nothing through yet, under none. The rows must
-- be locked by an earlier statement of the transaction, for this one judges what it saw when it began. It answers with
-- the rules that apply and until when each lets nothing through: where that is later than now, nothing was counted.
WITH rules AS (
    SELECT unnest(@keys::bytea[]) AS key, unnest(@frees::integer[]) AS free,
        unnest(@first_seconds::integer[]) AS first_seconds, unnest(@longest_seconds::integer[]) AS longest_seconds,
        unnest(@known_frees::integer[]) AS known_free, unnest(@except_knowns::boolean[]) AS except_known
), known AS (
    SELECT EXISTS (
        SELECT FROM known_addresses
        WHERE known_addresses.key = @known_key::bytea AND known_addresses.expires_at > @now::timestamptz
    ) AS yes
), judged AS (
    SELECT rules.key, CASE WHEN known.yes THEN rules.known_free ELSE rules.free END AS free, rules.first_seconds, rules.longest_seconds,
        -- A date far ahead is of a clock that was wrong: it must not keep anybody waiting until then.
        CASE WHEN remembered.yes THEN attempt_counts.count ELSE 0 END + 1 AS count,
        -- Free tries wait for nothing, not even for one that another replica's clock dated a moment ahead.
        CASE WHEN remembered.yes
            AND attempt_counts.count >= CASE WHEN known.yes THEN rules.known_free ELSE rules.free END
            THEN attempt_counts.free_at ELSE @now::timestamptz END AS free_at
    FROM rules
    CROSS JOIN known
    JOIN attempt_counts ON attempt_counts.key = rules.key
    CROSS JOIN LATERAL (
        SELECT attempt_counts.last_at > @forgotten_before::timestamptz
            AND attempt_counts.last_at < @wrong_after::timestamptz AS yes
    ) AS remembered
    WHERE NOT (rules.except_known AND known.yes)
), raised AS (
    UPDATE attempt_counts SET count = judged.count, last_at = @now::timestamptz,
        -- Not @now: the sum behind it would be taken for the parameter.
        free_at = sqlc.arg(now)::timestamptz + interval '1 second' * CASE
            WHEN judged.count < judged.free THEN 0
            ELSE least(judged.longest_seconds, judged.first_seconds * power(2, least(judged.count - judged.free, 30)))
        END
    FROM judged
    WHERE attempt_counts.key = judged.key AND NOT EXISTS (SELECT FROM judged WHERE judged.free_at > @now::timestamptz)
), discarded AS (
    -- Rows that were made for a refused try: somebody who is refused must not fill the table.
    DELETE FROM attempt_counts
    WHERE attempt_counts.key = ANY(@keys::bytea[]) AND attempt_counts.count = 0
        AND EXISTS (SELECT FROM judged WHERE judged.free_at > @now::timestamptz)
)
SELECT judged.key::bytea AS key, judged.free_at::timestamptz AS free_at FROM judged;

-- name: AttemptCountTakeBack :exec
-- Takes back a try that was counted at that time, with the wait that it caused, and forgets all tries of one key.
WITH locked AS (
    SELECT attempt_counts.key FROM attempt_counts WHERE attempt_counts.key = ANY(@keys::bytea[])
    ORDER BY attempt_counts.key FOR UPDATE
)
UPDATE attempt_counts SET
    count = CASE WHEN attempt_counts.key = @cleared_key::bytea THEN 0 ELSE greatest(attempt_counts.count - 1, 0) END,
    free_at = CASE WHEN attempt_counts.key = @cleared_key::bytea OR attempt_counts.last_at = @counted_at::timestamptz
        THEN @counted_at::timestamptz ELSE attempt_counts.free_at END
FROM locked WHERE attempt_counts.key = locked.key;

-- name: AttemptCountDeleteForgotten :execrows
-- Rows that somebody holds are in use. Waiting for them, with others locked in no order, could be a deadlock.
DELETE FROM attempt_counts WHERE key IN (
    SELECT forgotten.key FROM attempt_counts AS forgotten
    WHERE forgotten.last_at <= @forgotten_before::timestamptz OR forgotten.last_at >= @wrong_after::timestamptz
    FOR UPDATE SKIP LOCKED
);

-- name: KnownAddressUpsert :exec
-- A day more or less does not matter: whoever signs in often does not write each time.
INSERT INTO known_addresses (key, expires_at) VALUES (@key, @expires_at)
ON CONFLICT ON CONSTRAINT known_addresses_pkey DO UPDATE SET expires_at = excluded.expires_at
WHERE known_addresses.expires_at < excluded.expires_at - interval '1 day';

-- name: KnownAddressDeleteExpired :execrows
DELETE FROM known_addresses WHERE expires_at <= $1;
