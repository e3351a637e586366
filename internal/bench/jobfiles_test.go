package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var gib = flag.Bool("gib", false, "send files of 1 GiB, the largest there are, instead of 64 MiB")

// minFiles is how many pairs of rounds there are at least, each an upload and a download by either.
const minFiles = 5

// BenchmarkJobFiles uploads the input of a job and downloads it again, in turns with a bare handler that has the same bytes
// go to the same disk and come from it. The program is the one that is built, in a process of its own, so that its memory
// is known: on Linux only. The reference is in this process, beside the client of both.
func BenchmarkJobFiles(b *testing.B) {
	size := int64(64 << 20)
	if *gib {
		size = 1 << 30
	}
	p := buildProgram(b)
	p.run(b, func(running process) {
		token := dial(b, running.addr).signIn(b, "staff", adminEmail)
		product := fileClient{url: "http://" + running.addr + newJob(b, running.addr, token) + "/files/input", token: token, size: size}
		server := httptest.NewServer(bareFiles{dir: filepath.Dir(p.path)})
		b.Cleanup(server.Close)
		reference := fileClient{url: server.URL, size: size}
		before, known := running.memory(b, "VmRSS")
		var up, down, upRatios, downRatios []float64
		pair := func() {
			productUp, productDown := product.round(b)
			referenceUp, referenceDown := reference.round(b)
			up, down = append(up, productUp), append(down, productDown)
			upRatios, downRatios = append(upRatios, productUp/referenceUp), append(downRatios, productDown/referenceDown)
			b.Logf("uploaded %.0f MB/s, ratio %.3f; downloaded %.0f MB/s, ratio %.3f",
				productUp, last(upRatios), productDown, last(downRatios))
		}
		running.forgetPeak(b)
		for b.Loop() {
			pair()
		}
		for len(up) < minFiles {
			pair()
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(median(up), "MB/s-up")
		b.ReportMetric(median(upRatios), "ratio-up")
		b.ReportMetric(median(down), "MB/s-down")
		b.ReportMetric(median(downRatios), "ratio-down")
		if peak, _ := running.memory(b, "VmHWM"); known {
			b.ReportMetric(peak-before, "MB-grown")
		}
	}, "CLIENTELE_ADMIN_EMAIL="+adminEmail, "CLIENTELE_ADMIN_PASSWORD="+password)
}

// newJob submits a job for a customer that is made for it, and gives its path.
func newJob(b testing.TB, addr, token string) string {
	b.Helper()
	admin := dial(b, addr)
	customer := admin.createWithLogin(b, token, "antonio@example.com")
	must(b, admin.expect(http.StatusCreated,
		request(nil, http.MethodPost, "/v1/customers/"+customer+"/jobs", token, []byte(`{"name": "A large one"}`))))
	var job struct{ ID string }
	must(b, json.Unmarshal(admin.body, &job))
	return "/v1/jobs/" + job.ID
}

// fileClient sends a file to a URL and gets it back.
type fileClient struct {
	url, token string
	size       int64
}

// round uploads and downloads a file, and gives the megabytes per second of both.
func (c fileClient) round(b testing.TB) (up, down float64) {
	b.Helper()
	content := aLargePDF(c.size)
	took := c.do(b, http.MethodPut, content, func(body io.Reader) (int64, error) {
		_, err := io.Copy(io.Discard, body)
		return c.size, err
	})
	up = float64(c.size) / 1e6 / took.Seconds()
	buffer := make([]byte, 1<<20)
	took = c.do(b, http.MethodGet, nil, func(body io.Reader) (int64, error) {
		return io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, buffer)
	})
	return up, float64(c.size) / 1e6 / took.Seconds()
}

// do makes a request and reads its answer, which comes to the size of the file, and gives how long that took.
func (c fileClient) do(b testing.TB, method string, body io.Reader, read func(io.Reader) (int64, error)) time.Duration {
	b.Helper()
	request, err := http.NewRequest(method, c.url, body)
	must(b, err)
	request.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		request.ContentLength = c.size
	}
	started := time.Now()
	answer, err := http.DefaultClient.Do(request)
	must(b, err)
	defer answer.Body.Close()
	size, err := read(answer.Body)
	must(b, err)
	if answer.StatusCode >= 300 || size != c.size {
		b.Fatalf("%s %s was answered with %s and %d bytes", method, c.url, answer.Status, size)
	}
	return time.Since(started)
}

// aLargePDF is a file of the size that begins and ends like a PDF, another one each time.
func aLargePDF(size int64) io.Reader {
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(rand.Uint32())
	}
	head, end := []byte("%PDF-1.7\n"), []byte("\n%%EOF\n")
	middle := io.LimitReader(&repeating{block: block}, size-int64(len(head)+len(end)))
	return io.MultiReader(bytes.NewReader(head), middle, bytes.NewReader(end))
}

// repeating gives a block of bytes again and again.
type repeating struct {
	block []byte
	at    int
}

func (r *repeating) Read(into []byte) (int, error) {
	n := copy(into, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

// bareFiles keeps one file: it hashes what comes and has it on the disk before it answers, and sends it as net/http does
// best, from the disk to the connection.
type bareFiles struct{ dir string }

func (f bareFiles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := filepath.Join(f.dir, "bare")
	if r.Method == http.MethodGet {
		http.ServeFile(w, r, path)
		return
	}
	if err := f.receive(path, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (f bareFiles) receive(path string, body io.Reader) error {
	file, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, io.TeeReader(body, hash), make([]byte, 1<<20))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(io.Discard, "%x", hash.Sum(nil)); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
