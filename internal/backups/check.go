package backups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/jobs"
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

// checking looks through an archive before anything of it is written.
type checking struct {
	*opened
	ctx       context.Context
	database  db.DBTX
	ids       ids
	plan      Plan
	profile   profile
	logins    map[uuid.UUID]struct{} // by the ids that they have in the archive
	ownerless map[uuid.UUID]struct{} // owners of publishings that are not among them
	done      bool                   // whether every record is known to be right
}

// checkedAtOnce is how many records are dealt with at once, or fewer that have as many bytes: what they come to in memory is
// a multiple of these.
const (
	checkedAtOnce    = 500
	checkedBytesOnce = 4 << 20
)

// check looks through the whole archive but for the files of jobs: every record is right, what is referred to is there, and
// the plan is made.
func (o *opened) check(ctx context.Context, database db.DBTX, renewed ids) (*checking, error) {
	c := &checking{
		opened: o, ctx: ctx, database: database, ids: renewed, logins: map[uuid.UUID]struct{}{}, ownerless: map[uuid.UUID]struct{}{},
		plan: Plan{BackupID: o.manifest.ID, TakenAt: o.manifest.TakenAt, Blockers: []Finding{}, Warnings: []Finding{}},
	}
	for _, step := range []func() error{
		c.checkProfile, c.checkIdentities, c.checkJobs, c.checkDomains, c.checkNotes, c.checkPublishings, c.checkAccesses, c.checkTerms,
		c.checkEvents,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	for name, one := range o.entries {
		if !one.used {
			return nil, wrong("unknown_entry", name, "is not known here, and no job has it as its file")
		}
	}
	c.plan.Status = customers.RestoredStatus(c.profile.Status, len(c.logins) > 0)
	if c.plan.Status != c.profile.Status {
		c.warn(Finding{
			Code: "status_changed", Kind: events.Customer, ID: c.profile.ID,
			Message: "Was " + c.profile.Status + ", and comes back " + c.plan.Status + ".",
		})
	}
	for _, one := range c.manifest.LeftOut {
		if one.Reason != neverIncluded {
			c.warn(Finding{
				Code: "left_out", Kind: events.Customer, ID: c.profile.ID,
				Message: "The backup was taken without something: " + one.What + " (" + one.Reason + ").",
			})
		}
	}
	c.done = true
	return c, nil
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
	if c.ids.secret != nil || len(given) == 0 {
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

// checkProfile checks the customer itself.
func (c *checking) checkProfile() error {
	text, err := c.whole(profileFile)
	if err != nil {
		return err
	}
	if err := check(profileFile, 0, c.schemas.profile, text, &c.profile); err != nil {
		return err
	}
	if c.profile.ID != c.manifest.Customer.ID {
		return wrong("wrong_customer", profileFile, "is of another customer than the manifest")
	}
	c.plan.CustomerID, c.plan.CustomerName = c.profile.ID, c.profile.Name
	err = c.blockTaken(events.Customer, []uuid.UUID{c.profile.ID}, func(ctx context.Context, database db.DBTX, ids []uuid.UUID) ([]uuid.UUID, error) {
		found, err := db.New().CustomerFind(ctx, database, ids[0])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil
		}
		return []uuid.UUID{found}, err
	})
	if err != nil || c.profile.ProfileOfStaff == nil {
		return err
	}
	if taken := c.profile.ExternalID; taken != nil {
		other, err := db.New().CustomerFindByExternalID(c.ctx, c.database, taken)
		if err == nil {
			c.block(Finding{Code: "external_id_taken", Kind: events.Customer, ID: other, Message: "Another customer has the external id " + *taken + "."})
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	return c.checkParent()
}

// checkParent leaves the parent away where the customer cannot be below it.
func (c *checking) checkParent() error {
	parent := c.profile.ParentID
	if parent == nil {
		return nil
	}
	why, err := customers.ParentFault(c.ctx, c.database, *parent)
	if err != nil || why == "" {
		return err
	}
	c.warn(Finding{
		Code: why, Kind: events.Customer, ID: *parent,
		Message: "The parent is not here, or too deep in the hierarchy. The customer comes back without one.",
	})
	c.profile.ParentID = nil
	return nil
}

// whole reads a file that is one record.
func (c *checking) whole(name string) (json.RawMessage, error) {
	content, err := c.use(name)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, maxRecord+1))
	if err == nil && len(text) > maxRecord {
		err = wrong("record_too_large", name, fmt.Sprintf("has more than %d bytes", maxRecord))
	}
	return text, err
}

// use reads an entry that is known to be one of the backup's.
func (c *checking) use(name string) (io.ReadCloser, error) {
	c.entries[name].used = true
	return c.entries[name].verify()
}

// records reads the records of a file, so many at a time. A file that is not there has none.
func records[Record any](c *checking, file string, do func(first int, some []Record) error) error {
	if c.entries[file] == nil {
		return nil
	}
	content, err := c.use(file)
	if err != nil {
		return err
	}
	defer content.Close()
	reader := newRecordReader(file, content)
	number, held := 0, 0
	some := make([]Record, 0, checkedAtOnce)
	hand := func() error {
		err := do(number-len(some), some)
		clear(some) // what the next ones do not take the place of is not kept for them
		some, held = some[:0], 0
		return err
	}
	err = reader.array(func(text json.RawMessage) error {
		number++
		var record Record
		if err := c.read(file, number, text, &record); err != nil {
			return err
		}
		held += len(text)
		if some = append(some, record); len(some) == cap(some) || held > checkedBytesOnce {
			return hand()
		}
		return c.ctx.Err()
	})
	if err == nil && len(some) > 0 {
		err = hand()
	}
	if err != nil {
		return err
	}
	return reader.end()
}

// read decodes a record. What was looked through before is not judged again.
func (c *checking) read(file string, number int, text json.RawMessage, into any) error {
	if c.done {
		return json.Unmarshal(text, into)
	}
	return check(file, number, c.schemas.records[file], text, into)
}

func (c *checking) checkIdentities() error {
	return records(c, identitiesFile, func(_ int, some []identity) error {
		c.plan.Counts.Identities += int64(len(some))
		given, keys := make([]uuid.UUID, len(some)), make([]string, len(some))
		for i, one := range some {
			given[i], keys[i] = one.ID, identities.EmailKey(one.Email)
			c.logins[one.ID] = struct{}{}
		}
		if c.ids.secret != nil {
			given = nil
		}
		taken, err := db.New().IdentityFindTaken(c.ctx, c.database, given, keys)
		for _, other := range taken {
			if slices.Contains(given, other.ID) {
				c.block(idTaken(events.Identity, other.ID))
			}
			if at := slices.Index(keys, other.EmailKey); at >= 0 {
				c.block(Finding{
					Code: "email_taken", Kind: events.Identity, ID: some[at].ID,
					Message: "Another login has the email address " + some[at].Email + ".",
				})
			}
		}
		return err
	})
}

func (c *checking) checkJobs() error {
	return records(c, jobsFile, func(first int, some []job) error {
		c.plan.Counts.Jobs += int64(len(some))
		given := make([]uuid.UUID, len(some))
		for i, one := range some {
			given[i] = one.ID
			if err := c.checkFiles(first+i, one); err != nil {
				return err
			}
		}
		return c.blockTaken(events.Job, given, db.New().JobFindTaken)
	})
}

// checkFiles checks that the files of a job are in the archive, each for this job alone.
func (c *checking) checkFiles(number int, one job) error {
	for i, file := range one.Files {
		if slices.ContainsFunc(one.Files[:i], func(other jobFile) bool { return other.Kind == file.Kind }) {
			return wrong("duplicate_file", jobsFile, fmt.Sprintf("has a job with two files of a kind, at /%d", number))
		}
		found := c.entries[file.Entry]
		switch {
		case found == nil:
			return wrong("entry_missing", file.Entry, "is the file of a job, and not in the archive")
		case found.used:
			return wrong("duplicate_file", file.Entry, "is the file of more than one job")
		case int64(found.Size) != file.Size || found.sha256 != file.SHA256:
			return wrong("wrong_digest", file.Entry, "is not the file that "+jobsFile+" says it is")
		case file.Size > jobs.MaxSize(file.Kind):
			return wrong("too_large", file.Entry, fmt.Sprintf("has more than %d bytes", jobs.MaxSize(file.Kind)))
		}
		found.used = true
		c.plan.Counts.Files++
		c.plan.Counts.Bytes += file.Size
	}
	return nil
}

func (c *checking) checkDomains() error {
	return records(c, domainsFile, func(_ int, some []domain) error {
		c.plan.Counts.Domains += int64(len(some))
		given, hosts := make([]uuid.UUID, len(some)), make([]string, len(some))
		for i, one := range some {
			given[i], hosts[i] = one.ID, domains.HostKey(one.Host)
		}
		if c.ids.secret != nil {
			given = nil
		}
		taken, err := db.New().DomainFindTaken(c.ctx, c.database, given, hosts)
		for _, other := range taken {
			if slices.Contains(given, other.ID) {
				c.block(idTaken(events.Domain, other.ID))
			}
			if at := slices.Index(hosts, other.Host); at >= 0 {
				c.block(Finding{Code: "host_taken", Kind: events.Domain, ID: some[at].ID, Message: "Another domain has the host " + other.Host + "."})
			}
		}
		return err
	})
}

func (c *checking) checkNotes() error {
	return records(c, notesFile, func(_ int, some []note) error {
		c.plan.Counts.Notes += int64(len(some))
		given := make([]uuid.UUID, len(some))
		for i, one := range some {
			given[i] = one.ID
		}
		return c.blockTaken(events.Note, given, db.New().NoteFindTaken)
	})
}

func (c *checking) checkPublishings() error {
	return records(c, publishedFile, func(first int, some []publishing) error {
		c.plan.Counts.Publishings += int64(len(some))
		given := make([]uuid.UUID, len(some))
		for i, one := range some {
			given[i] = one.ID
			if (one.IdentityID == nil) == (one.OwnerHash == nil) {
				return wrong("owner_unclear", publishedFile, fmt.Sprintf("has a publishing that is not of one owner, at /%d", first+i))
			}
			c.checkOwner(one)
		}
		return c.blockTaken(events.Publishing, given, db.New().PublishingFindTaken)
	})
}

// checkOwner warns of an owner whose login is not in the backup, once.
func (c *checking) checkOwner(one publishing) {
	if one.IdentityID == nil {
		return
	}
	_, there := c.logins[*one.IdentityID]
	_, known := c.ownerless[*one.IdentityID]
	if there || known {
		return
	}
	c.ownerless[*one.IdentityID] = struct{}{}
	c.warn(Finding{
		Code: "owner_unknown", Kind: events.Identity, ID: *one.IdentityID,
		Message: "The login is not in the backup. Its publishings come back as those of a login that was deleted.",
	})
}

func (c *checking) checkAccesses() error {
	return records(c, accessesFile, func(_ int, some []publishingAccess) error {
		given := make([]uuid.UUID, len(some))
		for i, one := range some {
			given[i] = one.ID
		}
		return c.blockTaken("publishing_access", given, db.New().PublishingAccessFindTaken)
	})
}

func (c *checking) checkTerms() error {
	unknown := map[digest]struct{}{}
	return records(c, termsFile, func(_ int, some []termsAcceptance) error {
		versions, err := findTerms(c.ctx, c.database, some)
		if err != nil {
			return err
		}
		given := make([]uuid.UUID, len(some))
		for i, one := range some {
			given[i] = one.ID
			if len(versions[one.DocumentSHA256]) > 0 {
				c.plan.Counts.TermsAcceptances++
				continue
			}
			if _, warned := unknown[one.DocumentSHA256]; !warned {
				unknown[one.DocumentSHA256] = struct{}{}
				c.warn(Finding{
					Code: "terms_unknown", Kind: events.Terms, ID: one.TermsID,
					Message: fmt.Sprintf("No terms here have the document of version %d. Its acceptances do not come back.", one.TermsVersion),
				})
			}
		}
		return c.blockTaken("terms_acceptance", given, db.New().TermsAcceptanceFindTaken)
	})
}

// findTerms finds the versions of the terms, in their order, that have the documents which were accepted.
func findTerms(ctx context.Context, database db.DBTX, some []termsAcceptance) (map[digest][]db.TermsFindByDocumentRow, error) {
	digests := make([][]byte, len(some))
	for i := range some {
		digests[i] = some[i].DocumentSHA256[:]
	}
	found, err := db.New().TermsFindByDocument(ctx, database, digests)
	versions := map[digest][]db.TermsFindByDocumentRow{}
	for _, one := range found {
		versions[digest(one.Sha256)] = append(versions[digest(one.Sha256)], one)
	}
	return versions, err
}

func (c *checking) checkEvents() error {
	return records(c, eventsFile, func(_ int, some []event) error {
		c.plan.Counts.Events += int64(len(some))
		return nil
	})
}
