package program_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
)

// TestARetryAfterAKill: the program is killed when a request has been done, before anybody has read the answer. Sent again
// to the next program, the request gets it, and has happened once.
func TestARetryAfterAKill(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	settings := []string{
		"CLIENTELE_DATABASE_URL=" + database, "CLIENTELE_SECRET_KEY=a secret key that is only for tests",
		"CLIENTELE_ADMIN_EMAIL=root@example.com", "CLIENTELE_ADMIN_PASSWORD=four words are better",
		"CLIENTELE_PUBLIC_URL=http://clientele.example",
	}
	first := start(t, t.TempDir(), settings...)
	token := tokenOf(t, "http://"+first.local(t), "root@example.com", "four words are better")
	request := func(address string) string {
		const body = `{"name":"Once"}`
		return fmt.Sprintf("POST /v1/customers HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nIdempotency-Key: k\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", address, token, len(body), body)
	}
	connection, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close(t.Context()) })
	count := func(table string) (n int) {
		require.NoError(t, connection.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
		return n
	}

	sent, err := net.Dial("tcp", first.local(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = sent.Close() })
	_, err = io.WriteString(sent, request("first"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return count("customers") == 1 }, 20*time.Second, time.Millisecond)
	first.end(syscall.SIGKILL)

	second := start(t, t.TempDir(), settings...)
	var ids []string
	for range 2 {
		again, err := net.Dial("tcp", second.local(t))
		require.NoError(t, err)
		_, err = io.WriteString(again, request("second"))
		require.NoError(t, err)
		answer, err := http.ReadResponse(bufio.NewReader(again), nil)
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, again.Close())
		require.Equal(t, 201, answer.StatusCode, string(body))
		require.Equal(t, "true", answer.Header.Get("Idempotent-Replayed"))
		require.Contains(t, string(body), strings.TrimPrefix(answer.Header.Get("Location"), "/v1/customers/"))
		ids = append(ids, answer.Header.Get("Location"))
	}
	require.Equal(t, ids[0], ids[1])
	require.Equal(t, 1, count("customers"))
	require.Equal(t, 1, count("events WHERE type = 'customer.created'"))
}
