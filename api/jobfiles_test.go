package api_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/blobs"
)

func hexOf(content string) string {
	digest := sha256.Sum256([]byte(content))
	return hex.EncodeToString(digest[:])
}

func digestOf(content string) string {
	digest := sha256.Sum256([]byte(content))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":"
}

func disposition(value string) apitest.With { return apitest.Header("Content-Disposition", value) }
func reprDigest(value string) apitest.With  { return apitest.Header("Repr-Digest", value) }

// putFile uploads a file and demands that it was taken.
func putFile(t *testing.T, caller *apitest.Caller, at, content string, with ...apitest.With) (openapi.JobFile, *apitest.Response) {
	t.Helper()
	var file openapi.JobFile
	response := caller.Do(t, "PUT", at, content, with...)
	require.Contains(t, []int{200, 201}, response.Status, string(response.Body))
	response.JSON(t, &file)
	return file, response
}

// TestFilesOfAJob: what goes up comes down as it was, whole, in parts or not at all, and does nothing in a browser.
func TestFilesOfAJob(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	own, staffs := ownJobPath(job.Id)+"/files/", jobPath(job.Id)+"/files/"
	me.Must(t, 404, "GET", own+"input", nil)
	me.Must(t, 404, "GET", own+"cover", nil)

	const script = "<script>alert(1)</script>"
	html := []apitest.With{apitest.Header("Content-Type", "text/html; charset=UTF-8"), disposition(`attachment; filename="../a\"b<c>.html"`)}
	support, response := putFile(t, me, own+"support", script, html...)
	require.Equal(t, 201, response.Status)
	require.Equal(t, openapi.JobFile{
		Kind: "support", Filename: "a-b-c-.html", ContentType: "text/html; charset=UTF-8", Size: int64(len(script)),
		Sha256: hexOf(script), UploadedAt: support.UploadedAt,
	}, support)
	require.Equal(t, `"`+support.Sha256+`"`, response.Header.Get("ETag"))
	model, _ := putFile(t, me, own+"pdl-model", `{"media": "A4"}`, apitest.Header("Content-Type", "text/plain"))
	require.Equal(t, []string{"pdl-model.json", "application/json"}, []string{model.Filename, model.ContentType})
	input, _ := putFile(t, me, own+"input", aPDF, disposition("attachment; filename*=UTF-8''Men%C3%BA%20%C5%BC.html"), reprDigest(digestOf(aPDF)))
	require.Equal(t, []string{"Menú ż.html.pdf", "application/pdf"}, []string{input.Filename, input.ContentType})
	job = readJob(t, me, ownJobPath(job.Id))
	require.Equal(t, []openapi.JobFile{input, model, support}, job.Files)
	require.EqualValues(t, 4, job.Version)

	for caller, at := range map[*apitest.Caller]string{me: own, admin: staffs} {
		whole := caller.Must(t, 200, "GET", at+"input", nil)
		require.Equal(t, aPDF, string(whole.Body))
		for name, value := range map[string]string{
			"Content-Type": "application/pdf", "ETag": `"` + hexOf(aPDF) + `"`, "Repr-Digest": digestOf(aPDF), "Accept-Ranges": "bytes",
			"Content-Disposition": "attachment; filename*=utf-8''Men%C3%BA%20%C5%BC.html.pdf", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "sandbox; default-src 'none'", "Content-Length": fmt.Sprint(len(aPDF)),
		} {
			require.Equal(t, value, whole.Header.Get(name), name)
		}
		other := caller.Must(t, 200, "GET", at+"support", nil)
		require.Equal(t, script, string(other.Body))
		require.Equal(t, "application/octet-stream", other.Header.Get("Content-Type"), "what is no script by its type is run by nobody")
		require.Equal(t, "attachment; filename=a-b-c-.html", other.Header.Get("Content-Disposition"))
		require.JSONEq(t, `{"media": "A4"}`, string(caller.Must(t, 200, "GET", at+"pdl-model", nil).Body))

		tag := whole.Header.Get("ETag")
		caller.Must(t, 304, "GET", at+"input", nil, apitest.Header("If-None-Match", tag))
		caller.Must(t, 200, "GET", at+"input", nil, apitest.Header("If-None-Match", other.Header.Get("ETag")))
		part := caller.Must(t, 206, "GET", at+"input", nil, apitest.Header("Range", "bytes=1-3"))
		require.Equal(t, "PDF", string(part.Body))
		require.Equal(t, digestOf(aPDF), part.Header.Get("Repr-Digest"), "of all of it")
		last := caller.Must(t, 206, "GET", at+"input", nil, apitest.Header("Range", "bytes=-6"), apitest.Header("If-Range", tag))
		require.Equal(t, "%%EOF\n", string(last.Body))
		again := caller.Must(t, 200, "GET", at+"input", nil, apitest.Header("Range", "bytes=-6"), apitest.Header("If-Range", `"another"`))
		require.Equal(t, aPDF, string(again.Body))
		requireOutOfRange(t, caller, at+"input", len(aPDF))
		head := caller.Do(t, "HEAD", at+"input", nil)
		require.Equal(t, []any{200, 0, fmt.Sprint(len(aPDF))}, []any{head.Status, len(head.Body), head.Header.Get("Content-Length")})
	}
}

