package api_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// whenLetIn has the body wait for the server to ask for it.
var whenLetIn = apitest.Header("Expect", "100-continue")

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
