package backups

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/filename"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/jobs"
	"github.com/clientele-api/clientele/internal/notes"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/publishings"
	"github.com/clientele-api/clientele/internal/terms"
)

// storedAs is how the file of a job was stored: under which key, and as what.
type storedAs struct{ key, contentType string }

// storedFiles are the files of jobs by their entries.
type storedFiles map[string]storedAs

// writing writes the rows of an archive that was checked, in one transaction.
type writing struct {
	*checking
	ctx      context.Context
	tx       *postgres.Tx
	files    storedFiles
	customer uuid.UUID
}

// all writes everything, and gives the customer as it is then.
func (w *writing) all() (customers.Customer, error) {
	if err := operations.WithoutLimits(w.ctx, w.tx); err != nil {
		return customers.Customer{}, err
	}
	customer, err := customers.Restore(w.ctx, w.tx, w.customerRow())
	if err != nil {
		return customers.Customer{}, err
	}
	w.customer = customer.ID
	if at := w.profile.LastActivityAt; at != nil {
		if err := db.New().CustomerActivityUpsert(w.ctx, w.tx, customer.ID, *at); err != nil {
			return customers.Customer{}, err
		}
	}
	for _, write := range []func() error{
		w.identities, w.jobs, w.domains, w.notes, w.publishings, w.accesses, w.terms, w.events,
	} {
		if err := write(); err != nil {
			return customers.Customer{}, err
		}
	}
	if err := customers.RecordRestored(w.ctx, w.tx, customer); err != nil {
		return customers.Customer{}, err
	}
	return customers.Get(w.ctx, w.tx, nil, customer.ID)
}

