package program

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/api"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// serveWith serves a handler as the program does, with other times, and gives the address.
func serveWith(t *testing.T, handler http.Handler, limits times) string {
	t.Helper()
	listener, err := listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	server := newHTTPServer(handler, slog.New(slog.DiscardHandler), limits)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// TestARequestThatIsNeverCompleteIsEnded: it must not hold its connection for longer than requests may take, whoever
// sends it and whether or not its body was wanted.
func TestARequestThatIsNeverCompleteIsEnded(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	options := s.Options
	options.Log = slog.New(slog.DiscardHandler)
	handler, err := api.New(options)
	require.NoError(t, err)
	address := serveWith(t, handler, times{header: 300 * time.Millisecond, read: 300 * time.Millisecond, write: 2 * time.Second})
	authorization := "Authorization: Bearer " + s.Staff(t, access.Administrator).Token + "\r\n"
	const head = "POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, test := range map[string]struct{ request, answer string }{
		"a header without an end": {head, "HTTP/1.1 408"},
		"without a token":         {head + "Content-Length: 200000\r\n\r\n", "HTTP/1.1 401"},
		"without a token, larger": {head + "Content-Length: 20000000\r\n\r\n", "HTTP/1.1 401"},
		"with a token":            {head + authorization + "Content-Length: 200000\r\n\r\n{", "HTTP/1.1 400"},
		"larger than it may be": {
			head + authorization + "Transfer-Encoding: chunked\r\n\r\n100001\r\n" + strings.Repeat(" ", 1<<20+1), "HTTP/1.1 413",
		},
		"where there is nothing": {"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n", "HTTP/1.1 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection := dial(t, address)
			_, err := io.WriteString(connection, test.request)
			require.NoError(t, err)
			require.NoError(t, connection.SetReadDeadline(time.Now().Add(5*time.Second)))
			answer, err := io.ReadAll(connection)
			if err != nil { // reset, since what was sent was not read to its end
				require.NotErrorIs(t, err, context.DeadlineExceeded)
				require.NotContains(t, err.Error(), "timeout")
			}
			if test.answer != "HTTP/1.1 408" { // a header that never ends is not answered
				require.True(t, strings.HasPrefix(string(answer), test.answer), "%s", answer)
			}
		})
	}
}

func TestAnAnswerThatNobodyTakesIsEnded(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	address := serveWith(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		var err error
		for err == nil {
			_, err = w.Write(chunk)
		}
		ended <- err
	}), times{header: time.Second, read: time.Second, write: 300 * time.Millisecond})
	_, err := io.WriteString(dial(t, address), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	select {
	case err := <-ended:
		require.ErrorContains(t, err, "timeout")
	case <-time.After(5 * time.Second):
		require.Fail(t, "it is still being written")
	}
}

// TestHandlersMayTakeLonger: the time to read is for reading alone, and who streams lifts the time to write.
func TestHandlersMayTakeLonger(t *testing.T) {
	t.Parallel()
	address := serveWith(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		}
		select {
		case <-r.Context().Done():
			err = context.Cause(r.Context())
		case <-time.After(700 * time.Millisecond):
		}
		_, _ = fmt.Fprintf(w, "%s %v", body, err)
	}), times{header: 200 * time.Millisecond, read: 200 * time.Millisecond, write: 300 * time.Millisecond})
	connection := dial(t, address)
	for range 2 {
		_, err := io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
		require.NoError(t, err)
		answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, "body <nil>", string(text))
	}
}

func TestOrdinaryRequestsHaveTime(t *testing.T) {
	t.Parallel()
	server := newHTTPServer(nil, slog.New(slog.DiscardHandler), requestTimes)
	require.Equal(t, 30*time.Second, server.ReadTimeout, "as docs/errors.md says of body_incomplete")
	require.Greater(t, server.WriteTimeout, server.ReadTimeout, "a body that did not arrive must still be answered")
}
