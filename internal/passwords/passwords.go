// Package passwords judges and hashes passwords. It stores nothing and never puts a password into an error.
package passwords

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
	"golang.org/x/crypto/argon2"

	"github.com/clientele-api/clientele/internal/fault"
)

// The lengths of a password, in characters.
const (
	MinLength = 10
	MaxLength = 128
)

// ErrCommon is the answer for a password that is one of the first a guesser tries.
var ErrCommon = errors.New("is too common or too easily guessed")

// Wrong tells that the password, which was to be confirmed, is another.
func Wrong() error {
	return fault.InvalidBody(fault.Field{
		Pointer: "/current_password", Code: "wrong_password", Message: "is not the present password",
	})
}

// Check tells what is wrong with a new password, nil when nothing is.
func Check(password string) error {
	switch length := utf8.RuneCountInString(password); {
	case length < MinLength:
		return fmt.Errorf("must have at least %d characters", MinLength)
	case length > MaxLength:
		return fmt.Errorf("must have at most %d characters", MaxLength)
	}
	// Estimating takes time that grows with the square of the length; a password is not made weaker by its tail.
	head := []rune(password)
	if len(head) > 64 {
		head = head[:64]
	}
	if zxcvbn.PasswordStrength(string(head), nil).Score < 2 {
		return ErrCommon
	}
	return nil
}

// Generate makes a password that nobody guesses.
func Generate() string {
	text := strings.ToLower(rand.Text())
	return text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:20]
}

// parameters of argon2id. Hashes carry the ones they were made with.
type parameters struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

var current = parameters{memory: 32 * 1024, passes: 3, threads: 1}

// Hasher hashes and compares with argon2id, a bounded number at a time: each takes a core for about a tenth of a second
// and 32 MiB, so a rush of sign-ins must wait its turn rather than take all cores and all memory. No more wait than are
// served within some seconds: who comes after them is told to come again.
//
// When the last of a rush is served, what the hashes were made with is collected at once. Left to itself the collector
// would let the rest of the program make as much garbage again as that was, before it looks.
type Hasher struct {
	cost   parameters
	places chan struct{} // taken by those that wait and those that hash
	slots  chan struct{} // taken by those that hash
	count  atomic.Int64
	tidies atomic.Bool // whether memory is being given back
	decoy  string
}

// tidiedFrom is the memory of a hash, in KiB, that is worth collecting at once.
const tidiedFrom = 1024

// waitingPerSlot is how many may wait for each that hashes.
const waitingPerSlot = 32

// maxSlots is how many hash at once on a machine with many cores. It bounds the memory: what a hash was made with is
// garbage, of which the collector leaves as much again as there is in use, and more until it is done.
const maxSlots = 2

// NewHasher makes a Hasher that leaves half of the machine to other work, and more of a big one.
func NewHasher() *Hasher { return newHasher(current) }

// NewTestHasher makes a Hasher that costs next to nothing, and whose hashes keep nobody from guessing: for tests of other
// things.
func NewTestHasher() *Hasher { return newHasher(parameters{memory: 8, passes: 1, threads: 1}) }

func newHasher(cost parameters) *Hasher {
	slots := min(maxSlots, max(1, runtime.GOMAXPROCS(0)/2))
	h := &Hasher{cost: cost, slots: make(chan struct{}, slots), places: make(chan struct{}, slots*(1+waitingPerSlot))}
	salt, key := make([]byte, saltLength), make([]byte, keyLength)
	_, _ = rand.Read(salt) // never fails
	_, _ = rand.Read(key)
	h.decoy = cost.format(salt, key) // of no password that anybody knows
	return h
}

// Hash gives the hash to store, in PHC string format. With too many waiting already it fails at once, with a fault that
// says so.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.wait(ctx); err != nil {
		return "", err
	}
	defer h.done()
	return h.cost.hash(password), nil
}

// Matches tells whether the hash was made of the password. With an empty hash it takes as long and says no, so that
// an unknown login costs what a wrong password costs. With too many waiting it fails as Hash does.
func (h *Hasher) Matches(ctx context.Context, hash, password string) (bool, error) {
	if err := h.wait(ctx); err != nil {
		return false, err
	}
	defer h.done()
	if hash == "" {
		_, err := matches(h.decoy, password)
		return false, err
	}
	return matches(hash, password)
}

func (h *Hasher) wait(ctx context.Context) error {
	select {
	case h.places <- struct{}{}:
	default:
		return &fault.Error{
			Kind: fault.Unavailable, Code: "busy", Detail: "Too many passwords are being checked at once.",
			RetryAfter: 2 * time.Second,
		}
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-h.places
		return fmt.Errorf("waiting to hash a password: %w", ctx.Err())
	}
}

// Count tells how many passwords were hashed or compared so far: a sign-in costs one, whoever signs in.
func (h *Hasher) Count() int64 { return h.count.Load() }

func (h *Hasher) done() {
	h.count.Add(1)
	<-h.slots
	<-h.places
	if h.cost.memory >= tidiedFrom && len(h.places) == 0 && h.tidies.CompareAndSwap(false, true) {
		go func() {
			defer h.tidies.Store(false)
			runtime.GC()
		}()
	}
}

const (
	saltLength = 16
	keyLength  = 32
	phcFormat  = "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s"
)

func (p parameters) hash(password string) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, p.passes, p.memory, p.threads, keyLength)
	return p.format(salt, key)
}

// format writes a hash in PHC string format.
func (p parameters) format(salt, key []byte) string {
	return fmt.Sprintf(phcFormat, argon2.Version, p.memory, p.passes, p.threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

func matches(hash, password string) (bool, error) {
	fields := strings.Split(hash, "$")
	if len(fields) != 6 || fields[1] != "argon2id" {
		return false, errors.New("not an argon2id hash")
	}
	var version int
	var p parameters
	if _, err := fmt.Sscanf(fields[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errors.New("an argon2 version that is not known here")
	}
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.threads); err != nil {
		return false, fmt.Errorf("reading the parameters of a hash: %w", err)
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(fields[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(fields[5])
	if err := errors.Join(saltErr, keyErr); err != nil {
		return false, fmt.Errorf("reading a hash: %w", err)
	}
	candidate := argon2.IDKey([]byte(password), salt, p.passes, p.memory, p.threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(candidate, key) == 1, nil
}