// requireOutOfRange: what a file does not have is refused like everything else, and nothing is said of the file but its size.
func requireOutOfRange(t *testing.T, caller *apitest.Caller, at string, size int) {
	t.Helper()
	for asked, detail := range map[string]string{
		"bytes=99999999-":             fmt.Sprintf("The file has %d bytes, and Range asks for others.", size),
		"bytes=100000-100001,200000-": fmt.Sprintf("The file has %d bytes, and Range asks for others.", size),
		"bytes=x":                     "Range does not ask for bytes, as bytes=0-1023 does.",
		"bytes=20-10":                 "Range does not ask for bytes, as bytes=0-1023 does.",
	} {
		answer := caller.Must(t, 416, "GET", at, nil, apitest.Header("Range", asked))
		problem := answer.Problem(t)
		require.Equal(t, []string{"range_not_satisfiable", "Range Not Satisfiable", detail}, []string{problem.Code, problem.Title, problem.Detail}, asked)
		require.Equal(t, fmt.Sprintf("bytes */%d", size), answer.Header.Get("Content-Range"), asked)
		require.Equal(t, []string{"nosniff"}, answer.Header.Values("X-Content-Type-Options"))
		if caller.Token != "" {
			require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		}
		for _, name := range []string{"ETag", "Repr-Digest", "Content-Disposition", "Content-Security-Policy"} {
			require.Empty(t, answer.Header.Values(name), name)
		}
		head := caller.Must(t, 416, "HEAD", at, nil, apitest.Header("Range", asked))
		require.Equal(t, answer.Header.Get("Content-Range"), head.Header.Get("Content-Range"))
	}
}

// TestALargeFileGoesInPieces, from the disk to the connection, whole and in parts. One of which the disk has lost a
// piece never passes for the whole.
func TestALargeFileGoesInPieces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	at := jobPath(me.Job(t, uuid.Nil, nil).Id) + "/files/support"
	var text strings.Builder
	for i := range 200_000 {
		fmt.Fprintln(&text, i)
	}
	content := text.String()
	putFile(t, admin, at, content)
	require.Equal(t, hexOf(content), hexOf(string(admin.Must(t, 200, "GET", at, nil).Body)))
	for _, part := range [][2]int{{0, 131_071}, {131_071, 131_072}, {100_000, 600_000}, {1_000_000, len(content) - 1}} {
		with := apitest.Header("Range", fmt.Sprintf("bytes=%d-%d", part[0], part[1]))
		require.Equal(t, hexOf(content[part[0]:part[1]+1]), hexOf(string(admin.Must(t, 206, "GET", at, nil, with).Body)), part)
	}
	many := admin.Must(t, 206, "GET", at, nil, apitest.Header("Range", "bytes=0-9,1000000-1000009"))
	require.Contains(t, string(many.Body), content[1_000_000:1_000_010])

	require.NoError(t, os.Truncate(filesIn(t, dir)[0], 700_000))
	admin.Must(t, 500, "GET", at, nil)
}

