package api_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/tokens"
)

// keySet gets the published keys as any other program would: rebuilt from modulus and exponent.
func keySet(t *testing.T, s *apitest.Server) map[string]*rsa.PublicKey {
	t.Helper()
	var set openapi.JWKSet
	response := s.Anonymous().Must(t, 200, "GET", "/.well-known/jwks.json", nil)
	response.JSON(t, &set)
	require.NotContains(t, string(response.Body), `"d"`, "the private part")
	keys := map[string]*rsa.PublicKey{}
	for _, key := range set.Keys {
		require.Equal(t, []string{"RSA", "sig", "RS256"}, []string{key.Kty, key.Use, key.Alg})
		modulus, err := base64.RawURLEncoding.DecodeString(key.N)
		require.NoError(t, err)
		exponent, err := base64.RawURLEncoding.DecodeString(key.E)
		require.NoError(t, err)
		keys[key.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64())}
		require.GreaterOrEqual(t, keys[key.Kid].N.BitLen(), 2048)
	}
	require.Len(t, keys, len(set.Keys))
	return keys
}

// parseToken checks an access token with nothing but the published keys.
func parseToken(t *testing.T, s *apitest.Server, token string) (*jwt.Token, jwt.MapClaims) {
	t.Helper()
	keys := keySet(t, s)
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		key, found := keys[token.Header["kid"].(string)]
		require.True(t, found, "the key is not published")
		return key, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.Clock.Now))
	require.NoError(t, err)
	return parsed, claims
}

func TestAnyProgramCanCheckAnAccessToken(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	viewer := s.Staff(t, access.Viewer)
	first, second := signIn(t, s, viewer.Email), signIn(t, s, viewer.Email)
	token, claims := parseToken(t, s, first.AccessToken)
	require.Equal(t, "at+jwt", token.Header["typ"])
	require.Equal(t, s.URL, claims["iss"])
	audience, err := claims.GetAudience()
	require.NoError(t, err)
	require.Equal(t, jwt.ClaimStrings{s.URL + "/v1"}, audience)
	require.Equal(t, viewer.ID.String(), claims["sub"])
	require.Equal(t, "staff", claims["client_id"])
	require.Equal(t, first.Scope, claims["scope"])
	require.Equal(t, whoIs(t, s, first.AccessToken).SessionId.String(), claims["sid"])
	require.InDelta(t, 600, claims["exp"].(float64)-claims["iat"].(float64), 1)
	require.InDelta(t, s.Clock.Now().Unix(), claims["iat"].(float64), 60)

	_, others := parseToken(t, s, second.AccessToken)
	require.NotEqual(t, claims["jti"], others["jti"])
	require.NotEqual(t, claims["sid"], others["sid"])
	require.NotContains(t, first.AccessToken, viewer.Email)
}

// signingKey takes the key that signs out of the database, as nobody can without the secret key.
func signingKey(t *testing.T, s *apitest.Server) (string, *rsa.PrivateKey) {
	t.Helper()
	rows, err := db.New().SigningKeyList(t.Context(), s.DB, time.Time{})
	require.NoError(t, err)
	active := rows[len(rows)-1]
	require.Nil(t, active.RetiredAt)
	encoded, err := s.Keyring.Open("signing keys", active.ID.String(), active.PrivateKeySealed)
	require.NoError(t, err)
	require.NotContains(t, string(active.PrivateKeySealed), string(encoded[:64]), "stored in the clear")
	private, err := x509.ParsePKCS8PrivateKey(encoded)
	require.NoError(t, err)
	return active.ID.String(), private.(*rsa.PrivateKey)
}

