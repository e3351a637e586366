package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"testing"
)

// connection is a keep-alive connection to a server. It speaks just enough HTTP/1.1 for the answers of net/http, and
// allocates nothing: what the load costs beside the servers hides the difference between them.
type connection struct {
	conn   net.Conn
	reader *bufio.Reader
	body   []byte
}

func dial(b testing.TB, addr string) *connection {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &connection{conn: conn, reader: bufio.NewReaderSize(conn, 16<<10)}
}

var (
	contentLength    = []byte("Content-Length: ")
	transferEncoding = []byte("Transfer-Encoding: chunked")

	errAnswer = errors.New("an answer that this client does not understand")
)

// do sends a request and reads its answer. The body is good until the next call.
func (c *connection) do(request []byte) (status int, body []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	line, err := c.line()
	if err != nil {
		return 0, nil, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, nil, errAnswer
	}
	status = number(line[9:12], 10)
	length, chunked := 0, false
	for {
		if line, err = c.line(); err != nil {
			return 0, nil, err
		}
		if len(line) == 0 {
			break
		}
		if value, found := bytes.CutPrefix(line, contentLength); found {
			length = number(value, 10)
		}
		chunked = chunked || bytes.Equal(line, transferEncoding)
	}
	c.body = c.body[:0]
	if !chunked {
		return status, c.body, c.read(length)
	}
	for {
		if line, err = c.line(); err != nil {
			return 0, nil, err
		}
		length = number(line, 16)
		if err := c.read(length); err != nil {
			return 0, nil, err
		}
		if _, err := c.line(); err != nil {
			return 0, nil, err
		}
		if length == 0 {
			return status, c.body, nil
		}
	}
}

func (c *connection) line() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	return bytes.TrimSuffix(line, []byte("\r\n")), err
}

// read appends that many bytes to the body.
func (c *connection) read(length int) error {
	have := len(c.body)
	for cap(c.body) < have+length {
		c.body = append(c.body[:cap(c.body)], 0)
	}
	c.body = c.body[:have+length]
	_, err := io.ReadFull(c.reader, c.body[have:])
	return err
}

func number(digits []byte, base int) int {
	n := 0
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			n = n*base + int(c-'0')
		case base == 16 && c >= 'a' && c <= 'f':
			n = n*base + int(c-'a') + 10
		default:
			return n
		}
	}
	return n
}

// request writes a request into the buffer, with the headers that a client of the API sends.
func request(into []byte, method, target, token string, body []byte) []byte {
	into = append(into[:0], method...)
	into = append(into, ' ')
	into = append(into, target...)
	into = append(into, " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: application/json\r\nAuthorization: Bearer "...)
	into = append(into, token...)
	if body != nil {
		into = append(into, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		into = strconv.AppendInt(into, int64(len(body)), 10)
	}
	into = append(into, "\r\n\r\n"...)
	return append(into, body...)
}

// expect sends a request and fails when its answer, which is then the body, has another status.
func (c *connection) expect(status int, request []byte) error {
	answered, body, err := c.do(request)
	if err == nil && answered != status {
		line, _, _ := bytes.Cut(request, []byte(" HTTP/"))
		err = fmt.Errorf("%s answered %d: %s", line, answered, body)
	}
	return err
}

// get asks once, outside what is measured.
func (c *connection) get(b testing.TB, target, token string) []byte {
	b.Helper()
	must(b, c.expect(http.StatusOK, request(nil, http.MethodGet, target, token, nil)))
	return c.body
}

// requests makes the next request of a load, in the buffer, which it may reuse.
type requests func(random *rand.Rand, buffer []byte) []byte