// TestFilesGoByTheirTag: If-Match names a file by its bytes, and the same file once more is no change.
func TestFilesGoByTheirTag(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	at := jobPath(job.Id) + "/files/support"
	ifMatch := func(tag string) apitest.With { return apitest.Header("If-Match", tag) }
	for _, tag := range []string{"*", `"` + hexOf("one") + `"`} {
		require.Equal(t, "stale_file", admin.Must(t, 412, "PUT", at, "one", ifMatch(tag)).Problem(t).Code, "there is none")
	}
	_, first := putFile(t, admin, at, "one")
	tag := first.Header.Get("ETag")
	_, second := putFile(t, admin, at, "two", ifMatch(`"unknown", `+tag))
	require.Equal(t, 200, second.Status)
	for _, stale := range []string{tag, "W/" + second.Header.Get("ETag"), `"3.abc"`} {
		require.Equal(t, "stale_file", admin.Must(t, 412, "PUT", at, "three", ifMatch(stale)).Problem(t).Code)
		admin.Must(t, 412, "DELETE", at, nil, ifMatch(stale))
	}
	before := readJob(t, admin, jobPath(job.Id))
	require.EqualValues(t, 3, before.Version)
	_, same := putFile(t, admin, at, "two", ifMatch("*"))
	require.Equal(t, second.Header.Get("ETag"), same.Header.Get("ETag"))
	require.Equal(t, before, readJob(t, admin, jobPath(job.Id)))
	require.Len(t, filesIn(t, dir), 2, "the first one lies a day for those who read it, and nothing else is left")
	putFile(t, admin, at, "two", disposition("attachment; filename=two.txt"))
	require.EqualValues(t, 4, readJob(t, admin, jobPath(job.Id)).Version, "the name is another one")
	admin.Must(t, 204, "DELETE", at, nil, ifMatch(same.Header.Get("ETag")))
	admin.Must(t, 404, "DELETE", at, nil)
	require.EqualValues(t, 5, readJob(t, admin, jobPath(job.Id)).Version)
}

// TestFilesThatAreNew: with If-None-Match a file takes no place that is taken.
func TestFilesThatAreNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	own, staffs := ownJobPath(job.Id)+"/files/support", jobPath(job.Id)+"/files/support"
	unless := func(tags string) apitest.With { return apitest.Header("If-None-Match", tags) }
	requireFaults(t, me.Must(t, 400, "PUT", own, "one", unless("one")), "If-None-Match invalid_format")
	_, first := putFile(t, me, own, "one", unless("*"))
	require.Equal(t, 201, first.Status)
	before, tag := readJob(t, me, ownJobPath(job.Id)), first.Header.Get("ETag")
	for caller, at := range map[*apitest.Caller]string{me: own, admin: staffs} {
		for content, tags := range map[string]string{"one": "*", "two": "*", "three": tag, "four": `"unknown", W/` + tag} {
			problem := caller.Must(t, 412, "PUT", at, content, unless(tags)).Problem(t)
			require.Equal(t, []string{"stale_file", "There is a file already."}, []string{problem.Code, problem.Detail}, tags)
		}
		caller.Must(t, 412, "PUT", at, "five", unless("*"), apitest.Header("If-Match", tag))
	}
	require.Equal(t, before, readJob(t, me, ownJobPath(job.Id)))
	require.Len(t, filesIn(t, dir), 1)
	_, other := putFile(t, me, own, "two", unless(`"unknown"`), apitest.Header("If-Match", "*"))
	require.Equal(t, 200, other.Status, "it is none that was named")
	admin.Must(t, 204, "DELETE", staffs, nil)
	_, again := putFile(t, admin, staffs, "two", unless("*"))
	require.Equal(t, 201, again.Status, "its place is free again")
	answer := me.Do(t, "PUT", ownJobPath(jobIn(t, admin, me, "incoming").Id)+"/files/support", "one", unless("*"))
	require.Equal(t, 409, answer.Status, "that there is none is not all that counts")
}

// TestOneOfManyIsNew: of all who put a file where there is none one does, and the others are told.
func TestOneOfManyIsNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	const puts = 12 // of two callers, who may have eight under way each
	var bodies [puts]*io.PipeWriter
	var wait sync.WaitGroup
	answers := make([]*apitest.Response, puts)
	for i := range puts {
		caller, at := me, ownJobPath(job.Id)
		if i%2 == 0 {
			caller, at = admin, jobPath(job.Id)
		}
		body, sender := io.Pipe()
		bodies[i] = sender
		wait.Go(func() {
			answers[i] = caller.Do(t, "PUT", at+"/files/support", body, apitest.Header("If-None-Match", "*"), whenLetIn)
		})
	}
	for i, body := range bodies { // each has been let in, since there is no file, before the first one ends
		_, err := fmt.Fprintf(body, "content %d", i)
		require.NoError(t, err)
	}
	for _, body := range bodies {
		require.NoError(t, body.Close())
	}
	wait.Wait()
	made := -1
	for i, answer := range answers {
		if answer.Status == 201 {
			require.Equal(t, -1, made, "two of them were the first")
			made = i
			continue
		}
		require.Equal(t, 412, answer.Status, string(answer.Body))
		require.Equal(t, "stale_file", answer.Problem(t).Code)
	}
	require.NotEqual(t, -1, made, "none of them was the first")
	require.Equal(t, fmt.Sprint("content ", made), string(me.Must(t, 200, "GET", ownJobPath(job.Id)+"/files/support", nil).Body))
	require.EqualValues(t, 2, readJob(t, me, ownJobPath(job.Id)).Version)
	require.Len(t, filesIn(t, dir), 1, "what came too late left something behind")
}

