package activation

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
)

// Prepare makes a request for review, and sends nothing. Its link replaces the ones that were given out before for the
// same login.
func (s *Service) Prepare(
	ctx context.Context, tx *postgres.Tx, customerID uuid.UUID, identityID *uuid.UUID,
) (db.ActivationRequest, error) {
	customer, err := customers.Lock(ctx, tx, customerID)
	if err != nil {
		return db.ActivationRequest{}, err
	}
	if _, err := customers.Next(customer.Status, customers.ActionSendActivationRequest); err != nil {
		return db.ActivationRequest{}, err
	}
	login, err := invited(ctx, tx, customer, identityID)
	if err != nil {
		return db.ActivationRequest{}, err
	}
	invitation := db.ActivationRequestInsertParams{
		ID: uuid.Must(uuid.NewV7()), CustomerID: customer.ID, ExpiresAt: tx.Now.Add(requestLifetime), CreatedAt: tx.Now,
	}
	name := ""
	if login != nil {
		invitation.IdentityID, invitation.Recipient, name = &login.ID, login.Email, login.Name
	} else if invitation.Recipient, err = newLoginEmail(ctx, tx, customer); err != nil {
		return db.ActivationRequest{}, err
	}
	invitation.Subject, invitation.Body, err = s.Texts.Render(messages.Activation, messages.Locale(customer.Locale), messages.Data{
		Customer: customer.Name, Company: orEmpty(customer.Company), Recipient: name, Hours: int(requestLifetime.Hours()),
	})
	if err != nil {
		return db.ActivationRequest{}, err
	}
	err = db.New().ActivationRequestRevokeByIdentity(ctx, tx, tx.Now, customer.ID, invitation.IdentityID)
	if err != nil {
		return db.ActivationRequest{}, err
	}
	created, err := db.New().ActivationRequestInsert(ctx, tx, invitation)
	if err != nil {
		return db.ActivationRequest{}, err
	}
	return created, record(ctx, tx, "created", nil, created)
}

// invited finds the login that a request is for; nil when following the link is to create it.
func invited(ctx context.Context, tx *postgres.Tx, customer db.Customer, id *uuid.UUID) (*db.Identity, error) {
	if id != nil {
		login, err := db.New().IdentityGet(ctx, tx, *id, customer.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, fault.InvalidBody(fault.Field{
				Pointer: "/identity_id", Code: "reference_not_found", Message: "the customer has no such login",
			})
		}
		if err == nil && customer.Status == customers.Active && login.PasswordHash != nil {
			return nil, conflict("identity_active", "The login has a password already, and its customer is active.")
		}
		return &login, err
	}
	if customer.Status == customers.Unregistered {
		return nil, nil
	}
	logins, err := db.New().IdentityListOldestFirst(ctx, tx, customer.ID, 2)
	if err != nil {
		return nil, err
	}
	if customer.Status == customers.Inactive && len(logins) == 1 {
		return &logins[0], nil
	}
	if customer.Status == customers.Inactive && customer.EmailKey != nil {
		row, err := db.New().IdentityGetByEmail(ctx, tx, *customer.EmailKey)
		if err == nil && row.Identity.CustomerID == customer.ID {
			return &row.Identity, nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, err
		}
	}
	return nil, conflict("identity_id_required", "The customer is active or has several logins. Name one as identity_id.")
}

// newLoginEmail gives the email address of a login that a link is to create.
func newLoginEmail(ctx context.Context, tx *postgres.Tx, customer db.Customer) (string, error) {
	if customer.Email == nil {
		return "", conflict("no_email", "The customer has no email address to send anything to.")
	}
	_, err := db.New().IdentityGetByEmail(ctx, tx, textfold.CaseKey(*customer.Email))
	switch {
	case err == nil:
		return "", loginEmailTaken()
	case !errors.Is(err, pgx.ErrNoRows):
		return "", err
	}
	return *customer.Email, nil
}

func loginEmailTaken() error {
	return conflict("login_email_taken", "Another login has this email address.")
}

