package secrets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	oldKey = "the secret key that was there before"
	newKey = "the secret key that is there by now!"
)

func parse(t *testing.T, setting string) *secrets.Keyring {
	t.Helper()
	keyring, err := secrets.Parse(setting)
	require.NoError(t, err)
	return keyring
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, good := range []string{newKey, newKey + "," + oldKey, " " + newKey + " ,\t" + oldKey, strings.Repeat("x", 32)} {
		parse(t, good)
	}
	for _, bad := range []string{
		"", "too short to be one", newKey + ",", newKey + ",short", ",", strings.Repeat(" ", 40), strings.Repeat("x", 31),
	} {
		_, err := secrets.Parse(bad)
		require.Error(t, err, bad)
		for part := range strings.SplitSeq(bad, ",") {
			if part = strings.TrimSpace(part); part != "" {
				require.NotContains(t, err.Error(), part)
			}
		}
	}
	require.Equal(t, parse(t, " "+newKey).Sign("p", nil), parse(t, newKey).Sign("p", nil))
	require.NotEqual(t, secrets.Generate(), secrets.Generate())
	parse(t, secrets.Generate())
}

func TestSealing(t *testing.T) {
	t.Parallel()
	keyring := parse(t, newKey)
	plain := []byte("something to hide")
	sealed := keyring.Seal("keys", "row 1", plain)
	require.NotContains(t, string(sealed), "hide")
	require.NotEqual(t, sealed, keyring.Seal("keys", "row 1", plain))
	opened, err := keyring.Open("keys", "row 1", sealed)
	require.NoError(t, err)
	require.Equal(t, plain, opened)

	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	for name, attempt := range map[string]struct {
		keyring          *secrets.Keyring
		purpose, context string
		sealed           []byte
	}{
		"another purpose": {keyring, "answers", "row 1", sealed},
		"another row":     {keyring, "keys", "row 2", sealed},
		"damaged":         {keyring, "keys", "row 1", damaged},
		"cut short":       {keyring, "keys", "row 1", sealed[:10]},
		"nothing":         {keyring, "keys", "row 1", nil},
		"another key":     {parse(t, oldKey), "keys", "row 1", sealed},
	} {
		_, err := attempt.keyring.Open(attempt.purpose, attempt.context, attempt.sealed)
		require.ErrorIs(t, err, secrets.ErrUnreadable, name)
	}
}

func TestSigning(t *testing.T) {
	t.Parallel()
	keyring := parse(t, newKey)
	message := []byte("delete customer 42")
	signature := keyring.Sign("confirmations", message)
	require.Len(t, signature, 32)
	require.True(t, keyring.Verify("confirmations", message, signature))
	require.False(t, keyring.Verify("links", message, signature))
	require.False(t, keyring.Verify("confirmations", []byte("delete customer 43"), signature))
	require.False(t, keyring.Verify("confirmations", message, signature[:31]))
	require.False(t, keyring.Verify("confirmations", message, nil))
	require.False(t, parse(t, oldKey).Verify("confirmations", message, signature))
}

func TestKeyIsReplaced(t *testing.T) {
	t.Parallel()
	before, during, after := parse(t, oldKey), parse(t, newKey+","+oldKey), parse(t, newKey)
	plain, message := []byte("plain"), []byte("message")
	opened, err := during.Open("p", "c", before.Seal("p", "c", plain))
	require.NoError(t, err)
	require.Equal(t, plain, opened)
	require.True(t, during.Verify("p", message, before.Sign("p", message)))
	require.Equal(t, [][]byte{after.Sign("p", message), before.Sign("p", message)}, during.Signatures("p", message))

	opened, err = after.Open("p", "c", during.Seal("p", "c", plain))
	require.NoError(t, err, "what is written uses the new key")
	require.Equal(t, plain, opened)
	require.True(t, after.Verify("p", message, during.Sign("p", message)))
	_, err = after.Open("p", "c", before.Seal("p", "c", plain))
	require.ErrorIs(t, err, secrets.ErrUnreadable)
}

// TestKeyringIsNotShown: however somebody prints it.
func TestKeyringIsNotShown(t *testing.T) {
	t.Parallel()
	keyring := parse(t, newKey+","+oldKey)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "keyring", keyring)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "keyring", keyring)
	encoded, err := json.Marshal(keyring) //nolint:staticcheck // that nothing comes out is what is tested
	require.NoError(t, err)
	type options struct{ Keyring *secrets.Keyring }
	for _, shown := range []string{
		log.String(), string(encoded), fmt.Sprint(keyring), fmt.Sprintf("%v %+v %#v", keyring, keyring, keyring),
		fmt.Sprintf("%s %q %x", keyring, keyring, keyring), fmt.Sprintf("%v %+v %#v", *keyring, *keyring, *keyring), fmt.Sprintf("%v %+v", options{keyring}, options{keyring}),
	} {
		require.NotContains(t, shown, "secret key that")
		require.NotContains(t, shown, fmt.Sprintf("%x", newKey))
	}
}