// forgery is a token that differs in one thing from a good one.
type forgery struct {
	header map[string]any // nil removes
	claims jwt.MapClaims  // nil removes
	method jwt.SigningMethod
	key    any
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	kid, private := signingKey(t, s)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	forge := func(f forgery) string {
		_, claims := parseToken(t, s, admin.Token)
		header := map[string]any{"typ": "at+jwt", "kid": kid}
		claims["jti"] = uuid.NewString()
		alter(claims, f.claims)
		alter(header, f.header)
		method, key := f.method, f.key
		if method == nil {
			method = jwt.SigningMethodRS256
		}
		if key == nil {
			key = private
		}
		token := jwt.NewWithClaims(method, claims)
		header["alg"] = method.Alg()
		token.Header = header
		signed, err := token.SignedString(key)
		require.NoError(t, err)
		return signed
	}
	now := s.Clock.Now().Unix()
	require.Equal(t, admin.ID, whoIs(t, s, forge(forgery{})).Id, "the forger can make good ones")
	for name, f := range map[string]forgery{
		"no algorithm":                    {method: jwt.SigningMethodNone, key: jwt.UnsafeAllowNoneSignatureType},
		"the public key as a secret":      {method: jwt.SigningMethodHS256, key: publicPEM},
		"the public key as a secret, DER": {method: jwt.SigningMethodHS256, key: public},
		"the modulus as a secret":         {method: jwt.SigningMethodHS256, key: private.N.Bytes()},
		"another algorithm of the key":    {method: jwt.SigningMethodPS256},
		"a longer hash":                   {method: jwt.SigningMethodRS512},
		"another key":                     {key: stranger},
		"another key by its own name":     {key: stranger, header: map[string]any{"kid": uuid.NewString()}},
		"another key brought along": {key: stranger, header: map[string]any{
			"kid": uuid.NewString(), "jku": "http://example.com/jwks.json",
			"jwk": map[string]any{"kty": "RSA", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(stranger.N.Bytes())},
		}},
		"unknown key":             {header: map[string]any{"kid": uuid.NewString()}},
		"no key":                  {header: map[string]any{"kid": nil}},
		"a key that is a number":  {header: map[string]any{"kid": 1}},
		"typ JWT":                 {header: map[string]any{"typ": "JWT"}},
		"no typ":                  {header: map[string]any{"typ": nil}},
		"another issuer":          {claims: jwt.MapClaims{"iss": "http://example.com"}},
		"no issuer":               {claims: jwt.MapClaims{"iss": nil}},
		"another audience":        {claims: jwt.MapClaims{"aud": "http://example.com/v1"}},
		"issuer as the audience":  {claims: jwt.MapClaims{"aud": s.URL}},
		"no audience":             {claims: jwt.MapClaims{"aud": nil}},
		"expired":                 {claims: jwt.MapClaims{"exp": now - 1}},
		"never expires":           {claims: jwt.MapClaims{"exp": nil}},
		"expires some day":        {claims: jwt.MapClaims{"exp": "some day"}},
		"not valid yet":           {claims: jwt.MapClaims{"nbf": now + 60}},
		"no subject":              {claims: jwt.MapClaims{"sub": nil}},
		"a subject that is no id": {claims: jwt.MapClaims{"sub": admin.Email}},
		"a session that is no id": {claims: jwt.MapClaims{"sid": "42"}},
	} {
		response := bearing(s, forge(f)).Do(t, "GET", "/v1/me", nil)
		require.Equal(t, 401, response.Status, "%s: %s", name, response.Body)
		require.Equal(t, "invalid_token", response.Problem(t).Code, name)
	}
	parts := strings.Split(admin.Token, ".")
	for name, token := range map[string]string{
		"no signature":      parts[0] + "." + parts[1] + ".",
		"two parts":         parts[0] + "." + parts[1],
		"four parts":        admin.Token + "." + parts[2],
		"claims of another": parts[0] + "." + strings.Split(forge(forgery{}), ".")[1] + "." + parts[2],
		"space inside":      parts[0] + ". " + parts[1] + "." + parts[2],
	} {
		require.Equal(t, 401, bearing(s, token).Do(t, "GET", "/v1/me", nil).Status, name)
	}
}

