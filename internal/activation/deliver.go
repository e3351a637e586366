package activation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/mail"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/postgres"
)

// sendAttempts is how often a mail is tried, at growing intervals: for a bit more than an hour, as servers that put
// strangers off at first want to be asked.
const sendAttempts = 8

// SendArgs is the job of sending an activation request.
type SendArgs struct {
	ActivationRequestID uuid.UUID `json:"activation_request_id"`
}

// Kind names the job.
func (SendArgs) Kind() string { return "activation_request_send" }

// InsertOpts says how often it is tried.
func (SendArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: sendAttempts} }

// SendResetArgs is the job of sending a link that sets a password anew.
type SendResetArgs struct {
	PasswordResetID uuid.UUID `json:"password_reset_id"`
}

// Kind names the job.
func (SendResetArgs) Kind() string { return "password_reset_send" }

// InsertOpts says how often it is tried: for less time than the link lives.
func (SendResetArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 6} }

// SendWorker sends activation requests.
type SendWorker struct {
	river.WorkerDefaults[SendArgs]
	Service *Service
	DB      *postgres.DB
	Log     *slog.Logger
}

// system is who notes that a mail went out, or did not.
var system = postgres.Change{Actor: postgres.Actor{Kind: access.KindSystem, Name: "system"}}

// Work sends a request that is still queued. One that was sent just before its job was lost goes out again.
func (w *SendWorker) Work(ctx context.Context, job *river.Job[SendArgs]) error {
	request, err := db.New().ActivationRequestGet(ctx, w.DB, job.Args.ActivationRequestID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	now := w.DB.Now()
	if StateAt(request, now) != Queued {
		return nil
	}
	failure := w.Service.send(ctx, w.Service.Message(request, now))
	if failure != nil && !final(failure, job.Attempt, job.MaxAttempts) {
		return failure
	}
	if failure != nil {
		// A log outlives whoever it is about.
		reason := strings.ReplaceAll(failure.Error(), request.Recipient, "the recipient")
		w.Log.WarnContext(ctx, "an activation request was not sent", "reason", reason, "activation_request_id", request.ID)
	}
	err = w.DB.Change(ctx, system, func(tx *postgres.Tx) error { return conclude(ctx, tx, request, failure) })
	if errors.Is(err, errOvertaken) {
		return nil
	}
	return err
}

var errOvertaken = errors.New("the request is not queued any more")

// conclude notes how sending a request ended. One that was revoked or followed meanwhile stays so.
func conclude(ctx context.Context, tx *postgres.Tx, request db.ActivationRequest, failure error) error {
	if _, err := customers.Lock(ctx, tx, request.CustomerID); err != nil {
		return err
	}
	before, err := db.New().ActivationRequestGetForUpdate(ctx, tx, request.ID, request.CustomerID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && before.State != Queued {
		return errOvertaken
	}
	if err != nil {
		return err
	}
	if failure == nil {
		_, err = sent(ctx, tx, before, deliver)
		return err
	}
	edited, reason := before, failure.Error()
	if err := move(&edited, giveUp, tx.Now); err != nil {
		return err
	}
	edited.Failure = &reason
	_, err = store(ctx, tx, before, edited, "updated")
	return err
}

// stuckAfter is when a request that is queued has no job any more: later than the last attempt.
const stuckAfter = 6 * time.Hour

var errStuck = &mail.Error{Permanent: true, Reason: "It was not sent in time. Send it again."}

// failStuck gives up requests whose job was lost, such as by a process that died in the last attempt.
func failStuck(ctx context.Context, database *postgres.DB) error {
	stuck, err := db.New().ActivationRequestListStuck(ctx, database, database.Now().Add(-stuckAfter))
	if err != nil {
		return fmt.Errorf("looking for requests that are stuck: %w", err)
	}
	for _, request := range stuck {
		err := database.Change(ctx, system, func(tx *postgres.Tx) error { return conclude(ctx, tx, request, errStuck) })
		if err != nil && !errors.Is(err, errOvertaken) {
			return err
		}
	}
	return nil
}

// tokens are the tokens of links, in a text.
var tokens = regexp.MustCompile("(" + requestPrefix + "|" + resetPrefix + ")[A-Za-z0-9_-]+")

// send hands a message to the mail server. The reason of a failure is shown and logged, and a server that dislikes a link
// may quote it: the reason has it without the token.
func (s *Service) send(ctx context.Context, message mail.Message) error {
	if s.Sender == nil {
		return &mail.Error{Permanent: true, Reason: "No mail server is set any more."}
	}
	err := s.Sender.Send(ctx, message)
	var known *mail.Error
	if !errors.As(err, &known) {
		return err
	}
	shown := *known
	shown.Reason = tokens.ReplaceAllString(known.Reason, "$1…")
	return &shown
}

// final tells whether there is no use in trying again.
func final(failure error, attempt, attempts int) bool {
	var known *mail.Error
	return errors.As(failure, &known) && known.Permanent || attempt >= attempts
}

// SendResetWorker sends links that set a password anew.
type SendResetWorker struct {
	river.WorkerDefaults[SendResetArgs]
	Service *Service
	DB      *postgres.DB
	Log     *slog.Logger
}

// Work sends a link that still works. There is none for an address that nobody may sign in with.
func (w *SendResetWorker) Work(ctx context.Context, job *river.Job[SendResetArgs]) error {
	row, err := db.New().PasswordResetGetWithIdentity(ctx, w.DB, job.Args.PasswordResetID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if resetState(row.PasswordReset, w.DB.Now()) != openReset || row.CustomerStatus != customers.Active {
		return nil
	}
	subject, body, err := w.Service.resetText(row)
	if err != nil {
		return err
	}
	failure := w.Service.send(ctx, mail.Message{
		To:      mail.Address{Name: row.Identity.Name, Address: row.Identity.Email},
		Subject: subject, Body: strings.ReplaceAll(body, messages.Link, w.Service.resetLink(row.PasswordReset.ID)),
	})
	if failure != nil && final(failure, job.Attempt, job.MaxAttempts) {
		// A log outlives whoever it is about.
		reason := strings.ReplaceAll(failure.Error(), row.Identity.Email, "the recipient")
		w.Log.WarnContext(ctx, "a mail to set a password anew was not sent", "reason", reason,
			"password_reset_id", row.PasswordReset.ID)
		return nil
	}
	return failure
}
