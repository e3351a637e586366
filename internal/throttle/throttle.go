// Package throttle slows down guessing at secrets and asking for mail, for all replicas together, by what it counts
// in the database. It makes callers wait, for minutes at most where they sign in, and never locks a login. It does
// not know which logins there are, so an unknown one is treated as a known one; and it stores keyed hashes alone, no
// login and no address. With another secret key the counts begin anew and known addresses are known again from the
// next sign-in on.
package throttle

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/textfold"
)

// Realm is where a login belongs to: the same email address may be one of staff and one of a portal.
type Realm string

// The realms of logins.
const (
	Staff     Realm = "staff"
	Portal    Realm = "portal"
	APIClient Realm = "api client" // whose login is its client_id

	contact Realm = "contact" // recipients of invitations, who need not have a login
)

// Guard counts and judges.
type Guard struct {
	db      *postgres.DB
	keyring *secrets.Keyring
}

// New makes a Guard.
func New(database *postgres.DB, keyring *secrets.Keyring) *Guard {
	return &Guard{db: database, keyring: keyring}
}

// Attempt is a try at a secret that was let through. It counts as failed until it is said to have succeeded, so that of
// many at once no more are let through than of many in turn.
type Attempt struct {
	guard   *Guard
	subject subject
	counted counted
}

// Attempt asks whether a secret of the login may be tried from the address now: a password at sign-in, or the present
// password where it must be confirmed. It is to be asked before the password is compared, and says nothing of the
// password. When it is too soon the error is a fault of the kind TooManyRequests, the try is not counted, and the wait
// becomes no longer by it. The login is taken as it was typed, the address as text.
func (g *Guard) Attempt(ctx context.Context, realm Realm, login, address string) (*Attempt, error) {
	subject := newSubject(realm, login, address)
	counted, err := g.count(ctx, guesses, subject)
	if err != nil {
		return nil, fmt.Errorf("counting an attempt: %w", err)
	}
	if wait := counted.longestWait(guesses); wait > 0 {
		return nil, tooMany(wait)
	}
	return &Attempt{guard: g, subject: subject, counted: counted}, nil
}

// Succeeded says that the secret was right. The failures of the login at the address are forgotten, the attempt is no
// longer counted elsewhere, and the address is known for the login from now on.
func (a *Attempt) Succeeded(ctx context.Context) error {
	g := a.guard
	return a.noted(ctx, func(ctx context.Context, batch *postgres.Batch) error {
		if err := a.takeBack(ctx, batch, g.key(guesses[0], a.subject)); err != nil {
			return err
		}
		return db.New().KnownAddressUpsert(ctx, batch, g.knownKey(a.subject), g.db.Now().Add(knownMemory))
	})
}

// Forget takes the attempt back: what was to be judged was not, for a reason of ours, such as a database that is away.
func (a *Attempt) Forget(ctx context.Context) error {
	return a.noted(ctx, func(ctx context.Context, batch *postgres.Batch) error {
		return a.takeBack(ctx, batch, nil)
	})
}

func (a *Attempt) takeBack(ctx context.Context, batch *postgres.Batch, cleared []byte) error {
	var keys [][]byte
	for key := range a.counted.freeAt {
		keys = append(keys, []byte(key))
	}
	return db.New().AttemptCountTakeBack(ctx, batch, cleared, a.counted.at, keys)
}

// noted notes how the attempt ended. A caller who hangs up does not keep it from that.
func (a *Attempt) noted(ctx context.Context, do func(ctx context.Context, batch *postgres.Batch) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := a.guard.atOnce(ctx, func(batch *postgres.Batch) error { return do(ctx, batch) })
	if err != nil {
		return fmt.Errorf("noting how an attempt ended: %w", err)
	}
	return nil
}

// Know makes the address known for the login, as a success does. It is for whoever has proved in another way to own the
// login, such as by a link that was mailed: that lets an owner in who comes from a new address while others guess.
func (g *Guard) Know(ctx context.Context, realm Realm, login, address string) error {
	key := g.knownKey(newSubject(realm, login, address))
	if err := db.New().KnownAddressUpsert(ctx, g.db, key, g.db.Now().Add(knownMemory)); err != nil {
		return fmt.Errorf("remembering an address: %w", postgres.Translate(err))
	}
	return nil
}

// Reset tells whether a mail may be sent by which the login sets its password anew. When the login had enough of them
// it says no, which the caller must not be told, since it tells what others asked for. When the address asked too
// often the error is a fault of the kind TooManyRequests. Links in such mails should hold for an hour at least: then
// the owner has one that holds, even when others ask for all that a login may get.
func (g *Guard) Reset(ctx context.Context, realm Realm, login, address string) (bool, error) {
	counted, err := g.count(ctx, resets, newSubject(realm, login, address))
	if err != nil {
		return false, fmt.Errorf("counting a reset: %w", err)
	}
	for _, rule := range resets {
		if wait := counted.wait(rule); wait > 0 && !rule.login {
			return false, tooMany(wait)
		}
	}
	return counted.longestWait(resets) == 0, nil
}

// Invite tells whether a mail may go to the address that one of a customer's people asks for, who is not the owner of the
// address. When it got enough of them the error is a fault of the kind TooManyRequests.
func (g *Guard) Invite(ctx context.Context, recipient string) error {
	counted, err := g.count(ctx, invitations, newSubject(contact, recipient, ""))
	if err != nil {
		return fmt.Errorf("counting an invitation: %w", err)
	}
	if wait := counted.longestWait(invitations); wait > 0 {
		return tooMany(wait)
	}
	return nil
}

// Sweep deletes what is forgotten.
func Sweep(ctx context.Context, database *postgres.DB) error {
	now := database.Now()
	if _, err := db.New().AttemptCountDeleteForgotten(ctx, database, now.Add(-memory), now.Add(memory)); err != nil {
		return fmt.Errorf("deleting forgotten attempts: %w", err)
	}
	if _, err := db.New().KnownAddressDeleteExpired(ctx, database, now); err != nil {
		return fmt.Errorf("deleting forgotten addresses: %w", err)
	}
	return nil
}

func tooMany(wait time.Duration) error {
	whole := (wait + time.Second - 1).Truncate(time.Second)
	return &fault.Error{
		Kind: fault.TooManyRequests, Code: "too_many_attempts", Detail: "There were too many attempts. Wait before the next.",
		RetryAfter: max(whole, time.Second),
	}
}

// subject is who tries, in a form that is the same for all ways to write it.
type subject struct {
	realm          Realm
	login, network string
}

// maxLogin is how long a login is, in bytes, that is still folded: no account has one nearly as long.
const maxLogin = 4096

func newSubject(realm Realm, login, address string) subject {
	if len(login) <= maxLogin {
		login = textfold.CaseKey(login) // as accounts are found by it
	}
	return subject{realm: realm, login: login, network: networkOf(address)}
}

// networkOf gives what is one address to a guesser: an address of IPv4, or the network of 64 bits that a single line
// gets in IPv6. All that is no address is the same one, lest a guesser become many by writing nonsense.
func networkOf(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		withPort, err := netip.ParseAddrPort(address)
		if err != nil {
			return ""
		}
		parsed = withPort.Addr()
	}
	parsed = parsed.WithZone("").Unmap()
	if parsed.Is4() {
		return parsed.String()
	}
	return netip.PrefixFrom(parsed, 64).Masked().String()
}
