package secrets

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// SignStatement gives a text that says what the statement does, as JSON that anybody can read, and that nobody but this
// installation can make, for a purpose.
func (k *Keyring) SignStatement(purpose, prefix string, statement any) string {
	message, _ := json.Marshal(statement) // numbers, texts and ids
	return prefix + base64.RawURLEncoding.EncodeToString(slices.Concat(message, k.Sign(purpose, message)))
}

// ReadStatement reads a text that was signed for the purpose under any of the keys.
func (k *Keyring) ReadStatement(purpose, prefix, text string, into any) (genuine bool) {
	encoded, marked := strings.CutPrefix(text, prefix)
	signed, err := base64.RawURLEncoding.DecodeString(encoded)
	if !marked || err != nil || len(signed) <= sha256.Size {
		return false
	}
	message := signed[:len(signed)-sha256.Size]
	return k.Verify(purpose, message, signed[len(message):]) && json.Unmarshal(message, into) == nil
}
