package tokens

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	keyBits = 2048
	// sealPurpose is what the private keys are sealed for.
	sealPurpose = "signing keys"
	// keyGrace is how long a retired key verifies: as long as a token it signed last may live, and some for clocks
	// that differ.
	keyGrace = Lifetime + time.Minute
	// keyLead is how long a new key is known before it signs, so that every replica can verify what any of them signs.
	keyLead = 2 * maxAge
)

// key is a signing key. The private part is nil when it cannot be read with the secret key at hand.
type key struct {
	id      uuid.UUID
	public  *rsa.PublicKey
	private *rsa.PrivateKey
}

// keySet is the keys that verify, by id, and the one that signs.
type keySet struct {
	byID   map[string]key
	order  []key
	signer *key
}

// NewKey makes a key, which takes some tenths of a second: too long for a transaction.
func NewKey() (*rsa.PrivateKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return private, nil
}

// RotateKey makes a key the one that signs and retires the one in use, which verifies until its tokens have expired.
// Replicas know the new one within a second of the commit and sign with it after two. It gives the id of the new one.
func RotateKey(
	ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, private *rsa.PrivateKey,
) (uuid.UUID, error) {
	if _, err := db.New().SigningKeyRetire(ctx, tx, &tx.Now); err != nil {
		return uuid.Nil, err
	}
	return insertKey(ctx, tx, keyring, private)
}

func insertKey(ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, private *rsa.PrivateKey) (uuid.UUID, error) {
	encodedPrivate, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return uuid.Nil, fmt.Errorf("encoding a private key: %w", err)
	}
	encodedPublic, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return uuid.Nil, fmt.Errorf("encoding a public key: %w", err)
	}
	id := uuid.Must(uuid.NewV7())
	return id, db.New().SigningKeyInsert(ctx, tx, db.SigningKeyInsertParams{
		ID:               id,
		PublicKey:        encodedPublic,
		PrivateKeySealed: keyring.Seal(sealPurpose, id.String(), encodedPrivate),
		CreatedAt:        tx.Now,
	})
}

// EnsureKey makes the first signing key where there is none, by newKey. Replicas that start together agree on one of theirs: the index on the active
// key lets only the first commit.
func EnsureKey(
	ctx context.Context, database *postgres.DB, keyring *secrets.Keyring, newKey func() (*rsa.PrivateKey, error),
) error {
	keys, err := loadKeys(ctx, database, keyring)
	if err != nil || keys.signer != nil {
		return err
	}
	private, err := newKey()
	if err != nil {
		return err
	}
	err = database.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
		_, err := insertKey(ctx, tx, keyring, private)
		return err
	})
	if err == nil {
		return nil
	}
	// Another replica was first, or it really failed.
	if keys, loadErr := loadKeys(ctx, database, keyring); loadErr == nil && keys.signer != nil {
		return nil
	}
	return err
}

// errSecretKey is the answer when the active key was sealed under another secret key.
var errSecretKey = errors.New(
	"the signing keys in the database were sealed under another CLIENTELE_SECRET_KEY; set the one this installation had")

func loadKeys(ctx context.Context, database *postgres.DB, keyring *secrets.Keyring) (*keySet, error) {
	rows, err := db.New().SigningKeyList(ctx, database, database.Now().Add(-keyGrace))
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	keys := &keySet{byID: map[string]key{}}
	for _, row := range rows {
		loaded, err := openKey(row, keyring)
		if err != nil {
			return nil, err
		}
		keys.byID[loaded.id.String()] = loaded
		keys.order = append(keys.order, loaded)
		if row.RetiredAt == nil && loaded.private == nil {
			return nil, errSecretKey
		}
		// The active key is the last; until it has been known long enough the one before it goes on signing.
		isNew := database.Now().Sub(row.CreatedAt) < keyLead
		if loaded.private != nil && (keys.signer == nil || !isNew) {
			keys.signer = &loaded
		}
	}
	return keys, nil
}

func openKey(row db.SigningKey, keyring *secrets.Keyring) (key, error) {
	parsed, err := x509.ParsePKIXPublicKey(row.PublicKey)
	if err != nil {
		return key{}, fmt.Errorf("reading public key %s: %w", row.ID, err)
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return key{}, fmt.Errorf("public key %s is not an RSA key", row.ID)
	}
	loaded := key{id: row.ID, public: public}
	encoded, err := keyring.Open(sealPurpose, row.ID.String(), row.PrivateKeySealed)
	if errors.Is(err, secrets.ErrUnreadable) {
		return loaded, nil // it still verifies
	}
	if err != nil {
		return key{}, err
	}
	private, err := x509.ParsePKCS8PrivateKey(encoded)
	if err != nil {
		return key{}, fmt.Errorf("reading private key %s: %w", row.ID, err)
	}
	loaded.private, _ = private.(*rsa.PrivateKey)
	return loaded, nil
}
