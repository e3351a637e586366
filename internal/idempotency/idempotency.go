// Package idempotency makes requests safe to send again. Who sends a key with a request gets, with the same key and the
// same request, the answer of the first time, and nothing happens twice. A key is claimed, and the answer stored, in the
// transaction of what the request does (postgres.Once), so that no crash comes between them. Answers are encrypted, live a
// day, and are erased with whom they are about. It knows neither what requests ask for nor how answers are written.
package idempotency

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	// Lifetime is how long a key is known.
	Lifetime = 24 * time.Hour
	// Header is where keys are sent.
	Header = "Idempotency-Key"

	maxKey         = 255
	requestPurpose = "idempotent requests"
	answerPurpose  = "stored answers"
	retryAfter     = time.Second
)

// IsKey tells whether a text may be a key: 1 to 255 visible characters of ASCII.
func IsKey(text string) bool {
	for i := range len(text) {
		if text[i] < '!' || text[i] > '~' {
			return false
		}
	}
	return text != "" && len(text) <= maxKey
}

// Answer is what a request was answered with.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Replayed is the error of a request that was answered before: nothing is done, and the answer is the one that it got, about
// whom and what it was about then.
type Replayed struct {
	Answer   Answer
	Subjects []uuid.UUID
}

// Error describes it for the log.
func (*Replayed) Error() string { return "the request was answered before" }

// Keeper keeps keys and answers.
type Keeper struct {
	db      *postgres.DB
	keyring *secrets.Keyring
}

// NewKeeper makes a Keeper.
func NewKeeper(database *postgres.DB, keyring *secrets.Keyring) *Keeper {
	return &Keeper{db: database, keyring: keyring}
}

// Request is a request that came with a key.
type Request struct {
	CallerKind string // the key is the caller's own: another one's key of the same text is another key
	CallerID   uuid.UUID
	Key        string
	Reach      *uuid.UUID // of the caller: what was answered to one who reached more, or others, is not told again
	Method     string
	Target     string      // path and query, as they were sent
	Body       Body        // what was sent
	Subjects   []uuid.UUID // whom and what the answer is about, beside what the change itself says
}

// Body is what was sent.
type Body interface {
	// Hash gives the SHA-256 of all of it. What nobody has read yet is read for that.
	Hash() ([]byte, error)
}

// Key is the key of a request.
type Key struct {
	keeper  *Keeper
	request Request
	id      [sha256.Size]byte
}

// Key gives the key of a request.
func (k *Keeper) Key(request Request) *Key {
	return &Key{
		keeper: k, request: request,
		id: sha256.Sum256(fmt.Appendf(nil, "%s %s %s", request.CallerKind, request.CallerID, request.Key)),
	}
}

// Before looks for what the request was answered with before, for one that is about to be refused: what stands against it
// now may be what it did itself. The error is Replayed, or that the key is another request's; nil means that the key is new.
func (k *Key) Before(ctx context.Context) error {
	stored, err := db.New().IdempotencyKeyGet(ctx, k.keeper.db, k.id[:], k.keeper.db.Now())
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for an answer: %w", err)
	}
	sent, err := k.sent()
	if err != nil {
		return err
	}
	return k.judge(sent, stored.Request, stored.Answer, stored.Subjects)
}

// sent is what a request is known by, and how far its sender reached.
func (k *Key) sent() ([]byte, error) {
	body, err := k.request.Body.Hash()
	if err != nil {
		return nil, err
	}
	sent := fmt.Appendf(nil, "%s %s\n%x", k.request.Method, k.request.Target, body)
	if reach := k.request.Reach; reach != nil {
		sent = fmt.Appendf(sent, "\n%s", reach)
	}
	return sent, nil
}

// judge says what a request gets whose key is stored.
func (k *Key) judge(sent, request, sealed []byte, subjects []uuid.UUID) error {
	var plain []byte
	var err error
	if sealed != nil {
		plain, err = k.keeper.keyring.Open(answerPurpose, k.context(), sealed)
	}
	switch {
	case err != nil: // with its secret key, what was asked for cannot be known any more either
		return Erased(err)
	case !k.keeper.keyring.Verify(requestPurpose, sent, request):
		return reused()
	case sealed == nil:
		return Erased(nil)
	}
	answer, err := decode(plain)
	if err != nil {
		return fmt.Errorf("reading a stored answer: %w", err)
	}
	return &Replayed{answer, subjects}
}

func (k *Key) context() string { return hex.EncodeToString(k.id[:]) }

