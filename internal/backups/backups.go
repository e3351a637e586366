// Package backups makes an archive of a customer with all that belongs to it, and makes a customer of such an archive
// again. What a backup has of the database is of one moment and read in one short transaction, into a temporary file; the
// files of jobs, which never change, are read afterwards and without one. A restore brings everything back, or nothing.
//
// It reads and writes rows as they are, and follows the rules of no resource: what is made of other fields of a row, and
// how many rows are written at once, the packages of the resources know. It knows nothing of HTTP.
package backups

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// TimeLimit is how long a backup may take in all. Files of jobs that are deleted meanwhile are there for a day.
const TimeLimit = 12 * time.Hour

// How many backups are under way at a time, apart for staff and for customers' people, who must not keep staff from theirs;
// and how many archives that were received are being restored.
const (
	staffSlots   = 4
	portalSlots  = 4
	restoreSlots = 2
)

// The parts of a backup, by the names that the contract gives them. Each but files is a file of the archive.
const (
	PartProfile    = "profile"
	PartIdentities = "identities"
	PartJobs       = "jobs"
	PartFiles      = "files"
	PartDomains    = "domains"
	PartNotes      = "notes"
	PartPublished  = "publishings"
	PartTerms      = "terms_acceptances"
	PartEvents     = "events"
)

// partScopes says which scope shows a part elsewhere, in the order in which the parts stand. The profile comes with any
// backup.
var partScopes = []struct {
	part  string
	scope access.Scope
}{
	{PartIdentities, "identities:read"},
	{PartJobs, "jobs:read"},
	{PartFiles, "jobs:read"},
	{PartDomains, "domains:read"},
	{PartNotes, "customers:read"},
	{PartPublished, "publishings:read"},
	{PartTerms, "terms:read"},
	{PartEvents, "events:read"},
}

// portalParts are the parts of a backup that a customer's people take themselves.
var portalParts = []string{
	PartProfile, PartIdentities, PartJobs, PartFiles, PartDomains, PartPublished, PartTerms, PartEvents,
}

// Options is what backups are made with.
type Options struct {
	DB        *postgres.DB
	Snapshots *exports.Snapshots
	Blobs     *blobs.Store
	Contract  *contract.Contract
	Version   string // of the program
	Log       *slog.Logger
}

// Service takes backups and restores them.
type Service struct {
	Options
	schemas  schemas
	staff    chan struct{}
	portal   chan struct{}
	restores chan struct{}
}

// New makes a service.
func New(options Options) (*Service, error) {
	s := &Service{
		Options: options, staff: make(chan struct{}, staffSlots), portal: make(chan struct{}, portalSlots),
		restores: make(chan struct{}, restoreSlots),
	}
	var err error
	s.schemas, err = loadSchemas(options.Contract)
	return s, err
}

// take takes one of the slots, which the function that it gives frees again.
func take(slots chan struct{}) (free func(), err error) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	default:
		return nil, &fault.Error{
			Kind: fault.Unavailable, Code: "busy", Detail: "Too many backups are under way.", RetryAfter: 10 * time.Second,
		}
	}
}

// audience is who a backup is for, and so what it has.
type audience struct {
	caller *access.Principal
	parts  map[string]bool
	kinds  []string // of resource whose events it has
}

// isPortal tells whether it is for one of the customer's own people.
func (a audience) isPortal() bool { return a.caller.Kind == access.KindIdentity }

// List reads a page of the backups that were taken of a customer that is within reach, the newest first.
func List(
	ctx context.Context, database *postgres.DB, reach *uuid.UUID, customerID uuid.UUID, page paging.Request,
) (paging.Page[db.Backup], error) {
	if _, err := db.New().CustomerFind(ctx, database, customerID, reach); err != nil {
		return paging.Page[db.Backup]{}, err
	}
	return paging.Read(page, paging.Query[db.Backup, paging.ByTime]{
		Cursors: paging.CursorsOf("backups", customerID),
		Start:   paging.Newest,
		Rows: func(before paging.ByTime, limit int32) ([]db.Backup, error) {
			return db.New().BackupListNewestFirst(ctx, database, db.BackupListNewestFirstParams{
				CustomerID: customerID, BeforeTakenAt: before.CreatedAt, BeforeID: before.ID, RowLimit: limit,
			})
		},
		PlaceOf: func(one db.Backup) paging.ByTime { return paging.ByTime{CreatedAt: one.TakenAt, ID: one.ID} },
		Count:   func() (int64, error) { return db.New().BackupCount(ctx, database, customerID) },
	})
}