// alter sets members, or with nil removes them.
func alter[M ~map[string]any](members, changes M) {
	for name, value := range changes {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
}

func TestAccessTokenExpires(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	viewer := s.Staff(t, access.Viewer)
	s.Clock.Advance(10*time.Minute - 30*time.Second)
	viewer.Must(t, 200, "GET", "/v1/me", nil)
	s.Clock.Advance(31 * time.Second)
	viewer.Must(t, 401, "GET", "/v1/me", nil) // though it was seen to be good a moment ago
}

func rotate(t *testing.T, s *apitest.Server) string {
	t.Helper()
	var kid string
	key, err := tokens.NewKey()
	require.NoError(t, err)
	require.NoError(t, s.DB.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		id, err := tokens.RotateKey(t.Context(), tx, s.Keyring, key)
		kid = id.String()
		return err
	}))
	return kid
}

func kidOf(t *testing.T, s *apitest.Server, token string) string {
	t.Helper()
	parsed, _ := parseToken(t, s, token)
	return parsed.Header["kid"].(string)
}

// within gives something a second to come true, with a margin for a busy machine.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 3*time.Second, 20*time.Millisecond, what)
}

func TestSigningKeysRotate(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	s := apitest.NewOn(t, database)
	replica := apitest.NewOn(t, database, apitest.PublicURL(s.URL))
	viewer := s.Staff(t, access.Viewer)
	old := signIn(t, s, viewer.Email)
	oldKid := kidOf(t, s, old.AccessToken)

	newKid := rotate(t, s)
	require.NotEqual(t, oldKid, newKid)
	for _, server := range []*apitest.Server{s, replica} {
		within(t, "both keys are published", func() bool {
			keys := keySet(t, server)
			return len(keys) == 2 && keys[oldKid] != nil && keys[newKid] != nil
		})
	}
	// A replica that has not yet heard of the new key must be able to check what the others sign.
	early := refreshed(t, s, old.RefreshToken)
	if s.Clock.Now().Before(created(t, s, newKid).Add(2 * time.Second)) {
		require.Equal(t, oldKid, kidOf(t, s, early.AccessToken))
	}

	for _, server := range []*apitest.Server{s, replica} {
		server.Clock.Advance(3 * time.Second)
	}
	var late openapi.TokenResponse
	within(t, "the new key signs", func() bool {
		late = refreshed(t, s, early.RefreshToken)
		early = late
		return kidOf(t, s, late.AccessToken) == newKid
	})
	for _, token := range []string{old.AccessToken, early.AccessToken, late.AccessToken} {
		whoIs(t, s, token)
		whoIs(t, replica, token)
	}

	s.Clock.Advance(12 * time.Minute)
	within(t, "the old key goes when its last token has expired", func() bool {
		keys := keySet(t, s)
		return len(keys) == 1 && keys[newKid] != nil
	})
	bearing(s, old.AccessToken).Must(t, 401, "GET", "/v1/me", nil)
	whoIs(t, s, refreshed(t, s, late.RefreshToken).AccessToken)
}

func created(t *testing.T, s *apitest.Server, kid string) time.Time {
	t.Helper()
	rows, err := db.New().SigningKeyList(t.Context(), s.DB, time.Time{})
	require.NoError(t, err)
	for _, row := range rows {
		if row.ID.String() == kid {
			return row.CreatedAt
		}
	}
	require.Fail(t, "no such key")
	return time.Time{}
}

// TestKeysRotateTwiceAtOnce: the one before last still signs while the newest is too young to.
func TestKeysRotateTwiceAtOnce(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	viewer := s.Staff(t, access.Viewer)
	rotate(t, s)
	newest := rotate(t, s)
	within(t, "all three are published", func() bool { return len(keySet(t, s)) == 3 })
	whoIs(t, s, signIn(t, s, viewer.Email).AccessToken)
	s.Clock.Advance(3 * time.Second)
	within(t, "the newest signs", func() bool { return kidOf(t, s, signIn(t, s, viewer.Email).AccessToken) == newest })
	viewer.Must(t, 200, "GET", "/v1/me", nil)
}