func (w *writing) customerRow() db.Customer {
	p := w.profile
	row := db.Customer{
		ID: w.ids.of(p.ID), Name: p.Name, Email: p.Email, Phone: p.Phone, Company: p.Company, Address: p.Address, Modules: p.Modules,
		Locale: p.Locale, Status: w.plan.Status, Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
	if p.ProfileOfStaff != nil {
		row.Comments, row.Properties, row.ParentID = p.Comments, p.Properties, p.ParentID
		row.ExternalID, row.InvitedAt = p.ExternalID, p.InvitedAt
	}
	if row.Status == customers.Unregistered {
		row.InvitedAt = nil
	}
	return row
}

// write writes the records of a file, as rows.
func write[Record, Row any](w *writing, file string, row func(Record) (Row, bool, error), store func(context.Context, *postgres.Tx, []Row) error) error {
	return records(w.checking, file, func(_ int, some []Record) error {
		rows := make([]Row, 0, len(some))
		for _, record := range some {
			made, kept, err := row(record)
			if err != nil {
				return err
			}
			if kept {
				rows = append(rows, made)
			}
		}
		return store(w.ctx, w.tx, rows)
	})
}

func (w *writing) identities() error {
	return write(w, identitiesFile, func(i identity) (identities.Identity, bool, error) {
		return identities.Identity{LastLoginAt: i.LastLoginAt, Identity: db.Identity{
			ID: w.ids.of(i.ID), CustomerID: w.customer, Name: i.Name, Email: i.Email, Role: i.Role, Version: i.Version,
			CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
		}}, true, nil
	}, identities.Restore)
}

func (w *writing) jobs() error {
	return write(w, jobsFile, func(j job) (jobs.Job, bool, error) {
		row := jobs.Job{Job: db.Job{
			ID: w.ids.of(j.ID), CustomerID: w.customer, Name: j.Name, Description: j.Description, Copies: j.Copies, DueAt: j.DueAt,
			Status: j.Status, Version: j.Version, CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt,
		}}
		for _, file := range j.Files {
			stored := w.files[file.Entry]
			row.Files = append(row.Files, db.JobFile{
				JobID: row.ID, Kind: file.Kind, Filename: cmp.Or(filename.Clean(file.Filename), file.Kind), ContentType: stored.contentType,
				Size: file.Size, Sha256: file.SHA256[:], BlobKey: stored.key, UploadedAt: file.UploadedAt,
			})
		}
		return row, true, nil
	}, jobs.Restore)
}

// orNil gives JSON that may be missing.
func orNil(text json.RawMessage) json.RawMessage {
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	return text
}

func (w *writing) domains() error {
	return write(w, domainsFile, func(d domain) (db.Domain, bool, error) {
		return db.Domain{
			ID: w.ids.of(d.ID), CustomerID: w.customer, Host: d.Host, HttpPorts: d.HTTPPorts, Scheme: d.Scheme, Origin: d.Origin,
			OriginPort: d.OriginPort, CacheConfiguration: orNil(d.CacheConfiguration), Redirection: orNil(d.Redirection),
			SslExpiresAt: d.SSLExpiresAt, TlsProtocol: d.TLSProtocol, WafConfiguration: orNil(d.WAFConfiguration), Version: d.Version,
			CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
		}, true, nil
	}, domains.Restore)
}

func (w *writing) notes() error {
	return write(w, notesFile, func(n note) (db.Note, bool, error) {
		return db.Note{
			ID: w.ids.of(n.ID), CustomerID: w.customer, Text: n.Text, AuthorKind: n.Author.Kind, AuthorID: w.ids.ofActor(n.Author),
			AuthorName: n.Author.Name, CreatedAt: n.CreatedAt,
		}, true, nil
	}, notes.Restore)
}

func (w *writing) publishings() error {
	return write(w, publishedFile, func(p publishing) (db.Publishing, bool, error) {
		row := db.Publishing{
			ID: w.ids.of(p.ID), CustomerID: w.customer, IdentityID: w.ids.ofOptional(p.IdentityID), Kind: p.Kind, Title: p.Title,
			Content: p.Content, State: p.State, Visibility: p.Visibility, TemplateID: w.ids.ofOptional(p.TemplateID), Version: p.Version,
			CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		}
		if p.OwnerHash != nil {
			row.OwnerHash = p.OwnerHash[:]
		} else if _, there := w.logins[*p.IdentityID]; !there {
			// Nobody finds what is kept under the hash of an id, but what was one person's stays one person's.
			hash := sha256.Sum256(row.IdentityID[:])
			row.IdentityID, row.OwnerHash = nil, hash[:]
		}
		return row, true, nil
	}, publishings.Restore)
}

func (w *writing) accesses() error {
	return write(w, accessesFile, func(a publishingAccess) (db.PublishingAccess, bool, error) {
		return db.PublishingAccess{
			ID: w.ids.of(a.ID), PublishingID: w.ids.of(a.PublishingID), ActorKind: a.Actor.Kind, ActorID: w.ids.ofActor(a.Actor),
			ActorName: a.Actor.Name, Via: a.Via, At: a.At,
		}, true, nil
	}, publishings.RestoreAccesses)
}

// terms writes acceptances of terms whose documents are here: of the version that was accepted or, on another installation,
// of the last one that has the same document.
func (w *writing) terms() error {
	type accepted struct{ terms, identity uuid.UUID }
	first, met := map[uuid.UUID]bool{}, map[accepted]bool{}
	return records(w.checking, termsFile, func(_ int, some []termsAcceptance) error {
		versions, err := findTerms(w.ctx, w.tx, some)
		if err != nil {
			return err
		}
		var rows []db.TermsAcceptance
		for _, a := range some {
			found := versions[a.DocumentSHA256]
			if len(found) == 0 {
				continue
			}
			version := found[len(found)-1].ID
			for _, one := range found {
				if one.ID == a.TermsID {
					version = one.ID
				}
			}
			row := db.TermsAcceptance{
				ID: w.ids.of(a.ID), CustomerID: w.customer, TermsID: version, IdentityID: w.ids.ofOptional(a.Identity.ID),
				IdentityName: a.Identity.Name, IdentityEmail: a.Identity.Email, IsFirst: !first[version], AcceptedAt: a.AcceptedAt,
			}
			if row.IdentityID != nil {
				by := accepted{version, *row.IdentityID}
				if met[by] { // two versions had the same document
					continue
				}
				met[by] = true
			}
			first[version] = true
			rows = append(rows, row)
		}
		return terms.RestoreAcceptances(w.ctx, w.tx, rows)
	})
}

func (w *writing) events() error {
	return write(w, eventsFile, func(e event) (db.Event, bool, error) {
		data, err := w.ids.ofData(orNil(e.Data))
		return db.Event{
			ID: w.ids.of(e.ID), Type: e.Type, ResourceKind: e.Resource.Kind, ResourceID: w.ids.ofResource(e.Resource), Version: e.Version,
			CustomerID: &w.customer, ActorKind: e.Actor.Kind, ActorID: w.ids.ofActor(e.Actor), ActorName: e.Actor.Name,
			RequestID: e.RequestID, At: e.At, Data: data,
		}, true, err
	}, events.Restore)
}
