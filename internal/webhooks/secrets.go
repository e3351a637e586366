package webhooks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	secretPrefix = "whsec_"
	secretBytes  = 32
	sealPurpose  = "webhook secrets"
)

// newSecret makes a secret, as it is shown.
func newSecret() string {
	random := make([]byte, secretBytes)
	_, _ = rand.Read(random) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(random)
}

func seal(keyring *secrets.Keyring, endpointID uuid.UUID, secret string) []byte {
	return keyring.Seal(sealPurpose, endpointID.String(), []byte(secret))
}

// PreviousSecretUntil gives until when the secret before the last rotation signs, too; nil when it does not, at that moment.
func PreviousSecretUntil(endpoint db.WebhookEndpoint, at time.Time) *time.Time {
	if until := endpoint.PreviousSecretUntil; until != nil && at.Before(*until) {
		return until
	}
	return nil
}

// sign gives the signatures of a message: by the secret, and by the one before it as long as that is good and can be read.
func sign(
	keyring *secrets.Keyring, endpoint db.WebhookEndpoint, messageID string, at time.Time, body []byte,
) (string, error) {
	sealed := [][]byte{endpoint.SecretSealed}
	if PreviousSecretUntil(endpoint, at) != nil {
		sealed = append(sealed, endpoint.PreviousSecretSealed)
	}
	var signatures []string
	for i, one := range sealed {
		secret, err := keyring.Open(sealPurpose, endpoint.ID.String(), one)
		if i > 0 && errors.Is(err, secrets.ErrUnreadable) {
			break
		}
		if err != nil {
			return "", err
		}
		signer, err := standardwebhooks.NewWebhook(string(secret))
		if err != nil {
			return "", fmt.Errorf("reading the secret of an endpoint: %w", err)
		}
		signature, err := signer.Sign(messageID, at, body)
		if err != nil {
			return "", fmt.Errorf("signing: %w", err)
		}
		signatures = append(signatures, signature)
	}
	return strings.Join(signatures, " "), nil
}

// Reseal encrypts the secrets of all endpoints under the secret key in use, so that the one before it is not needed for
// them any more. A secret that none of the keys opens stays as it is.
func Reseal(ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring) error {
	endpoints, err := db.New().WebhookEndpointListAllForNoKeyUpdate(ctx, tx)
	if err != nil {
		return err
	}
	for _, endpoint := range endpoints {
		fresh := reseal(keyring, endpoint.ID, endpoint.SecretSealed)
		previous := reseal(keyring, endpoint.ID, endpoint.PreviousSecretSealed)
		if err := db.New().WebhookEndpointSetSecrets(ctx, tx, fresh, previous, endpoint.ID); err != nil {
			return err
		}
	}
	return nil
}

func reseal(keyring *secrets.Keyring, endpointID uuid.UUID, sealed []byte) []byte {
	secret, err := keyring.Open(sealPurpose, endpointID.String(), sealed)
	if err != nil {
		return sealed
	}
	return seal(keyring, endpointID, string(secret))
}
