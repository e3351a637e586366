package backups

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/postgres"
)

// contents is what a backup has of the database, packed in temporary files, which are to be closed.
type contents struct {
	moment    time.Time // that it is of
	customer  customers.Customer
	spool     *spool
	sections  []section
	files     *fileList
	published []uuid.UUID // the publishings whose content it has
	leftOut   []leftOut
}

func (c *contents) close() {
	if c.spool != nil {
		_ = c.spool.Close()
	}
	if c.files != nil {
		_ = c.files.spool.Close()
	}
}

// audienceOf says what a caller's backup has: for staff, what its token may read elsewhere; for a customer's own people,
// what a portal shows them.
func audienceOf(caller *access.Principal) audience {
	a := audience{caller: caller, parts: map[string]bool{PartProfile: true}, kinds: events.VisibleKinds(caller)}
	if caller.Kind == access.KindIdentity {
		for _, part := range portalParts {
			a.parts[part] = true
		}
		a.kinds = portalKinds
		return a
	}
	for _, one := range partScopes {
		a.parts[one.part] = caller.Has(one.scope)
	}
	return a
}

// names gives the parts in the order in which they stand.
func (a audience) names() []string {
	names := []string{PartProfile}
	for _, one := range partScopes {
		if a.parts[one.part] {
			names = append(names, one.part)
		}
	}
	return names
}

// reader reads the rows of a customer from one moment of the database.
type reader struct {
	ctx      context.Context
	database postgres.Querier
	customer uuid.UUID
	audience audience
	into     *contents
}

// read reads all that a backup has of the database. It is done when the last row lies in the temporary files: nobody who
// is slow keeps the database waiting.
func (s *Service) read(ctx context.Context, customerID uuid.UUID, a audience) (into *contents, err error) {
	into = &contents{leftOut: leftOutOf(a)}
	defer func() {
		if err != nil {
			into.close()
		}
	}()
	if into.spool, err = newSpool(); err != nil {
		return into, err
	}
	if into.files, err = newFileList(); err != nil {
		return into, err
	}
	snapshot, err := s.Snapshots.Open(ctx)
	if err != nil {
		return into, err
	}
	defer snapshot.Close()
	into.moment = s.DB.Now()
	if into.customer, err = customers.Get(ctx, snapshot, a.caller.Reach(), customerID); err != nil {
		return into, err
	}
	r := reader{ctx: ctx, database: snapshot, customer: customerID, audience: a, into: into}
	if err := r.profile(); err != nil {
		return into, err
	}
	for _, one := range []struct {
		part string
		read func(reader) error
	}{
		{PartIdentities, reader.identities}, {PartJobs, reader.jobs}, {PartDomains, reader.domains}, {PartNotes, reader.notes},
		{PartPublished, reader.publishings}, {PartTerms, reader.terms}, {PartEvents, reader.events},
	} {
		if !a.parts[one.part] {
			continue
		}
		if err := one.read(r); err != nil {
			return into, fmt.Errorf("reading %s for a backup: %w", one.part, err)
		}
	}
	return into, nil
}

