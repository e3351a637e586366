package idempotency_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

func TestIsKey(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "!", "~", uuid.NewString(), `"quoted"`, "a,b;c=d", strings.Repeat("k", 255)} {
		require.True(t, idempotency.IsKey(good), good)
	}
	for _, bad := range []string{"", " ", "a b", "a\n", "\x00", "\x7f", "é", "\xff", strings.Repeat("k", 256)} {
		require.False(t, idempotency.IsKey(bad), bad)
	}
}

type body string

func (b body) Hash() ([]byte, error) {
	if b == "broken off" {
		return nil, errors.New("broken off")
	}
	sum := sha256.Sum256([]byte(b))
	return sum[:], nil
}

// desk is who sends requests.
type desk struct {
	db     *postgres.DB
	caller uuid.UUID
	now    time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{caller: uuid.New(), now: time.Now()}
	d.db = postgres.New(dbtest.New(t), func() time.Time { return d.now })
	return d
}

func (d *desk) key(t *testing.T, secret, key, sent string, subjects ...uuid.UUID) *idempotency.Key {
	t.Helper()
	keyring, err := secrets.Parse(secret)
	require.NoError(t, err)
	return idempotency.NewKeeper(d.db, keyring).Key(idempotency.Request{
		CallerKind: "staff", CallerID: d.caller, Key: key, Method: "POST", Target: "/things?", Body: body(sent), Subjects: subjects,
	})
}

// send makes a change that is answered, and tells whether it was made.
func (d *desk) send(t *testing.T, key *idempotency.Key, answer idempotency.Answer) (made bool, err error) {
	t.Helper()
	once, err := key.Once(func() (idempotency.Answer, error) { return answer, nil })
	if err != nil {
		return false, err
	}
	err = d.db.Change(t.Context(), postgres.Change{Once: once}, func(*postgres.Tx) error {
		made = true
		return nil
	})
	return made, err
}

func codeOf(err error) string {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Code
	}
	return ""
}

const (
	oldSecret = "the secret key that was there before"
	newSecret = "the secret key that is there by now!"
)

func TestAnswersComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, answer := range map[string]idempotency.Answer{
		"a new thing": {Status: 201, Body: []byte("{\"a\":\"\u017c\"}\n"), Header: http.Header{
			"Content-Type": {"application/json"}, "Location": {"/things/1"}, "Etag": {`"1.a"`}, "Link": {"a", "b"},
		}},
		"nothing":     {Status: 204, Body: []byte{}, Header: http.Header{}},
		"an empty OK": {Status: 200, Body: []byte{}, Header: http.Header{}},
		"any bytes":   {Status: 202, Body: []byte("\x00\xff\r\n\r\n0\r\n"), Header: http.Header{"Content-Type": {"application/octet-stream"}}},
		"much":        {Status: 200, Body: []byte(strings.Repeat("much ", 100_000)), Header: http.Header{}},
	} {
		made, err := d.send(t, d.key(t, oldSecret, name, "a"), answer)
		require.NoError(t, err, name)
		require.True(t, made, name)
		for _, ask := range []func() error{
			func() error {
				made, err := d.send(t, d.key(t, oldSecret, name, "a"), idempotency.Answer{Status: 500})
				require.False(t, made, name)
				return err
			},
			func() error { return d.key(t, oldSecret, name, "a").Before(t.Context()) },
		} {
			var replayed *idempotency.Replayed
			require.ErrorAs(t, ask(), &replayed, name)
			require.Equal(t, answer, replayed.Answer, name)
		}
	}
}

// TestTheSecretKeyIsReplaced: nothing happens twice, whatever can still be read.
func TestTheSecretKeyIsReplaced(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	answer := idempotency.Answer{Status: 200, Header: http.Header{}, Body: []byte("a")}
	_, err := d.send(t, d.key(t, oldSecret, "k", "a"), answer)
	require.NoError(t, err)
	var replayed *idempotency.Replayed
	require.ErrorAs(t, d.key(t, newSecret+","+oldSecret, "k", "a").Before(t.Context()), &replayed)
	made, err := d.send(t, d.key(t, newSecret, "k", "a"), answer)
	require.False(t, made)
	require.Equal(t, "answer_erased", codeOf(err))
}

