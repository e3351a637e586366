package blobs_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/blobtest"
)

// serve gives the URL of a server that serves the blob as an API would.
func serve(t *testing.T, p *place, key string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reader, err := p.Open(r.Context(), key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer reader.Close()
		w.Header().Set("ETag", `"etag"`)
		w.Header().Set("Content-Type", "application/pdf")
		http.ServeContent(w, r, "", time.Time{}, reader)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, method, url string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, body
}

func TestRangesOverHTTP(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		content := random(3 << 20)
		url := serve(t, p, p.write(t, content).Key)

		response, body := get(t, http.MethodGet, url)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.True(t, bytes.Equal(content, body))
		response, body = get(t, http.MethodHead, url)
		require.EqualValues(t, len(content), response.ContentLength)
		require.Empty(t, body)

		for asked, want := range map[string][]byte{
			"bytes=0-0": content[:1], "bytes=1000-1999999": content[1000:2000000], "bytes=-5": content[len(content)-5:],
			"bytes=3145727-": content[3145727:], "bytes=0-99999999": content,
		} {
			response, body = get(t, http.MethodGet, url, "Range", asked)
			require.Equal(t, http.StatusPartialContent, response.StatusCode, asked)
			require.True(t, bytes.Equal(want, body), asked)
		}
		response, _ = get(t, http.MethodGet, url, "Range", "bytes=3145728-")
		require.Equal(t, http.StatusRequestedRangeNotSatisfiable, response.StatusCode)
		response, _ = get(t, http.MethodGet, url, "If-None-Match", `"etag"`)
		require.Equal(t, http.StatusNotModified, response.StatusCode)

		response, body = get(t, http.MethodGet, url, "Range", "bytes=2000000-2000009,10-19")
		require.Equal(t, http.StatusPartialContent, response.StatusCode)
		_, parameters, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
		require.NoError(t, err)
		parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
		for _, want := range [][]byte{content[2000000:2000010], content[10:20]} {
			part, err := parts.NextPart()
			require.NoError(t, err)
			got, err := io.ReadAll(part)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
}

func TestReaderReadsAndSeeks(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		content := random(5000)
		reader, err := p.Open(t.Context(), p.write(t, content).Key)
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(reader, content))
		after, err := reader.Seek(10, io.SeekEnd)
		require.NoError(t, err)
		require.EqualValues(t, 5010, after)
		n, err := reader.Read(make([]byte, 1))
		require.Zero(t, n)
		require.ErrorIs(t, err, io.EOF)
		_, err = reader.Seek(-1, io.SeekStart)
		require.Error(t, err)
		_, err = reader.Seek(0, 3)
		require.Error(t, err)
		require.NoError(t, reader.Close())
		require.NoError(t, reader.Close())
	})
}

// TestABlobThatIsAFile: a store of files gives the file itself, from where it is read; a bucket has none.
func TestABlobThatIsAFile(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		content := random(5000)
		reader, err := p.Open(t.Context(), p.write(t, content).Key)
		require.NoError(t, err)
		defer reader.Close()
		_, err = reader.Seek(1000, io.SeekStart)
		require.NoError(t, err)
		file, err := reader.File()
		require.NoError(t, err)
		require.Equal(t, strings.HasSuffix(t.Name(), "/files"), file != nil)
		if file != nil {
			part := make([]byte, 500)
			_, err = io.ReadFull(file, part)
			require.NoError(t, err)
			require.Equal(t, content[1000:1500], part)
			reader.Skip(500)
			_, err = reader.Seek(-500, io.SeekCurrent)
			require.NoError(t, err)
		}
		rest, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Equal(t, content[1000:], rest)
	})
}

// TestLostBytesAreNotAnEnd: half a file must never look like a whole one.
func TestLostBytesAreNotAnEnd(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	key := p.write(t, random(1000)).Key
	reader, err := p.Open(t.Context(), key)
	require.NoError(t, err)
	defer reader.Close()
	require.NoError(t, os.Truncate(filepath.Join(p.dir, key), 400))
	content, err := io.ReadAll(reader)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, content, 400)
}

// TestARangeCostsARange counts what passes between the program and the S3 server.
func TestARangeCostsARange(t *testing.T) {
	t.Parallel()
	bucket := blobtest.NewBucket(t)
	endpoint, received := counted(t, bucket.Endpoint)
	p := open(t, blobtest.URL(endpoint, bucket.Name), bucket.Dir)
	content := random(64 << 20)
	url := serve(t, p, p.write(t, content).Key)

	before := received.Load()
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		response, _ := get(t, method, url, "Range", "bytes=67108000-67108009")
		require.Equal(t, http.StatusPartialContent, response.StatusCode)
	}
	require.Less(t, received.Load()-before, int64(64<<10), "the end of the blob, and nothing from before it")
	_, body := get(t, http.MethodGet, url, "Range", "bytes=100-199")
	require.Equal(t, content[100:200], body)
	require.Less(t, received.Load()-before, int64(32<<20), "what was under way when it was enough, and not all of it")
}

// counted puts a connection in between that counts the bytes that come from the server.
func counted(t *testing.T, endpoint string) (string, *atomic.Int64) {
	t.Helper()
	received := new(atomic.Int64)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
			if err != nil {
				_ = near.Close()
				continue
			}
			relay := func(to, from net.Conn, count *atomic.Int64) {
				_, _ = io.Copy(countingWriter{to, count}, from)
				_ = errors.Join(to.Close(), from.Close())
			}
			go relay(near, far, received)
			go relay(far, near, new(atomic.Int64))
		}
	}()
	return "http://" + listener.Addr().String(), received
}

type countingWriter struct {
	io.Writer
	count *atomic.Int64
}

func (w countingWriter) Write(content []byte) (int, error) {
	n, err := w.Writer.Write(content)
	w.count.Add(int64(n))
	return n, err
}