// TestFilesThatAreRefused: of what is refused nothing is kept, and the file that was there stays.
func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	me := portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	at := ownJobPath(job.Id) + "/files/"
	for kind, content := range map[string]string{"input": aPDF, "pdl-model": "[1]", "support": "support"} {
		me.Must(t, 201, "PUT", at+kind, content)
	}
	before := readJob(t, me, ownJobPath(job.Id))
	long := sha512.Sum512([]byte("another"))
	inLong := "sha-512=:" + base64.StdEncoding.EncodeToString(long[:]) + ":"
	unknownLength := func(r *http.Request) { r.ContentLength, r.Body = -1, io.NopCloser(r.Body) }
	for name, test := range map[string]struct {
		kind, content string
		with          []apitest.With
		status        int
		code          string
	}{
		"text as an input":            {"input", "Menus for December", nil, 422, "file_invalid"},
		"half a PDF":                  {"input", aPDF[:30], nil, 422, "file_invalid"},
		"no PDF, whatever it is said": {"input", "{}", []apitest.With{apitest.Header("Content-Type", "application/pdf"), disposition("attachment; filename=a.pdf")}, 422, "file_invalid"},
		"an empty input":              {"input", "", nil, 422, "file_invalid"},
		"an empty support file":       {"support", "", nil, 422, "file_invalid"},
		"a model that is no JSON":     {"pdl-model", "{", nil, 422, "file_invalid"},
		"a model with more after it":  {"pdl-model", "{} x", nil, 422, "file_invalid"},
		"a model that is too large":   {"pdl-model", `"` + strings.Repeat("a", 16<<20) + `"`, nil, 413, "content_too_large"},
		"one that does not say so":    {"pdl-model", `"` + strings.Repeat("a", 16<<20) + `"`, []apitest.With{unknownLength}, 413, "content_too_large"},
		"another SHA-256":             {"support", "other", []apitest.With{reprDigest(digestOf("another"))}, 422, "digest_mismatch"},
		"another SHA-512":             {"support", "other", []apitest.With{reprDigest(digestOf("other") + ", " + inLong)}, 422, "digest_mismatch"},
		"another SHA-256 of a model":  {"pdl-model", "[2]", []apitest.With{reprDigest(digestOf("[3]"))}, 422, "digest_mismatch"},
		"a digest that is none":       {"support", "other", []apitest.With{reprDigest("sha-256=abc")}, 400, "invalid_request"},
		"a name that is none":         {"support", "other", []apitest.With{disposition("attachment; filename=a b")}, 400, "invalid_request"},
		"a form with a file in it":    {"support", "--x--", []apitest.With{apitest.Header("Content-Type", "multipart/form-data; boundary=x")}, 415, "unsupported_media_type"},
	} {
		response := me.Do(t, "PUT", at+test.kind, test.content, test.with...)
		require.Equal(t, test.status, response.Status, "%s: %s", name, response.Body)
		require.Equal(t, test.code, response.Problem(t).Code, name)
	}
	require.Equal(t, before, readJob(t, me, ownJobPath(job.Id)))
	require.Len(t, filesIn(t, dir), 3, "what was refused left something behind")

	// A digest that is right, one in another algorithm, or one that nobody knows.
	long = sha512.Sum512([]byte("other"))
	putFile(t, me, at+"support", "other", reprDigest(digestOf("other")+", sha-512=:"+base64.StdEncoding.EncodeToString(long[:])+":, md5=:AAAA:"))
	putFile(t, me, at+"support", "more", reprDigest("md5=:AAAA:"))
}

