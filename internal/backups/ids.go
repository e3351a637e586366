package backups

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/events"
)

// ids gives what is restored its ids: those that it had, or new ones. A new one follows from the old one and from nothing
// else, so that whatever refers to it still does, also to what is not there any more, and nothing has to be remembered.
// Without the secret of the restore nobody can tell one from the other.
type ids struct {
	secret []byte // nil where ids stay
}

func newIDs(renew bool) ids {
	if !renew {
		return ids{}
	}
	return ids{secret: []byte(rand.Text())}
}

// renew tells whether ids are made anew.
func (i ids) renew() bool { return i.secret != nil }

// of gives the id of something that belongs to the customer, or of the customer itself. The moment in it stays, and with
// that its place among others.
func (i ids) of(id uuid.UUID) uuid.UUID {
	if !i.renew() {
		return id
	}
	mac := hmac.New(sha256.New, i.secret)
	mac.Write(id[:])
	renewed := uuid.UUID(mac.Sum(nil)[:len(id)])
	const moment = 6 // the bytes of a UUIDv7 that say when it was made
	copy(renewed[:moment], id[:moment])
	renewed[6] = 0x70 | renewed[6]&0x0f
	renewed[8] = 0x80 | renewed[8]&0x3f
	return renewed
}

func (i ids) ofOptional(id *uuid.UUID) *uuid.UUID {
	if id == nil {
		return nil
	}
	renewed := i.of(*id)
	return &renewed
}

// ofActor gives the id of who did something: logins are restored, others are not.
func (i ids) ofActor(who actor) *uuid.UUID {
	if who.Kind == access.KindIdentity {
		return i.ofOptional(who.ID)
	}
	return who.ID
}

// ofResource gives the id of what an event is about.
func (i ids) ofResource(of resource) uuid.UUID {
	if slices.Contains(keptKinds, of.Kind) {
		return of.ID
	}
	return i.of(of.ID)
}

// keptKinds are the kinds of resource that belong to no customer, and are not restored.
var keptKinds = []string{events.Terms, events.Staff}

// renewedMembers are the members of what an event is about that are ids of what is restored.
var renewedMembers = []string{
	"id", "customer_id", "identity_id", "job_id", "publishing_id", "template_id", "activation_request_id",
}

// ofData gives what an event says with the ids in it: those of the resource itself, before and after. Everything else stays
// as it is written, also where it looks like an id.
func (i ids) ofData(data json.RawMessage) (json.RawMessage, error) {
	if !i.renew() || data == nil {
		return data, nil
	}
	renewed := slices.Clone(data)
	var path []step
	tokens := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := tokens.Token()
		if errors.Is(err, io.EOF) {
			return renewed, nil
		}
		if err != nil {
			return nil, err
		}
		if text, isText := token.(string); isText && isRenewed(path) {
			if id, err := uuid.Parse(text); err == nil {
				end := int(tokens.InputOffset())
				replaced := i.of(id).String()
				if begin := end - len(replaced) - 1; begin >= 0 && string(data[begin:end-1]) == text {
					copy(renewed[begin:], replaced)
				}
			}
		}
		path = advance(path, token)
	}
}

// step is an object or a list that a place in a text lies in, with the member of the object whose value comes next.
type step struct {
	isObject bool
	member   string
	atValue  bool
}

// isRenewed tells whether the value at the place may be an id of what is restored: of a member of what was before or after.
func isRenewed(path []step) bool {
	return len(path) == 2 && path[0].isObject && path[0].atValue && path[1].isObject && path[1].atValue &&
		slices.Contains(renewedMembers, path[1].member)
}

// advance gives the place after a token.
func advance(path []step, token json.Token) []step {
	switch token {
	case json.Delim('{'), json.Delim('['):
		return append(path, step{isObject: token == json.Delim('{')})
	case json.Delim('}'), json.Delim(']'):
		path = path[:len(path)-1]
	default:
		if last := len(path) - 1; last >= 0 && path[last].isObject && !path[last].atValue {
			name, _ := token.(string)
			path[last].member, path[last].atValue = name, true
			return path
		}
	}
	if last := len(path) - 1; last >= 0 {
		path[last].atValue = false
	}
	return path
}
