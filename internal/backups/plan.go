package backups

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
)

// maxFindings is how many blockers and how many warnings are listed.
const maxFindings = 100

// Plan is what restoring an archive would do.
type Plan struct {
	CustomerID   uuid.UUID // that the archive has
	CustomerName string
	Status       string // that it would have
	BackupID     uuid.UUID
	TakenAt      time.Time
	Counts       Counts
	Blockers     []Finding // what stands in the way; the first hundred
	Warnings     []Finding // what does not come back as it was; the first hundred
}

// Counts is how much comes back.
type Counts struct {
	Identities, Jobs, Files, Bytes, Domains, Notes, Publishings, TermsAcceptances, Events int64
}

// Finding is something that is in the way, or that is to be known.
type Finding struct {
	Code    string
	Kind    string // of the resource of the backup that it is about
	ID      uuid.UUID
	Message string
}

func (c *checking) block(one Finding) {
	if len(c.plan.Blockers) < maxFindings {
		c.plan.Blockers = append(c.plan.Blockers, one)
	}
}

func (c *checking) warn(one Finding) {
	if len(c.plan.Warnings) < maxFindings {
		c.plan.Warnings = append(c.plan.Warnings, one)
	}
}

// blockTaken blocks for those of the ids that something has already. Ids that are made anew nothing has.
func (c *checking) blockTaken(kind string, given []uuid.UUID, find func(context.Context, db.DBTX, []uuid.UUID) ([]uuid.UUID, error)) error {
	if c.ids.renew() || len(given) == 0 {
		return nil
	}
	taken, err := find(c.ctx, c.database, given)
	for _, id := range taken {
		c.block(idTaken(kind, id))
	}
	return err
}

func idTaken(kind string, id uuid.UUID) Finding {
	return Finding{Code: "id_taken", Kind: kind, ID: id, Message: "The id is in use. Restore with on_conflict=new to have new ones."}
}

// idsOf gives the ids of records.
func idsOf[Record any](some []Record, id func(Record) uuid.UUID) []uuid.UUID {
	given := make([]uuid.UUID, len(some))
	for i, one := range some {
		given[i] = id(one)
	}
	return given
}