// TestAnInterruptedUpload: of an upload that is cut off, in whatever way, nothing is kept, and the file before it is there.
func TestAnInterruptedUpload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	me := portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	at := ownJobPath(job.Id) + "/files/input"
	putFile(t, me, at, aPDF)
	before := readJob(t, me, ownJobPath(job.Id))
	cutOff := func(header, body string, halfOpen bool) {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		defer connection.Close()
		_, err = fmt.Fprintf(connection, "PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n%s", at, me.Token, header, body)
		require.NoError(t, err)
		// As soon as its bytes lie on the disk it is cut off in the middle.
		require.Eventually(t, func() bool { return len(filesIn(t, dir)) == 2 }, 10*time.Second, time.Millisecond)
		if !halfOpen {
			return
		}
		require.NoError(t, connection.(*net.TCPConn).CloseWrite())
		answer, err := bufio.NewReader(connection).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, answer, "400")
	}
	long := "%PDF-1.7\n" + strings.Repeat("x", 3<<20) + "%%EOF"
	for _, header := range []string{"Content-Length: 1000000000", "Transfer-Encoding: chunked"} {
		body := long
		if header[0] == 'T' {
			body = fmt.Sprintf("%x\r\n%s\r\n", len(long), long) // and never the last chunk
		}
		for _, halfOpen := range []bool{true, false} {
			cutOff(header, body, halfOpen)
			require.Eventually(t, func() bool { return len(filesIn(t, dir)) == 1 }, 10*time.Second, 5*time.Millisecond)
			require.Equal(t, before, readJob(t, me, ownJobPath(job.Id)))
			require.Equal(t, aPDF, string(me.Must(t, 200, "GET", at, nil).Body))
		}
	}
}

// TestNobodySendsAGigabyteInVain: what could not be kept is refused before the body is read.
func TestNobodySendsAGigabyteInVain(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	started, completed := jobIn(t, admin, me, "incoming"), jobIn(t, admin, me, "completed")
	fresh := me.Job(t, uuid.Nil, nil)
	for _, test := range []struct {
		token, path, header, answer string
	}{
		{me.Token, ownJobPath(uuid.New()) + "/files/input", "Content-Length: 1000000000", "404"},
		{me.Token, ownJobPath(started.Id) + "/files/input", "Content-Length: 1000000000", "409"},
		{admin.Token, jobPath(completed.Id) + "/files/support", "Content-Length: 1000000000", "409"},
		{admin.Token, jobPath(started.Id) + "/files/input", "Content-Length: 1000000000\r\nIf-Match: \"x\"", "412"},
		{me.Token, ownJobPath(fresh.Id) + "/files/input", "Content-Length: 1073741825", "413"},
		{me.Token, ownJobPath(fresh.Id) + "/files/pdl-model", "Content-Length: 16777217", "413"},
		{me.Token, ownJobPath(fresh.Id) + "/files/input", "Content-Length: 1000000000\r\nRepr-Digest: x", "400"},
	} {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(connection, "PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\nExpect: 100-continue\r\n\r\n",
			test.path, test.token, test.header)
		require.NoError(t, err)
		answer, err := bufio.NewReader(connection).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, answer, test.answer, test.path)
		require.NoError(t, connection.Close())
	}
}

// TestManyPutsAtOnce: of all who put a file of a kind into its place one is the last, and nothing is left of the others but
// bytes that the sweep takes.
func TestManyPutsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin, me := s.Staff(t, access.Operator), portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	const puts = 16 // of two callers, who may have eight under way each
	var wait sync.WaitGroup
	answers := make([]*apitest.Response, puts)
	for i := range puts {
		caller, at := me, ownJobPath(job.Id)
		if i%2 == 0 {
			caller, at = admin, jobPath(job.Id)
		}
		wait.Go(func() {
			answers[i] = caller.Do(t, "PUT", at+"/files/support", fmt.Sprint("content ", i))
		})
	}
	wait.Wait()
	made := 0
	for _, answer := range answers {
		require.Contains(t, []int{200, 201}, answer.Status, string(answer.Body))
		if answer.Status == 201 {
			made++
		}
	}
	require.Equal(t, 1, made, "one of them was the first")
	after := readJob(t, admin, jobPath(job.Id))
	require.EqualValues(t, 1+puts, after.Version)
	require.Len(t, after.Files, 1)
	content := admin.Must(t, 200, "GET", jobPath(job.Id)+"/files/support", nil).Body
	require.Equal(t, after.Files[0].Sha256, hexOf(string(content)))
	count := func(table string) (n int) {
		require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
		return n
	}
	require.Equal(t, []int{1, puts}, []int{count("job_files"), count("blobs")})
	require.Len(t, filesIn(t, dir), puts)
	for range 2 { // a day until nothing can refer to them, and one until nobody reads them
		s.Clock.Advance(25 * time.Hour)
		_, err := s.Options.Blobs.Sweep(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, []int{1, 1}, []int{count("job_files"), count("blobs")})
	left := filesIn(t, dir)
	require.Len(t, left, 1)
	kept, err := os.ReadFile(left[0])
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, kept))
}
