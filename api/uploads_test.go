package api_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/blobs"
)

// whenLetIn has the body wait for the server to ask for it.
var whenLetIn = apitest.Header("Expect", "100-continue")

// TestUploadsHaveAMediaType. Two widely used client generators turn the media type of the contract, "*/*", into a header by
// mistake, and some of what they make sends the body {} instead of the file: the server took that for the file, called it
// "*/*", and the file was lost without anybody being told.
func TestUploadsHaveAMediaType(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin, me := s.Staff(t, access.Administrator), portalUser(t, s, "member")
	job := me.Job(t, uuid.Nil, nil)
	own, staffs := ownJobPath(job.Id)+"/files/", jobPath(job.Id)+"/files/"
	for _, upload := range []struct {
		by              *apitest.Caller
		method, path    string
		content, detail string
	}{
		{me, "PUT", own + "input", aPDF, "no media type. Send that of the file"},
		{me, "PUT", own + "pdl-model", "{}", "no media type. Send that of the file"},
		{me, "PUT", own + "support", "{}", "no media type. Send that of the file"},
		{admin, "PUT", staffs + "support", "{}", "no media type. Send that of the file"},
		{admin, "POST", "/v1/terms?title=x", "{}", "takes application/pdf"},
		{admin, "POST", "/v1/customers/import", "{}", "takes text/csv"},
		{admin, "POST", path(admin.Customer(t, nil)) + "/domains/import", "{}", "takes text/csv"},
		{admin, "POST", restorePath, "{}", "takes application/zip"},
	} {
		for _, media := range []string{
			"*/*", "*/*; q=0.8", "text/*", "*/plain", "*", "foo", "foo/", "/foo", "a b/c", "text/plain, text/html", "text/plain; charset", "text/plain; a=b c",
		} {
			answer := upload.by.Must(t, 415, upload.method, upload.path, upload.content, apitest.Header("Content-Type", media))
			require.Equal(t, "unsupported_media_type", answer.Problem(t).Code, media)
			require.Contains(t, answer.Problem(t).Detail, upload.detail, media)
		}
	}
	require.Empty(t, readJob(t, me, ownJobPath(job.Id)).Files)
	require.Empty(t, filesIn(t, dir), "what was refused left something behind")

	for sent, kept := range map[string]string{
		"image/svg+xml":                     "image/svg+xml",
		"Text/HTML;charset=UTF-8;":          "text/html; charset=UTF-8",
		`text/plain; a="\"b; c" ; ; d=e`:    "application/octet-stream", // right, and beyond what is read here
		"application/vnd.a_b.c; x*=utf-8''": `application/vnd.a_b.c; x=""`,
		"":                                  "application/octet-stream",
	} {
		file, _ := putFile(t, me, own+"support", "{}", apitest.Header("Content-Type", sent))
		require.Equal(t, kept, file.ContentType, sent)
	}
	file, _ := putFile(t, me, own+"support", "{}", func(r *http.Request) { r.Header.Del("Content-Type") })
	require.Equal(t, "application/octet-stream", file.ContentType)
}

// TestUploadsDoNotOutlastAccess: who loses access while a file comes in changes nothing with it.
func TestUploadsDoNotOutlastAccess(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.ActiveCustomer(t, nil)
	job := admin.Job(t, customer.Id, nil)
	archive := admin.Must(t, 200, "GET", path(admin.Customer(t, nil))+"/backup", nil).Body
	narrowed := func(t *testing.T) (*apitest.Caller, func()) {
		t.Helper()
		client := admin.APIClient(t, nil)
		return client, func() {
			admin.Must(t, 200, "PATCH", clientPath(client.ID), apitest.Fields{"scopes": []string{"jobs:read"}})
		}
	}
	ended := func(t *testing.T) (*apitest.Caller, func()) {
		t.Helper()
		caller := s.Staff(t, access.Administrator)
		return caller, func() {
			admin.Must(t, 200, "PATCH", fmt.Sprintf("/v1/staff/%s", caller.ID), apitest.Fields{"role": "viewer"})
		}
	}
	for name, upload := range map[string]struct {
		method, path, contentType, content string
		by                                 func(t *testing.T) (*apitest.Caller, func())
	}{
		"file":    {"PUT", jobPath(job.Id) + "/files/input", "application/pdf", aPDF, narrowed},
		"import":  {"POST", "/v1/customers/import", "text/csv", "name\nAnn\n", narrowed},
		"restore": {"POST", restorePath + "?on_conflict=new", "application/zip", string(archive), ended},
	} {
		t.Run(name, func(t *testing.T) {
			caller, end := upload.by(t)
			before := rowCounts(t, s)
			body, sender := io.Pipe()
			answer := make(chan *apitest.Response)
			go func() {
				answer <- caller.Do(t, upload.method, upload.path, body, apitest.Header("Content-Type", upload.contentType), whenLetIn)
			}()
			_, err := io.WriteString(sender, upload.content[:5])
			require.NoError(t, err)
			end()
			_, err = io.WriteString(sender, upload.content[5:])
			require.NoError(t, err)
			require.NoError(t, sender.Close())
			require.Equal(t, http.StatusUnauthorized, (<-answer).Status)
			after := rowCounts(t, s)
			for _, table := range []string{"customers", "job_files", "operations"} { // nobody else changes these
				require.Equal(t, before[table], after[table], table)
			}
		})
	}
}

// TestAnUploadEndsWithItsClient: not with its token, which is good for minutes.
func TestAnUploadEndsWithItsClient(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	ends := s.Clock.Now().Add(2 * time.Hour).Format(time.RFC3339)
	client := admin.APIClient(t, apitest.Fields{"expires_at": ends})
	for _, step := range []struct {
		passes time.Duration
		status int
	}{{time.Hour, http.StatusAccepted}, {2 * time.Hour, http.StatusUnauthorized}} {
		client.Token = client.Granted(t, "").AccessToken
		body, sender := io.Pipe()
		answer := make(chan *apitest.Response)
		go func() {
			answer <- client.Do(t, "POST", "/v1/customers/import", body, apitest.Header("Content-Type", "text/csv"), whenLetIn)
		}()
		_, err := io.WriteString(sender, "name\n")
		require.NoError(t, err)
		s.Clock.Advance(step.passes)
		_, err = io.WriteString(sender, "Ann\n")
		require.NoError(t, err)
		require.NoError(t, sender.Close())
		require.Equal(t, step.status, (<-answer).Status)
	}
}