func (r reader) profile() error {
	c := r.into.customer
	record := profile{
		ContactName: c.Name, Email: c.Email, Company: c.Company, ID: c.ID, Name: c.Name, Phone: c.Phone, Address: c.Address,
		Modules: c.Modules, Locale: c.Locale, Status: c.Status, LastActivityAt: c.LastActivityAt, RestoredAt: c.RestoredAt,
		Version: c.Version, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if !r.audience.isPortal() {
		record.ProfileOfStaff = &ProfileOfStaff{
			Comments: c.Comments, Properties: c.Properties, ParentID: c.ParentID, ExternalID: c.ExternalID, InvitedAt: c.InvitedAt,
		}
	}
	made, err := r.into.spool.one(profileFile, record)
	r.into.sections = append(r.into.sections, made)
	return err
}

// where is the condition of rows that belong to the customer.
func (r reader) where() (where postgres.Where) {
	where.Within("customer_id = " + where.Arg(r.customer))
	return where
}

// mine narrows a condition, for a customer's own people, to what is theirs alone.
func (r reader) mine(where postgres.Where, column string) postgres.Where {
	if r.audience.isPortal() {
		where.And(column + " = " + where.Arg(r.audience.caller.ID))
	}
	return where
}

// each reads rows into a file of the archive. A record that show refuses is left out.
func each[Row any](r reader, file string, query postgres.Select, show func(*Row) (record any, shown bool, err error)) error {
	w, err := r.into.spool.begin(file)
	if err != nil {
		return err
	}
	var row Row
	err = postgres.Each(r.ctx, r.database, query, &row, func() error {
		record, shown, err := show(&row)
		if err != nil || !shown {
			return err
		}
		return w.add(record)
	})
	if err != nil {
		return err
	}
	made, err := w.end()
	r.into.sections = append(r.into.sections, made)
	return err
}

func (r reader) identities() error {
	type row struct {
		db.Identity
		LastLoginAt *time.Time
	}
	return each(r, identitiesFile, postgres.Select{
		From: "identities", Where: r.mine(r.where(), "id"), Order: "created_at",
		Columns: `id, name, email, role, left(password_hash, 0) AS password_hash, restored_at, version, created_at, updated_at,
			(SELECT last_login_at FROM identity_activity WHERE identity_id = identities.id) AS last_login_at`,
	}, func(i *row) (any, bool, error) {
		return identity{
			ID: i.ID, Name: i.Name, Email: i.Email, Role: i.Role, Status: identities.Status(i.Identity), LastLoginAt: i.LastLoginAt,
			RestoredAt: i.RestoredAt, Version: i.Version, CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
		}, true, nil
	})
}

func (r reader) domains() error {
	return each(r, domainsFile, postgres.Select{
		From: "domains", Where: r.where(), Order: "host",
		Columns: `id, host, http_ports, scheme, origin, origin_port, cache_configuration, redirection, ssl_expires_at, tls_protocol,
			waf_configuration, restored_at, version, created_at, updated_at`,
	}, func(d *db.Domain) (any, bool, error) {
		return domain{
			ID: d.ID, Host: d.Host, HTTPPorts: d.HttpPorts, Scheme: d.Scheme, Origin: d.Origin, OriginPort: d.OriginPort,
			CacheConfiguration: d.CacheConfiguration, Redirection: d.Redirection, SSLExpiresAt: d.SslExpiresAt,
			TLSProtocol: d.TlsProtocol, WAFConfiguration: d.WafConfiguration, RestoredAt: d.RestoredAt, Version: d.Version,
			CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
		}, true, nil
	})
}

func (r reader) notes() error {
	return each(r, notesFile, postgres.Select{
		From: "notes", Where: r.where(), Order: "created_at",
		Columns: "id, text, author_kind, author_id, author_name, created_at, restored_at",
	}, func(n *db.Note) (any, bool, error) {
		return note{
			ID: n.ID, Text: n.Text, Author: actor{n.AuthorKind, n.AuthorID, n.AuthorName}, CreatedAt: n.CreatedAt,
			RestoredAt: n.RestoredAt,
		}, true, nil
	})
}

// publishings reads what the customer's people have written, with who has read it. Of one of these people it reads what is
// that one's own.
func (r reader) publishings() error {
	err := each(r, publishedFile, postgres.Select{
		From: "publishings", Where: r.mine(r.where(), "identity_id"), Order: "created_at",
		Columns: `id, identity_id, owner_hash, kind, title, content, state, visibility, template_id, restored_at, version, created_at,
			updated_at`,
	}, func(p *db.Publishing) (any, bool, error) {
		r.into.published = append(r.into.published, p.ID)
		record := publishing{
			ID: p.ID, IdentityID: p.IdentityID, Kind: p.Kind, Title: p.Title, Content: p.Content, State: p.State,
			Visibility: p.Visibility, TemplateID: p.TemplateID, RestoredAt: p.RestoredAt, Version: p.Version, CreatedAt: p.CreatedAt,
			UpdatedAt: p.UpdatedAt,
		}
		if p.OwnerHash != nil {
			hash := digest(p.OwnerHash)
			record.OwnerHash = &hash
		}
		return record, true, nil
	})
	if err != nil {
		return err
	}
	return each(r, accessesFile, postgres.Select{
		From: `publishing_accesses JOIN (SELECT id AS publishing_id, customer_id, identity_id FROM publishings) AS read
			USING (publishing_id)`,
		Where: r.mine(r.where(), "identity_id"), Order: "at", Columns: "id, publishing_id, actor_kind, actor_id, actor_name, via, at",
	}, func(a *db.PublishingAccess) (any, bool, error) {
		return publishingAccess{
			ID: a.ID, PublishingID: a.PublishingID, Actor: actor{a.ActorKind, a.ActorID, a.ActorName}, Via: a.Via, At: a.At,
		}, true, nil
	})
}

func (r reader) terms() error {
	type row struct {
		db.TermsAcceptance
		TermsVersion   int32
		DocumentSha256 []byte
	}
	return each(r, termsFile, postgres.Select{
		From: `terms_acceptances JOIN (SELECT id AS terms_id, version AS terms_version, sha256 AS document_sha256 FROM terms) AS accepted
			USING (terms_id)`,
		Where: r.mine(r.where(), "identity_id"), Order: "accepted_at",
		Columns: "id, terms_id, terms_version, document_sha256, identity_id, identity_name, identity_email, accepted_at, restored_at",
	}, func(a *row) (any, bool, error) {
		return termsAcceptance{
			ID: a.ID, TermsID: a.TermsID, TermsVersion: a.TermsVersion, DocumentSHA256: digest(a.DocumentSha256),
			Identity: acceptedBy{a.IdentityID, a.IdentityName, a.IdentityEmail}, AcceptedAt: a.AcceptedAt, RestoredAt: a.RestoredAt,
		}, true, nil
	})
}

// events reads what happened, as far as whom it is for may know of it. Of a customer that there was before, was deleted and
// came out of a backup again, what happened before that deletion is erased, and stays behind.
func (r reader) events() error {
	where := r.where()
	where.And("resource_kind = ANY (" + where.Arg(r.audience.kinds) + ")")
	if reach := r.audience.caller.Reach(); reach != nil { // what happened elsewhere, it is not told in the history either
		where.And("ancestors @> ARRAY[" + where.Arg(*reach) + "::uuid]")
	}
	where.And(`sequence > coalesce((SELECT max(sequence) FROM events last WHERE last.customer_id = ` + where.Arg(r.customer) + `
		AND last.type = 'customer.deleted' AND last.restored_at IS NULL), 0)`)
	return each(r, eventsFile, postgres.Select{
		From: "events", Where: where, Order: "sequence",
		Columns: `id, type, resource_kind, resource_id, version, actor_kind, actor_id, actor_name, request_id, at, data, restored_at`,
	}, func(e *db.Event) (any, bool, error) {
		record := event{
			ID: e.ID, Type: e.Type, Resource: resource{e.ResourceKind, e.ResourceID}, Version: e.Version,
			Actor: actor{e.ActorKind, e.ActorID, e.ActorName}, RequestID: e.RequestID, At: e.At, Data: e.Data, RestoredAt: e.RestoredAt,
		}
		if !r.audience.isPortal() {
			return record, true, nil
		}
		return forPortal(record, r.audience.caller.ID)
	})
}

// jobs reads the jobs, and lists their files.
func (r reader) jobs() error {
	type row struct {
		db.Job
		Files json.RawMessage
	}
	return each(r, jobsFile, postgres.Select{
		From: "jobs", Where: r.where(), Order: "created_at",
		Columns: `id, name, description, copies, due_at, status, restored_at, version, created_at, updated_at,
			(SELECT json_agg(json_build_object('kind', kind, 'filename', filename, 'content_type', content_type, 'size', size,
				'sha256', encode(sha256, 'hex'), 'uploaded_at', uploaded_at, 'blob_key', blob_key) ORDER BY kind)
			FROM job_files WHERE job_id = jobs.id) AS files`,
	}, func(j *row) (any, bool, error) {
		record := job{
			ID: j.ID, Name: j.Name, Description: j.Description, Copies: j.Copies, DueAt: j.DueAt, Status: j.Status,
			Files: []jobFile{}, RestoredAt: j.RestoredAt, Version: j.Version, CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt,
		}
		var files []struct {
			jobFile
			BlobKey string `json:"blob_key"`
		}
		if j.Files != nil {
			if err := json.Unmarshal(j.Files, &files); err != nil {
				return nil, false, err
			}
		}
		for _, file := range files {
			file.UploadedAt = file.UploadedAt.UTC()
			file.Entry = entryName(j.ID, file.Kind, file.Filename)
			record.Files = append(record.Files, file.jobFile)
			err := r.into.files.add(storedFile{
				Entry: file.Entry, BlobKey: file.BlobKey, Size: file.Size, SHA256: file.SHA256, Packed: isPacked(file.Kind),
			})
			if err != nil {
				return nil, false, err
			}
		}
		return record, true, nil
	})
}
