package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/client"
)

func copied(t *testing.T, file string) map[string]customer {
	t.Helper()
	kept, err := openStore(t.Context(), file)
	require.NoError(t, err)
	defer kept.Close()
	rows, err := kept.QueryContext(t.Context(), "SELECT * FROM customers")
	require.NoError(t, err)
	defer rows.Close()
	all := map[string]customer{}
	for rows.Next() {
		var c customer
		require.NoError(t, rows.Scan(&c.ID, &c.Version, &c.Name, &c.Email, &c.Phone, &c.Company, &c.Address, &c.Comments,
			(*[]byte)(&c.Modules), (*[]byte)(&c.Properties), &c.ParentID, &c.ExternalID, &c.Locale, &c.Status, &c.InvitedAt,
			&c.RestoredAt, &c.CreatedAt, &c.UpdatedAt))
		all[c.ID] = c
	}
	require.NoError(t, rows.Err())
	return all
}

// TestTheCopyIsTheSame although customers are made, changed and deleted all the while, and the mirror is killed again and
// again: while it lists, while it follows.
func TestTheCopyIsTheSame(t *testing.T) {
	i := start(t)
	file := filepath.Join(t.TempDir(), "copy.db")
	var ids []string
	for n := range 700 {
		ids = append(ids, i.create(t, n))
	}
	for round := range 8 {
		var output bytes.Buffer
		process := i.mirror(t, &output, file)
		require.NoError(t, process.Start())
		end := time.Now().Add(time.Duration(50+rand.IntN(400)) * time.Millisecond)
		for n := 0; time.Now().Before(end); n++ {
			at := rand.IntN(len(ids))
			switch {
			case n%5 == 0:
				i.delete(t, ids[at])
				ids[at] = i.create(t, n)
			default:
				i.call(t, "PATCH", "/v1/customers/"+ids[at], object{"name": fmt.Sprint("Changed ", round, " ", n)}, nil)
			}
		}
		require.NoError(t, process.Process.Kill())
		_ = process.Wait()
	}
	require.Eventually(t, func() bool { // the last events get their places
		var output bytes.Buffer
		require.NoError(t, i.mirror(t, &output, "-once", file).Run(), output.String())
		require.Contains(t, output.String(), "following what changes")
		expected, found := i.truth(t), copied(t, file)
		require.LessOrEqual(t, len(found)-len(expected), len(ids))
		return reflect.DeepEqual(expected, found)
	}, 30*time.Second, 100*time.Millisecond)
	require.Equal(t, i.truth(t), copied(t, file))

	// While it runs, what happens is there at once.
	var output bytes.Buffer
	process := i.mirror(t, &output, file)
	require.NoError(t, process.Start())
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	const name = "She who is not to be found any more"
	id := i.create(t, 1)
	require.Equal(t, 200, i.call(t, "PATCH", "/v1/customers/"+id, object{"name": name}, nil))
	require.Eventually(t, func() bool { return mentions(t, file, name) }, 10*time.Second, 50*time.Millisecond)
	i.delete(t, id)
	require.Eventually(t, func() bool { return !mentions(t, file, name) }, 10*time.Second, 50*time.Millisecond)
	require.Empty(t, copied(t, file)[id].ID)
}

// mentions tells whether there is a text anywhere in the file or in the journal beside it.
func mentions(t *testing.T, file, text string) bool {
	t.Helper()
	for _, name := range []string{file, file + "-wal"} {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

// TestADatabaseThatWasRestored: events that the copy has seen are gone, as they are on another installation, and others have
// their positions. The copy begins anew, with nothing left of what was there.
func TestADatabaseThatWasRestored(t *testing.T) {
	before, after := start(t), start(t)
	file := filepath.Join(t.TempDir(), "copy.db")
	for n := range 5 {
		before.create(t, n)
	}
	upToDate := func(i *installation) string {
		var output bytes.Buffer
		require.Eventually(t, func() bool {
			require.NoError(t, i.mirror(t, &output, "-once", file).Run(), output.String())
			return reflect.DeepEqual(i.truth(t), copied(t, file))
		}, 30*time.Second, 100*time.Millisecond)
		return output.String()
	}
	require.NotContains(t, upToDate(before), "anew")
	before.create(t, 5)
	require.NotContains(t, upToDate(before), "anew")
	require.Len(t, copied(t, file), 6)
	for n := range 9 {
		after.create(t, n)
	}
	require.Contains(t, upToDate(after), "copying all customers anew\n9 customers are here; following what changes\n")
	require.NotContains(t, upToDate(after), "anew")
}

// TestTheCopyIsTheSameThoughTheServerDies: twenty write all the while, and the server is killed with its database, again and
// again. The mirror runs on.
func TestTheCopyIsTheSameThoughTheServerDies(t *testing.T) {
	i := start(t)
	file := filepath.Join(t.TempDir(), "copy.db")
	var output bytes.Buffer
	process := i.mirror(t, &output, file)
	require.NoError(t, process.Start())
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	var written atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for writer := range 20 {
		own := i.beside()
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if !own.write(ctx, fmt.Sprint(writer, " ", n), &written) {
					time.Sleep(50 * time.Millisecond) // it is away
				}
			}
		})
	}
	for range 4 {
		before := written.Load()
		require.Eventually(t, func() bool { return written.Load() > before+200 }, 60*time.Second, 10*time.Millisecond)
		i.killServer(t)
	}
	before := written.Load()
	require.Eventually(t, func() bool { return written.Load() > before+200 }, 60*time.Second, 10*time.Millisecond)
	stop()
	writers.Wait()
	require.Eventually(t, func() bool { return reflect.DeepEqual(i.truth(t), copied(t, file)) }, 90*time.Second, 200*time.Millisecond)
	require.NotEmpty(t, i.truth(t))
	require.NoError(t, process.Process.Kill())
	_ = process.Wait()
	require.Equal(t, 1, strings.Count(output.String(), "following what changes"), "it ran all the while: %s", output.String())
	require.NotContains(t, output.String(), "anew")
}

