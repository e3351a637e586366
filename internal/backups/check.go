package backups

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/hostname"
	"github.com/clientele-api/clientele/internal/jobs"
	"github.com/clientele-api/clientele/internal/textfold"
)

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
		found, err := db.New().CustomerFind(ctx, database, ids[0], nil)
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

func (c *checking) checkIdentities() error {
	return records(c, identitiesFile, func(_ int, some []identity) error {
		c.plan.Counts.Identities += int64(len(some))
		given, keys := make([]uuid.UUID, len(some)), make([]string, len(some))
		for i, one := range some {
			given[i], keys[i] = one.ID, textfold.CaseKey(one.Email)
			c.logins[one.ID] = struct{}{}
		}
		if c.ids.renew() {
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
		for i, one := range some {
			if err := c.checkFiles(first+i, one); err != nil {
				return err
			}
		}
		return c.blockTaken(events.Job, idsOf(some, func(j job) uuid.UUID { return j.ID }), db.New().JobFindTaken)
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
			given[i] = one.ID
			hosts[i], _ = hostname.Normalize(one.Host) // its schema has let it through
		}
		if c.ids.renew() {
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
		return c.blockTaken(events.Note, idsOf(some, func(n note) uuid.UUID { return n.ID }), db.New().NoteFindTaken)
	})
}

func (c *checking) checkPublishings() error {
	return records(c, publishedFile, func(first int, some []publishing) error {
		c.plan.Counts.Publishings += int64(len(some))
		for i, one := range some {
			if (one.IdentityID == nil) == (one.OwnerHash == nil) {
				return wrong("owner_unclear", publishedFile, fmt.Sprintf("has a publishing that is not of one owner, at /%d", first+i))
			}
			c.checkOwner(one)
		}
		return c.blockTaken(events.Publishing, idsOf(some, func(p publishing) uuid.UUID { return p.ID }), db.New().PublishingFindTaken)
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
		given := idsOf(some, func(a publishingAccess) uuid.UUID { return a.ID })
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
		for _, one := range some {
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
		return c.blockTaken("terms_acceptance", idsOf(some, func(a termsAcceptance) uuid.UUID { return a.ID }), db.New().TermsAcceptanceFindTaken)
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
