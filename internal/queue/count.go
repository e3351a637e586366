package queue

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/internal/postgres"
)

// Count is how many jobs of a queue are in a state, by the names that River has for it.
type Count struct {
	Queue, State string
	Jobs         int64
}

// CountOpen counts the jobs that are not completed. Those that were given up are among them for as long as they are kept.
func CountOpen(ctx context.Context, database *postgres.DB) ([]Count, error) {
	rows, err := database.Query(ctx, `SELECT queue, state::text, count(*) FROM river_job
		WHERE state IN ('available', 'discarded', 'retryable', 'running', 'scheduled') GROUP BY queue, state`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Count])
}