func conflict(code, detail string) error {
	return &fault.Error{Kind: fault.Conflict, Code: code, Detail: detail}
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// Patch is what to change of a request; nil stays.
type Patch struct{ Subject, Body *string }

// Update changes what a request says. The body may have the link or its placeholder, of which the latter is stored.
func (s *Service) Update(
	ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID, versions etag.Versions, patch Patch,
) (db.ActivationRequest, error) {
	before, err := s.lock(ctx, tx, customerID, id, versions)
	if err != nil {
		return before, err
	}
	edited := before
	if err := move(&edited, edit, tx.Now); err != nil {
		return before, err
	}
	if patch.Subject != nil {
		edited.Subject = *patch.Subject
	}
	if patch.Body != nil {
		edited.Body = strings.ReplaceAll(*patch.Body, s.requestLink(id), messages.Link)
	}
	if err := s.checkTexts(edited); err != nil {
		return before, err
	}
	if edited.Subject == before.Subject && edited.Body == before.Body {
		return before, nil
	}
	return store(ctx, tx, before, edited, "updated")
}

// checkTexts refuses a body without the link, and a token that would be stored, and that the subject would show to callers
// who must not see it.
func (s *Service) checkTexts(request db.ActivationRequest) error {
	var faults []fault.Field
	token := s.requestToken(request.ID)
	if strings.Contains(request.Subject, token) {
		faults = append(faults, fault.Field{
			Pointer: "/subject", Code: "link_misplaced", Message: "must not hold the link, whose place is the body",
		})
	}
	switch {
	case strings.Contains(request.Body, token):
		faults = append(faults, fault.Field{
			Pointer: "/body", Code: "link_misplaced", Message: "must hold the token in the whole link only, or {{link}} in its place",
		})
	case !strings.Contains(request.Body, messages.Link):
		faults = append(faults, fault.Field{
			Pointer: "/body", Code: "link_missing", Message: "must hold the link, or {{link}} in its place",
		})
	}
	if len(faults) > 0 {
		return fault.InvalidBody(faults...)
	}
	return nil
}

// Send has a request sent by the server, in the background.
func (s *Service) Send(
	ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID, versions etag.Versions,
) (db.ActivationRequest, error) {
	before, err := s.lock(ctx, tx, customerID, id, versions)
	if err != nil {
		return before, err
	}
	if s.Sender == nil {
		return before, conflict("mail_not_configured", "No mail server is set. Send the draft yourself and say mark-sent.")
	}
	edited := before
	if err := move(&edited, enqueue, tx.Now); err != nil {
		return before, err
	}
	edited.Failure = nil
	if err := s.Queue.Enqueue(ctx, tx, SendArgs{ActivationRequestID: id}); err != nil {
		return before, err
	}
	return store(ctx, tx, before, edited, "updated")
}

// MarkSent notes that somebody sent a request by hand.
func (s *Service) MarkSent(
	ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID, versions etag.Versions,
) (db.ActivationRequest, error) {
	before, err := s.lock(ctx, tx, customerID, id, versions)
	if err != nil {
		return before, err
	}
	return sent(ctx, tx, before, mark)
}

// sent notes that a request went out, on it and on its customer, whose row is locked. Its time begins anew.
func sent(ctx context.Context, tx *postgres.Tx, before db.ActivationRequest, how step) (db.ActivationRequest, error) {
	edited := before
	if err := move(&edited, how, tx.Now); err != nil {
		return before, err
	}
	edited.Failure, edited.SentAt, edited.ExpiresAt = nil, &tx.Now, tx.Now.Add(requestLifetime)
	customer, err := customers.Lock(ctx, tx, before.CustomerID)
	if err != nil {
		return before, err
	}
	if _, err := customers.MarkInvited(ctx, tx, customer, tx.Now); err != nil {
		return before, err
	}
	return store(ctx, tx, before, edited, "sent")
}

// Revoke makes the link of a request worthless.
func (s *Service) Revoke(ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID, versions etag.Versions) error {
	before, err := s.lock(ctx, tx, customerID, id, versions)
	if err != nil {
		return err
	}
	edited := before
	if err := move(&edited, revoke, tx.Now); err != nil {
		return err
	}
	edited.Failure = nil
	_, err = store(ctx, tx, before, edited, "revoked")
	return err
}

// lock reads a request of a customer for a change; the customer is locked before it, as everywhere.
func (s *Service) lock(
	ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID, versions etag.Versions,
) (db.ActivationRequest, error) {
	if _, err := customers.Lock(ctx, tx, customerID); err != nil {
		return db.ActivationRequest{}, err
	}
	request, err := db.New().ActivationRequestGetForUpdate(ctx, tx, id, customerID)
	if err != nil {
		return db.ActivationRequest{}, err
	}
	return request, versions.Check(request.Version)
}

// List reads a page of the requests of a customer that is within reach, the newest first.
func List(
	ctx context.Context, database *postgres.DB, reach *uuid.UUID, customerID uuid.UUID, page paging.Request,
) (paging.Page[db.ActivationRequest], error) {
	if _, err := db.New().CustomerFind(ctx, database, customerID, reach); err != nil {
		return paging.Page[db.ActivationRequest]{}, err
	}
	return paging.Read(page, paging.Query[db.ActivationRequest, paging.ByTime]{
		Cursors: paging.CursorsOf("activation requests", customerID),
		Start:   paging.Newest,
		Rows: func(before paging.ByTime, limit int32) ([]db.ActivationRequest, error) {
			return db.New().ActivationRequestListNewestFirst(ctx, database, db.ActivationRequestListNewestFirstParams{
				CustomerID: customerID, BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, RowLimit: limit,
			})
		},
		PlaceOf: func(r db.ActivationRequest) paging.ByTime { return paging.ByTime{CreatedAt: r.CreatedAt, ID: r.ID} },
		Count:   func() (int64, error) { return db.New().ActivationRequestCount(ctx, database, customerID) },
	})
}