func TestKeysEnd(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := idempotency.Answer{Status: 200, Header: http.Header{}, Body: []byte("first")}
	_, err := d.send(t, d.key(t, oldSecret, "k", "a"), first)
	require.NoError(t, err)
	require.NoError(t, d.key(t, oldSecret, "another", "a").Before(t.Context()))
	require.Equal(t, "idempotency_key_reused", codeOf(d.key(t, oldSecret, "k", "b").Before(t.Context())))
	require.EqualError(t, d.key(t, oldSecret, "k", "broken off").Before(t.Context()), "broken off")
	_, err = d.send(t, d.key(t, oldSecret, "k", "broken off"), first)
	require.EqualError(t, err, "broken off")

	d.now = d.now.Add(idempotency.Lifetime - time.Second)
	_, err = d.send(t, d.key(t, oldSecret, "young", "a"), first)
	require.NoError(t, err)
	d.now = d.now.Add(time.Second)
	require.NoError(t, d.key(t, oldSecret, "k", "b").Before(t.Context()))
	made, err := d.send(t, d.key(t, oldSecret, "k", "b"), first) // in its place, before anybody has swept
	require.NoError(t, err)
	require.True(t, made)

	d.now = d.now.Add(idempotency.Lifetime - time.Second)
	require.NoError(t, idempotency.Sweep(t.Context(), d.db))
	var left int
	require.NoError(t, d.db.QueryRow(t.Context(), "SELECT count(*) FROM idempotency_keys").Scan(&left))
	require.Equal(t, 1, left)
}

// overtaken is a Once whose key is stored by somebody else when it has just been claimed.
type overtaken struct {
	postgres.Once
	claims  int
	between func()
}

func (o *overtaken) Claim(ctx context.Context, batch *postgres.Batch, now time.Time) error {
	err := o.Once.Claim(ctx, batch, now)
	if o.claims++; o.claims == 1 {
		o.between()
	}
	return err
}

// TestAKeyThatIsStoredWhileItIsClaimed: the claim sees what was committed before it began, no more. What it did is undone.
func TestAKeyThatIsStoredWhileItIsClaimed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	answer := idempotency.Answer{Status: 200, Header: http.Header{}, Body: []byte("a")}
	_, err := d.send(t, d.key(t, oldSecret, "k", "a"), answer)
	require.NoError(t, err)
	move := func(table string) {
		_, err := d.db.Exec(t.Context(), "WITH gone AS (DELETE FROM "+strings.Replace(table, "|", " RETURNING *) INSERT INTO ", 1)+
			" SELECT * FROM gone")
		require.NoError(t, err)
	}
	_, err = d.db.Exec(t.Context(), "CREATE TABLE aside AS TABLE idempotency_keys WITH NO DATA")
	require.NoError(t, err)
	move("idempotency_keys|aside")
	once, err := d.key(t, oldSecret, "k", "a").Once(func() (idempotency.Answer, error) { return answer, nil })
	require.NoError(t, err)
	made, claimed := 0, &overtaken{Once: once, between: func() { move("aside|idempotency_keys") }}
	err = d.db.Change(t.Context(), postgres.Change{Once: claimed}, func(tx *postgres.Tx) error {
		made++
		_, err := tx.Exec(t.Context(), "CREATE TABLE effect ()")
		return err
	})
	var replayed *idempotency.Replayed
	require.ErrorAs(t, err, &replayed)
	require.Equal(t, []int{1, 2}, []int{made, claimed.claims})
	_, err = d.db.Exec(t.Context(), "TABLE effect")
	require.ErrorContains(t, err, "does not exist")
}

func TestErasing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	one, other := uuid.New(), uuid.New()
	answer := idempotency.Answer{Status: 200, Header: http.Header{}, Body: []byte("a")}
	for key, subjects := range map[string][]uuid.UUID{"one": {one}, "both": {one, other}, "other": {other}, "none": nil} {
		_, err := d.send(t, d.key(t, oldSecret, key, "a", subjects...), answer)
		require.NoError(t, err)
	}
	require.NoError(t, d.db.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		return idempotency.Erase(t.Context(), tx, one, uuid.New())
	}))
	for key, code := range map[string]string{"one": "answer_erased", "both": "answer_erased", "other": "", "none": ""} {
		require.Equal(t, code, codeOf(d.key(t, oldSecret, key, "a").Before(t.Context())), key)
	}
	require.Equal(t, "idempotency_key_reused", codeOf(d.key(t, oldSecret, "one", "b").Before(t.Context())))
}
