package bench

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/dbtest"
)

const (
	// The files of a customer with large jobs.
	largeFile     = 32 << 20
	fewLargeFiles = 8
	largeFiles    = 64 // 2 GiB
	// The files of a customer with many jobs.
	smallFile     = 2 << 10
	fewSmallFiles = 2_000
	smallFiles    = 10_000

	// minBackups is how many pairs of rounds there are at least.
	minBackups = 5
)

// BenchmarkBackups backs a customer up whose jobs have files, in turns with zip -0, which packs just the same files without
// compressing them. The program is the one that is built, in a process of its own; the files are in the system's cache for
// both.
func BenchmarkBackups(b *testing.B) {
	large, small := fewLargeFiles, fewSmallFiles
	if *million {
		large, small = largeFiles, smallFiles
	}
	b.Run("large", func(b *testing.B) { benchmarkBackups(b, large, largeFile) })
	b.Run("small", func(b *testing.B) { benchmarkBackups(b, small, smallFile) })
}

func benchmarkBackups(b *testing.B, files, size int) {
	b.Helper()
	dir, databaseURL := b.TempDir(), dbtest.URL(b)
	customer := submitted(b, databaseURL, dir, files, size)
	buildProgram(b).run(b, func(running process) {
		var backups, zips, ratios []float64
		var grown float64
		volume := float64(files) * float64(size) / 1e6
		pair := func() {
			token := dial(b, running.addr).signIn(b, "staff", adminEmail)
			before, _ := running.memory(b, "VmRSS")
			running.forgetPeak(b)
			took := fetch(b, "http://"+running.addr+"/v1/customers/"+customer.String()+"/backup", token, int64(files)*int64(size))
			if peak, ok := running.memory(b, "VmHWM"); ok {
				grown = max(grown, peak-before)
			}
			backups = append(backups, took.Seconds())
			zips = append(zips, zipped(b, dir).Seconds())
			ratios = append(ratios, last(zips)/last(backups))
		}
		pair() // connections are made, and the files are in memory
		backups, zips, ratios, grown = nil, nil, nil, 0
		for b.Loop() {
			pair()
		}
		for len(ratios) < minBackups {
			pair()
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(volume/median(backups), "MB/s")
		b.ReportMetric(volume/median(zips), "zipped-MB/s")
		b.ReportMetric(float64(files)/median(backups), "files/s")
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(grown, "MB-grown")
		b.Logf("%d files of %d bytes, %d pairs, ratio %.3f, half of them between %.3f and %.3f",
			files, size, len(ratios), median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75))
	}, "CLIENTELE_DATABASE_URL="+databaseURL, "CLIENTELE_SECRET_KEY=a secret key that is only for benchmarks",
		"CLIENTELE_ADMIN_EMAIL="+adminEmail, "CLIENTELE_ADMIN_PASSWORD="+password, "CLIENTELE_BLOB_URL="+blobs.FileURL(dir))
}

// submitted makes a customer that has so many jobs, each with a file of that size in the directory of the blobs.
func submitted(b testing.TB, databaseURL, dir string, files, size int) uuid.UUID {
	b.Helper()
	db := openDB(b, databaseURL, nil)
	defer db.Close()
	data := dataset{size: 1000}
	data.fill(b, db)
	day := filepath.Join("jobs", "2026-11-25")
	must(b, os.MkdirAll(filepath.Join(dir, day), 0o700))
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{})
	ids, keys, digests := make([]uuid.UUID, files), make([]string, files), make([][]byte, files)
	for i := range files {
		_, _ = random.Read(content)
		ids[i] = uuid.Must(uuid.NewV7())
		keys[i] = filepath.ToSlash(filepath.Join(day, ids[i].String()))
		digest := sha256.Sum256(content)
		digests[i] = digest[:]
		must(b, os.WriteFile(filepath.Join(dir, day, ids[i].String()), content, 0o600))
	}
	now := time.Now()
	copyInto(b, db, "blobs", []string{"key", "kind", "created_at"}, files, func(i int) []any {
		return []any{keys[i], "jobs", now}
	})
	copyInto(b, db, "jobs", []string{
		"id", "customer_id", "name", "copies", "status", "created_at", "updated_at", "name_key", "due_key", "search_text",
	}, files, func(i int) []any {
		name := fmt.Sprintf("job %d", i)
		return []any{ids[i], data.id(0), name, 1, "new", now, now, name, now, name}
	})
	copyInto(b, db, "job_files", []string{
		"job_id", "kind", "filename", "content_type", "size", "sha256", "blob_key", "uploaded_at",
	}, files, func(i int) []any {
		return []any{ids[i], "input", "input.pdf", "application/pdf", int64(size), digests[i], keys[i], now}
	})
	return data.id(0)
}

// fetch downloads an archive of at least so many bytes to its end.
func fetch(b testing.TB, url, token string, least int64) time.Duration {
	b.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	must(b, err)
	request.Header.Set("Authorization", "Bearer "+token)
	started := time.Now()
	answer, err := http.DefaultClient.Do(request)
	must(b, err)
	defer answer.Body.Close()
	received, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, make([]byte, 256<<10))
	must(b, err)
	if answer.StatusCode != http.StatusOK || received < least {
		b.Fatalf("the backup was answered with %s and %d bytes", answer.Status, received)
	}
	return time.Since(started)
}

// zipped has zip pack the files of a directory without compressing them or, where there is none, does as much itself.
func zipped(b testing.TB, dir string) time.Duration {
	b.Helper()
	program, err := exec.LookPath("zip")
	started := time.Now()
	if err != nil {
		must(b, copyZip(io.Discard, dir))
		return time.Since(started)
	}
	command := exec.Command(program, "-0", "-q", "-r", "-", ".")
	command.Dir = dir
	output, err := command.StdoutPipe()
	must(b, errors.Join(err, command.Start()))
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, output, make([]byte, 256<<10))
	must(b, errors.Join(err, command.Wait()))
	return time.Since(started)
}

// copyZip copies the files of a directory into an archive.
func copyZip(to io.Writer, dir string) error {
	archive := zip.NewWriter(to)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		into, err := archive.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Store})
		if err != nil {
			return err
		}
		_, err = io.Copy(into, file)
		return err
	})
	return errors.Join(err, archive.Close())
}