// Once makes the change that the request asks for one that happens once. The answer is asked for when the change is made.
func (k *Key) Once(answer func() (Answer, error)) (postgres.Once, error) {
	sent, err := k.sent()
	return &once{Key: k, sent: sent, answer: answer}, err
}

type once struct {
	*Key
	sent    []byte
	answer  func() (Answer, error)
	expired bool // whether the key was known, and may be used anew
}

// Claim takes the key.
func (o *once) Claim(ctx context.Context, batch *postgres.Batch, now time.Time) error {
	number := int64(binary.BigEndian.Uint64(o.id[:8]))
	found, err := db.New().IdempotencyKeyClaim(ctx, batch, number, o.id[:])
	if err != nil {
		return fmt.Errorf("claiming a key: %w", err)
	}
	o.expired = found.ExpiresAt != nil && !found.ExpiresAt.After(now)
	switch {
	case found.Request != nil && !o.expired: // also when it is at work again, and gets the same
		return o.judge(o.sent, found.Request, found.Answer, found.Subjects)
	case !found.Claimed:
		return inProgress()
	}
	return nil
}

// Store keeps the answer.
func (o *once) Store(ctx context.Context, batch *postgres.Batch, tx *postgres.Tx) error {
	answer, err := o.answer()
	if err != nil {
		return err
	}
	plain, err := answer.encode()
	if err != nil {
		return fmt.Errorf("writing an answer to store it: %w", err)
	}
	if o.expired {
		if err := db.New().IdempotencyKeyDelete(ctx, batch, o.id[:], tx.Now); err != nil {
			return err
		}
	}
	return db.New().IdempotencyKeyInsert(ctx, batch, db.IdempotencyKeyInsertParams{
		ID: o.id[:], Request: o.keeper.keyring.Sign(requestPurpose, o.sent),
		Answer:   o.keeper.keyring.Seal(answerPurpose, o.context(), plain),
		Subjects: append(tx.Subjects(), o.request.Subjects...), ExpiresAt: tx.Now.Add(Lifetime),
	})
}

// encode writes an answer as HTTP does.
func (a Answer) encode() ([]byte, error) {
	var text bytes.Buffer
	text.Grow(len(a.Body) + 512)
	response := http.Response{
		StatusCode: a.Status, ProtoMajor: 1, ProtoMinor: 1, Header: a.Header, ContentLength: int64(len(a.Body)),
		Body: io.NopCloser(bytes.NewReader(a.Body)),
	}
	err := response.Write(&text)
	return text.Bytes(), err
}

func decode(text []byte) (Answer, error) {
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	response.Header.Del("Content-Length")
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, err
}

// Erase removes the answers that are about any of these. Their keys stay.
func Erase(ctx context.Context, tx *postgres.Tx, subjects ...uuid.UUID) error {
	if err := db.New().IdempotencyKeyErase(ctx, tx, subjects); err != nil {
		return fmt.Errorf("erasing stored answers: %w", err)
	}
	return nil
}

// deletedAtOnce is how many keys a statement of Sweep deletes.
const deletedAtOnce = 10_000

// Sweep deletes keys that have expired.
func Sweep(ctx context.Context, database *postgres.DB) error {
	now := database.Now()
	for {
		deleted, err := db.New().IdempotencyKeyDeleteExpired(ctx, database, now, deletedAtOnce)
		if err != nil {
			return fmt.Errorf("deleting expired keys: %w", postgres.Translate(err))
		}
		if deleted < deletedAtOnce {
			return nil
		}
	}
}

// Malformed tells that a key is none.
func Malformed() *fault.Error {
	return fault.InvalidRequest(fault.Field{
		Header: Header, Code: "invalid_format", Message: "must be 1 to 255 visible ASCII characters",
	})
}

func reused() error {
	const message = "was sent with another request before"
	return &fault.Error{
		Kind: fault.Invalid, Code: "idempotency_key_reused",
		Detail: "The key was sent with another request before. Send each request with a key of its own.",
		Fields: []fault.Field{{Header: Header, Code: "idempotency_key_reused", Message: message}},
	}
}

func inProgress() error {
	return &fault.Error{
		Kind: fault.Conflict, Code: "in_progress", RetryAfter: retryAfter,
		Detail: "A request with this key is still at work. Send it again in a moment.",
	}
}

// Erased tells that a request was done whose answer nobody gets any more, or not who asks: they are not told which, since
// what has gone out of somebody's reach may be gone altogether.
func Erased(cause error) *fault.Error {
	return &fault.Error{
		Kind: fault.Conflict, Code: "answer_erased", Cause: cause,
		Detail: "The request was done. Its answer cannot be given any more, and it is not done again.",
	}
}
