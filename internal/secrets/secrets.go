// Package secrets keeps the installation's secret key and does with it what needs one: sealing what is stored encrypted,
// and signing what is given away and comes back. Each purpose has a key of its own, derived from the secret. The key
// itself never leaves the package.
package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
)

// MinLength is how many characters a secret key has at least.
const MinLength = 32

// Keyring holds the secret key in use and, while it is being replaced, the ones before it: what they sealed or signed
// is still read, what is written uses the first.
type Keyring struct {
	secrets []string
}

// ErrUnreadable is the answer for what none of the keys sealed.
var ErrUnreadable = errors.New("sealed under another secret key, or damaged")

// Parse reads the setting: one secret, or "new,old" while the key is being replaced.
func Parse(setting string) (*Keyring, error) {
	keyring := &Keyring{}
	for secret := range strings.SplitSeq(setting, ",") {
		secret = strings.TrimSpace(secret)
		if len(secret) < MinLength {
			return nil, fmt.Errorf("each secret key must have at least %d characters", MinLength)
		}
		keyring.secrets = append(keyring.secrets, secret)
	}
	return keyring, nil
}

// Format keeps the keys out of logs and messages, however a keyring is printed.
func (Keyring) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, "a keyring") }

// Generate makes a new secret key, as text.
func Generate() string { return rand.Text() + rand.Text() }

func derive(secret, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "clientele "+purpose, 32)
	if err != nil {
		panic("secrets: " + err.Error()) // only for lengths that SHA-256 cannot give
	}
	return key
}

func gcm(secret, purpose string) cipher.AEAD {
	block, err := aes.NewCipher(derive(secret, purpose))
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return aead
		}
	}
	panic("secrets: " + err.Error()) // only for keys of another length
}

// Seal encrypts for a purpose. The context is what the text belongs to, such as a row's id; it must be the same to open.
func (k *Keyring) Seal(purpose, context string, plain []byte) []byte {
	return gcm(k.secrets[0], purpose).Seal(nil, nil, plain, []byte(context))
}

// Open decrypts what Seal made for the same purpose and context, under any of the keys.
func (k *Keyring) Open(purpose, context string, sealed []byte) ([]byte, error) {
	for _, secret := range k.secrets {
		if plain, err := gcm(secret, purpose).Open(nil, nil, sealed, []byte(context)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrUnreadable
}

// Sign gives a message authentication code of 32 bytes for a purpose.
func (k *Keyring) Sign(purpose string, message []byte) []byte {
	return sign(k.secrets[0], purpose, message)
}

// Signatures gives what Sign gave or gives under each of the keys, to look for what was signed before.
func (k *Keyring) Signatures(purpose string, message []byte) [][]byte {
	signatures := make([][]byte, len(k.secrets))
	for i, secret := range k.secrets {
		signatures[i] = sign(secret, purpose, message)
	}
	return signatures
}

// Verify tells whether any of the keys signed the message for the purpose.
func (k *Keyring) Verify(purpose string, message, signature []byte) bool {
	for _, secret := range k.secrets {
		if hmac.Equal(signature, sign(secret, purpose, message)) {
			return true
		}
	}
	return false
}

// tokenText writes tokens in letters and digits alone: mail programs take a dash at the end of a link for the end of a
// sentence.
var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Token gives a text that names the id and that nobody but this installation can make, for a purpose.
func (k *Keyring) Token(purpose, prefix string, id uuid.UUID) string {
	return prefix + tokenText.EncodeToString(append(id[:], k.Sign(purpose, id[:])...))
}

// ReadToken gives the id of a token that was made for the purpose under any of the keys.
func (k *Keyring) ReadToken(purpose, prefix, token string) (id uuid.UUID, genuine bool) {
	text, marked := strings.CutPrefix(token, prefix)
	decoded, err := tokenText.DecodeString(text)
	if !marked || err != nil || len(decoded) != len(id)+sha256.Size || tokenText.EncodeToString(decoded) != text {
		return uuid.Nil, false
	}
	copy(id[:], decoded)
	return id, k.Verify(purpose, id[:], decoded[len(id):])
}

func sign(secret, purpose string, message []byte) []byte {
	mac := hmac.New(sha256.New, derive(secret, purpose))
	mac.Write(message)
	return mac.Sum(nil)
}
