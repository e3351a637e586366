// Package activation brings people to a password by mail: activation requests, which staff reviews before they go out, and
// links to set a forgotten password anew. The token of a link is derived from the id of what it belongs to, under the
// installation's key; it is stored nowhere, and no job and no log has it.
package activation

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/mail"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	// requestLifetime is how long a link activates, from sending or, while it is not sent, from preparing.
	requestLifetime = 72 * time.Hour
	// resetLifetime is how long a link sets a password anew.
	resetLifetime = time.Hour

	requestPurpose, requestPrefix = "activation links", "cla_"
	resetPurpose, resetPrefix     = "password reset links", "clp_"
)

// Options is what a Service works with.
type Options struct {
	Keyring *secrets.Keyring
	Texts   *messages.Texts
	Queue   Enqueuer
	Sender  *mail.Sender // nil when no mail server is set
	BaseURL string       // of the pages that links lead to
}

// Enqueuer adds jobs to a transaction.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *postgres.Tx, args river.JobArgs, options ...queue.Option) error
}

// Service prepares, sends and follows links.
type Service struct{ Options }

// New makes a Service.
func New(options Options) *Service { return &Service{options} }

// Link gives what a person follows to activate a login; "" once it does not work any more.
func (s *Service) Link(request db.ActivationRequest, now time.Time) string {
	if !IsOpen(StateAt(request, now)) {
		return ""
	}
	return s.requestLink(request.ID)
}

func (s *Service) requestLink(id uuid.UUID) string {
	return s.BaseURL + "/activate#token=" + s.requestToken(id)
}

func (s *Service) requestToken(id uuid.UUID) string {
	return s.Keyring.Token(requestPurpose, requestPrefix, id)
}

func (s *Service) resetLink(id uuid.UUID) string {
	return s.BaseURL + "/reset#token=" + s.Keyring.Token(resetPurpose, resetPrefix, id)
}

// Message gives the mail of a request, with the link in its body while that works.
func (s *Service) Message(request db.ActivationRequest, now time.Time) mail.Message {
	body := request.Body
	if link := s.Link(request, now); link != "" {
		body = strings.ReplaceAll(body, messages.Link, link)
	}
	return mail.Message{To: mail.Address{Address: request.Recipient}, Subject: request.Subject, Body: body}
}

// The states of a request. That one is expired is not stored: time passes by itself.
const (
	Draft   = "draft"
	Queued  = "queued"
	Sent    = "sent"
	Failed  = "failed"
	Used    = "used"
	Expired = "expired"
	Revoked = "revoked"
)

// step is something that happens to a request.
type step string

const (
	edit    step = "changed"
	enqueue step = "sent"
	mark    step = "marked as sent"
	deliver step = "delivered"
	giveUp  step = "given up"
	use     step = "used"
	revoke  step = "revoked"
)

// moves is the one table of states: what may happen in which state, and where that leads.
var moves = map[step]map[string]string{
	edit:    {Draft: Draft, Failed: Failed},
	enqueue: {Draft: Queued, Failed: Queued},
	mark:    {Draft: Sent, Failed: Sent},
	deliver: {Queued: Sent},
	giveUp:  {Queued: Failed},
	use:     {Draft: Used, Queued: Used, Sent: Used, Failed: Used},
	revoke:  {Draft: Revoked, Queued: Revoked, Sent: Revoked, Failed: Revoked},
}

// IsOpen tells whether the link works in the state.
func IsOpen(state string) bool { return moves[use][state] != "" }

// StateAt gives the state of a request at a moment.
func StateAt(request db.ActivationRequest, now time.Time) string {
	if IsOpen(request.State) && !now.Before(request.ExpiresAt) {
		return Expired
	}
	return request.State
}

// State is the state that a refused step is about.
type State string

// move takes a locked request through the table.
func move(request *db.ActivationRequest, next step, now time.Time) error {
	state := StateAt(*request, now)
	if next == deliver || next == giveUp {
		state = request.State // it was on its way before its time had passed
	}
	to, allowed := moves[next][state]
	if !allowed {
		return &fault.Error{
			Kind: fault.Conflict, Code: "request_state", About: State(state),
			Detail: "The activation request is " + state + " and cannot be " + string(next) + ".",
		}
	}
	request.State = to
	return nil
}

// store writes a request as it was changed, with its event.
func store(ctx context.Context, tx *postgres.Tx, before, edited db.ActivationRequest, what string) (db.ActivationRequest, error) {
	after, err := db.New().ActivationRequestUpdate(ctx, tx, db.ActivationRequestUpdateParams{
		ID: edited.ID, IdentityID: edited.IdentityID, State: edited.State, Subject: edited.Subject, Body: edited.Body,
		Failure: edited.Failure, ExpiresAt: edited.ExpiresAt, SentAt: edited.SentAt, UpdatedAt: tx.Now,
	})
	if err != nil {
		return db.ActivationRequest{}, err
	}
	return after, record(ctx, tx, what, &before, after)
}

// snapshot is a request as events show it: without what it says.
type snapshot struct {
	ID         uuid.UUID  `json:"id"`
	CustomerID uuid.UUID  `json:"customer_id"`
	IdentityID *uuid.UUID `json:"identity_id"`
	State      string     `json:"state"`
	To         string     `json:"to"`
	ExpiresAt  time.Time  `json:"expires_at"`
	SentAt     *time.Time `json:"sent_at"`
	Version    int64      `json:"version"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

func snapshotOf(r db.ActivationRequest) snapshot {
	return snapshot{
		r.ID, r.CustomerID, r.IdentityID, r.State, r.Recipient, r.ExpiresAt, r.SentAt, r.Version, r.CreatedAt, r.UpdatedAt,
	}
}

func record(ctx context.Context, tx *postgres.Tx, what string, before *db.ActivationRequest, after db.ActivationRequest) error {
	event := events.Event{
		Kind: events.ActivationRequest, What: what, ResourceID: after.ID, CustomerID: &after.CustomerID,
		Version: after.Version, After: snapshotOf(after),
	}
	if before != nil {
		event.Before = snapshotOf(*before)
	}
	return events.Append(ctx, tx, event)
}