func TestWhatIsRefusedIsSaid(t *testing.T) {
	i := start(t)
	file := filepath.Join(t.TempDir(), "copy.db")
	environment := map[string]string{"CLIENTELE_URL": i.url + "//", "CLIENTELE_CLIENT_ID": i.clientID, "CLIENTELE_CLIENT_SECRET": "not the secret"}
	getenv := func(name string) string { return environment[name] }
	require.EqualError(t, run(t.Context(), []string{"-once", file}, getenv, io.Discard, io.Discard), "the sign-in was refused: "+
		"The client is unknown or its secret is wrong. (invalid_client)")

	var limited struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	require.Equal(t, 201, i.call(t, "POST", "/v1/api-clients", object{"name": "few", "scopes": []string{"customers:read"}}, &limited))
	environment["CLIENTELE_CLIENT_ID"], environment["CLIENTELE_CLIENT_SECRET"] = limited.ID, limited.Secret
	require.EqualError(t, run(t.Context(), []string{"-once", file}, getenv, io.Discard, io.Discard),
		"403 insufficient_scope: The token lacks the scope events:read.")
	scopes := []string{"customers:read", "events:read"}
	require.Equal(t, 201, i.call(t, "POST", "/v1/api-clients", object{"name": "n", "scopes": scopes, "customer_id": i.create(t, 1)}, &limited))
	environment["CLIENTELE_CLIENT_ID"], environment["CLIENTELE_CLIENT_SECRET"] = limited.ID, limited.Secret
	require.ErrorContains(t, run(t.Context(), []string{"-once", file}, getenv, io.Discard, io.Discard), "limited to a customer")
	environment["CLIENTELE_URL"] = i.url + "/v1"
	require.EqualError(t, run(t.Context(), []string{"-once", file}, getenv, io.Discard, io.Discard),
		"the sign-in was refused: the server answered 404; CLIENTELE_URL may be wrong")
	for _, address := range []string{"", "127.0.0.1:8080", "clientele.example.com", "ftp://example.com"} {
		environment["CLIENTELE_URL"] = address
		require.ErrorContains(t, run(t.Context(), []string{file}, getenv, io.Discard, io.Discard), "CLIENTELE_URL", address)
	}

	// Nobody is there: that is said, and in the end given up where a look was asked for.
	var log bytes.Buffer
	away, err := newCaller("http://127.0.0.1:1", "id", "secret")
	require.NoError(t, err)
	away.log, away.patience = &log, time.Second
	require.ErrorContains(t, away.get(t.Context(), nil, nil), "refused")
	require.Equal(t, 1, strings.Count(log.String(), "waiting for the server"), log.String())
	require.Error(t, run(t.Context(), nil, getenv, io.Discard, io.Discard))
}

// TestAServerThatComesBack is said to be away, and to be back, once.
func TestAServerThatComesBack(t *testing.T) {
	answers := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if answers++; answers == 2 || answers == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status": 503, "code": "unavailable", "detail": "Not now."}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token": "t", "expires_in": 600}`)
	}))
	t.Cleanup(server.Close)
	calls, err := newCaller(server.URL, "id", "secret")
	require.NoError(t, err)
	var log bytes.Buffer
	calls.log = &log
	for range 2 {
		require.NoError(t, calls.get(t.Context(), &object{}, func(ctx context.Context, api *client.Client) (*http.Response, error) {
			return api.MeGet(ctx)
		}))
	}
	require.Equal(t, "mirror: waiting for the server: 503 unavailable: Not now.\nmirror: the server is back\n", log.String())
}

// TestAFileOfSomethingElse is refused, and stays as it was.
func TestAFileOfSomethingElse(t *testing.T) {
	for _, table := range []string{"customers (name TEXT)", "visits (at TEXT)"} {
		file := filepath.Join(t.TempDir(), "other.db")
		db, err := sql.Open("sqlite", file)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "CREATE TABLE "+table)
		require.NoError(t, err)
		require.NoError(t, db.Close())
		before, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = openStore(t.Context(), file)
		require.EqualError(t, err, "opening "+file+": the file is not a copy that this program made")
		after, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
}
