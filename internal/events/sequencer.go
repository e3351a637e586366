package events

import (
	"context"
	"log/slog"
	"time"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

const (
	// placeInterval is how long an event waits for its place, at most, while a sequencer runs.
	placeInterval = 50 * time.Millisecond
	placeBatch    = 5000
)

// RunSequencer gives committed events their position in the feed until the context ends. Every replica runs one; a lock
// lets one at a time through. Transactions commit in another order than they drew their sequence numbers in, so a reader
// that went by those would skip events; positions are given only to what has committed, and a reader that has seen a
// position has seen all before it.
func RunSequencer(ctx context.Context, database *postgres.DB, log *slog.Logger) {
	ticker := time.NewTicker(placeInterval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := AssignPositions(ctx, database)
		if err != nil && ctx.Err() == nil && !failing {
			log.Warn("events get no position for now", "error", err)
		}
		failing = err != nil
	}
}

// AssignPositions gives the events that have committed so far their positions, unless another sequencer is at it.
func AssignPositions(ctx context.Context, database *postgres.DB) error {
	for {
		// Most of the time there is nothing to do, which one cheap look tells.
		unplaced, err := db.New().EventUnplacedExist(ctx, database)
		if err != nil || !unplaced {
			return err
		}
		var placed int64
		err = database.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
			mine, err := db.New().SequencerTryLock(ctx, tx)
			if err != nil || !mine {
				return err
			}
			placed, err = db.New().EventPlace(ctx, tx, placeBatch)
			return err
		})
		if err != nil || placed < placeBatch {
			return err
		}
	}
}
