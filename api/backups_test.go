package api_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

const (
	somePDF   = "%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
	someModel = `{"media": "A4", "duplex": true}`
)

// furnished is a customer that has something of everything, and two of its people.
type furnished struct {
	customer          openapi.Customer
	admin             *apitest.Caller
	person, colleague *apitest.Caller
	job               openapi.Job
	own, theirs       openapi.Publishing
}

func furnish(t *testing.T, s *apitest.Server) furnished {
	t.Helper()
	admin := s.Staff(t, access.Administrator)
	accepted := admin.Terms(t, "Terms")
	f := furnished{admin: admin, customer: admin.ActiveCustomer(t, apitest.Fields{
		"name": "Żółw / <\"Ąę\">: Söhne", "company": "Żółw & Söhne", "comments": "pays late", "external_id": "EXT-" + uuid.NewString(),
		"properties": apitest.Fields{"tier": "gold"}, "modules": []string{"print"}, "address": "Rynek 1\nKraków", "phone": "+48 12",
	})}
	f.person = s.Identity(t, f.customer.Id)
	f.colleague = colleague(t, s, f.person)

	f.job = f.person.Job(t, uuid.Nil, apitest.Fields{"name": "Posters", "description": "<glossy>"})
	files := "/v1/portal/jobs/" + f.job.Id.String() + "/files/"
	f.person.Must(t, 201, "PUT", files+"input", somePDF, apitest.Header("Content-Type", "application/pdf"))
	f.person.Must(t, 201, "PUT", files+"pdl-model", someModel)
	f.person.Must(t, 201, "PUT", files+"support", "colours", apitest.Header("Content-Type", "text/plain"),
		apitest.Header("Content-Disposition", `attachment; filename="Farben 1.txt"`))
	f.person.Job(t, uuid.Nil, apitest.Fields{"name": "Cards"})
	admin.Must(t, 200, "PUT", "/v1/jobs/"+f.job.Id.String()+"/status", apitest.Fields{"status": "incoming"})

	f.own = f.person.Publishing(t, apitest.Fields{"title": "mine", "content": json.RawMessage(`{"n": 14.0, "<": [1, null]}`)})
	f.theirs = f.colleague.Publishing(t, apitest.Fields{"title": "a colleague's secret", "content": "hush"})
	f.person.Publishing(t, apitest.Fields{"title": "again", "template_id": f.own.Id})
	admin.Domain(t, f.customer.Id, apitest.Fields{"waf_configuration": apitest.Fields{"mode": "log"}})
	admin.Note(t, f.customer.Id, "called, nobody there")
	f.person.Must(t, 201, "POST", "/v1/portal/terms-acceptances", apitest.Fields{"terms_id": accepted.Id})
	f.colleague.Must(t, 201, "POST", "/v1/portal/terms-acceptances", apitest.Fields{"terms_id": accepted.Id})
	admin.Must(t, 200, "PATCH", path(f.customer), apitest.Fields{"comments": "pays later", "properties": apitest.Fields{"city": "Kraków"}})
	return f
}

// backup takes a backup of a customer.
func backup(t testing.TB, caller *apitest.Caller, customer openapi.Customer) []byte {
	t.Helper()
	answer := caller.Must(t, 200, "GET", path(customer)+"/backup", nil)
	require.Equal(t, "application/zip", answer.Header.Get("Content-Type"))
	return answer.Body
}

// unpacked is the files of an archive by their names, in its order.
type unpacked struct {
	names []string
	files map[string][]byte
	infos map[string]*zip.FileHeader
}

// record is a record of an archive, or an object in one.
type record = map[string]any

func unpack(t testing.TB, archive []byte) unpacked {
	t.Helper()
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	require.NoError(t, err)
	found := unpacked{files: map[string][]byte{}, infos: map[string]*zip.FileHeader{}}
	for _, file := range reader.File {
		content, err := file.Open()
		require.NoError(t, err)
		found.names = append(found.names, file.Name)
		found.infos[file.Name] = &file.FileHeader
		found.files[file.Name], err = io.ReadAll(content)
		require.NoError(t, err)
	}
	return found
}

func (u unpacked) json(t testing.TB, name string, into any) {
	t.Helper()
	require.Contains(t, u.files, name)
	require.NoError(t, json.Unmarshal(u.files[name], into), "%s: %s", name, u.files[name])
}

// records gives the records of a file.
func (u unpacked) records(t testing.TB, name string) (found []record) {
	t.Helper()
	u.json(t, name, &found)
	return found
}

// pack makes an archive of the files again, with a manifest that is right.
func (u unpacked) pack(t testing.TB) []byte {
	t.Helper()
	var said record
	u.json(t, "manifest.json", &said)
	var entries []record
	for _, name := range u.names {
		if name != "manifest.json" {
			entries = append(entries, record{
				"name": name, "size": len(u.files[name]), "sha256": fmt.Sprintf("%x", sha256.Sum256(u.files[name])),
			})
		}
	}
	said["entries"] = entries
	manifest, err := json.Marshal(said)
	require.NoError(t, err)
	u.files["manifest.json"] = manifest
	var packed bytes.Buffer
	writer := zip.NewWriter(&packed)
	for _, name := range u.names {
		entry, err := writer.Create(name)
		require.NoError(t, err)
		_, err = entry.Write(u.files[name])
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	return packed.Bytes()
}

func TestBackupOfStaff(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	f := furnish(t, s)
	answer := f.admin.Must(t, 200, "GET", path(f.customer)+"/backup", nil)
	_, disposition, err := mime.ParseMediaType(answer.Header.Get("Content-Disposition"))
	require.NoError(t, err)
	require.Equal(t, `Żółw - --Ąę--- Söhne `+s.Clock.Now().UTC().Format(time.DateOnly)+".zip", disposition["filename"])
	found := unpack(t, answer.Body)
	folder := f.job.Id.String() + "/"
	require.Equal(t, []string{
		"user-profile.json", "identities.json", "jobs.json", "domains.json", "notes.json", "publishings.json", "publishing-accesses.json",
		"terms-acceptances.json", "events.json", folder + "input.pdf", folder + "pdl-model.json", folder + "support-Farben 1.txt",
		"manifest.json",
	}, found.names)
	require.Equal(t, somePDF, string(found.files[folder+"input.pdf"]))
	require.Equal(t, someModel, string(found.files[folder+"pdl-model.json"]))
	require.Equal(t, "colours", string(found.files[folder+"support-Farben 1.txt"]))
	require.Equal(t, zip.Store, found.infos[folder+"input.pdf"].Method)
	require.Equal(t, zip.Deflate, found.infos["events.json"].Method)
	require.Regexp(t, `^\{\s+"contact_name": "Żółw / <\\"Ąę\\">: Söhne",\s+"email": null,\s+"company": "Żółw & Söhne",`, string(found.files["user-profile.json"]))
	require.NotContains(t, string(found.files["identities.json"]), "password")
	require.Contains(t, string(found.files["publishings.json"]), `"n":14.0`)

	var said struct {
		Format        string
		FormatVersion int `json:"format_version"`
		Entries       []struct {
			Name, SHA256 string
			Size         int
		}
		LeftOut []struct{ What, Reason string } `json:"left_out"`
	}
	found.json(t, "manifest.json", &said)
	require.Equal(t, []any{"clientele-backup", 1}, []any{said.Format, said.FormatVersion})
	require.Len(t, said.Entries, len(found.names)-1)
	for i, entry := range said.Entries {
		content := found.files[entry.Name]
		require.Equal(t, []any{found.names[i], len(content), fmt.Sprintf("%x", sha256.Sum256(content))}, []any{entry.Name, entry.Size, entry.SHA256})
	}
	for _, one := range said.LeftOut {
		require.Equal(t, "never_included", one.Reason)
	}

	// That it was taken is known, and who read what.
	var history openapi.BackupPage
	f.admin.Must(t, 200, "GET", path(f.customer)+"/backups?include_total=true", nil).JSON(t, &history)
	require.Equal(t, int64(1), *history.Total)
	one := history.Data[0]
	require.Equal(t, []any{f.admin.ID, int64(len(answer.Body)), fmt.Sprintf("%x", sha256.Sum256(answer.Body))}, []any{*one.TakenBy.Id, *one.SizeBytes, *one.Sha256})
	require.NotNil(t, one.FinishedAt)
	var accesses openapi.PublishingAccessPage
	f.colleague.Must(t, 200, "GET", "/v1/portal/publishings/"+f.theirs.Id.String()+"/accesses", nil).JSON(t, &accesses)
	require.Equal(t, []any{f.admin.ID, openapi.PublishingAccessVia("backup")}, []any{*accesses.Data[0].Actor.Id, accesses.Data[0].Via})
	var events openapi.EventPage
	f.admin.Must(t, 200, "GET", path(f.customer)+"/events?limit=1", nil).JSON(t, &events)
	require.Equal(t, []any{"backup.taken", "backup", one.Id}, []any{events.Data[0].Type, events.Data[0].Resource.Kind, events.Data[0].Resource.Id})

	// HEAD takes none.
	require.Empty(t, f.admin.Must(t, 200, "HEAD", path(f.customer)+"/backup", nil).Body)
	f.admin.Must(t, 200, "GET", path(f.customer)+"/backups", nil).JSON(t, &history)
	require.Len(t, history.Data, 1)
	f.admin.Must(t, 404, "GET", "/v1/customers/"+uuid.NewString()+"/backup", nil)

	// The history goes with the customer; that there was one stays.
	deleteJobs(t, s, f.customer)
	f.admin.Must(t, 204, "DELETE", path(f.customer)+"?confirm="+f.confirmation(t), nil)
	f.admin.Must(t, 404, "GET", path(f.customer)+"/backups", nil)
	f.admin.Must(t, 200, "GET", path(f.customer)+"/events?limit=2", nil).JSON(t, &events)
	require.Equal(t, "backup.taken", events.Data[1].Type)
	require.Nil(t, events.Data[1].Data)
}

// deleteJobs puts jobs where they go with their customer.
func deleteJobs(t *testing.T, s *apitest.Server, customer openapi.Customer) {
	t.Helper()
	_, err := s.DB.Exec(t.Context(), "UPDATE jobs SET status = 'completed' WHERE customer_id = $1", customer.Id)
	require.NoError(t, err)
}

func (f furnished) confirmation(t *testing.T) string {
	t.Helper()
	var plan openapi.DeletionPlan
	f.admin.Must(t, 200, "GET", path(f.customer)+"/deletion-plan", nil).JSON(t, &plan)
	return *plan.ConfirmationToken
}

// TestBackupHasWhatTheTokenShows: what a caller could not read elsewhere is left out, and said to be.
func TestBackupHasWhatTheTokenShows(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	f := furnish(t, s)
	with := func(scopes ...access.Scope) (unpacked, string) {
		caller := s.Anonymous()
		caller.Token = s.Token(t, &access.Principal{
			Kind: access.KindStaff, ID: f.admin.ID, Name: "Test", SessionID: uuid.New(), Epoch: 1, Scopes: append(scopes, "backups:read"),
		})
		found := unpack(t, backup(t, caller, f.customer))
		return found, string(found.files["manifest.json"])
	}
	found, manifest := with()
	require.Equal(t, []string{"user-profile.json", "manifest.json"}, found.names)
	for _, part := range []string{"identities", "jobs", "files", "domains", "notes", "publishings", "terms_acceptances", "events"} {
		require.Contains(t, manifest, `"what": "`+part+`",`)
	}
	found, manifest = with("events:read", "domains:read", "customers:read")
	require.Equal(t, []string{"user-profile.json", "domains.json", "notes.json", "events.json", "manifest.json"}, found.names)
	require.Contains(t, manifest, "events of the kind publishing")
	require.NotContains(t, manifest, "events of the kind domain")
	for _, event := range found.records(t, "events.json") {
		require.Contains(t, []string{"customer", "domain", "note", "backup"}, event["resource"].(record)["kind"])
	}
	accesses := 0
	err := s.DB.QueryRow(t.Context(), "SELECT count(*) FROM publishing_accesses").Scan(&accesses)
	require.NoError(t, err)
	require.Zero(t, accesses, "nobody read one")
}

func TestBackupOfThePortal(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	f := furnish(t, s)
	f.colleague.Must(t, 200, "PATCH", "/v1/portal/publishings/"+f.theirs.Id.String(), apitest.Fields{"visibility": "customer"})
	backup(t, f.admin, f.customer)
	answer := f.person.Must(t, 200, "GET", "/v1/portal/backup", nil)
	found := unpack(t, answer.Body)
	require.NotContains(t, found.names, "notes.json")
	require.Contains(t, found.names, f.job.Id.String()+"/input.pdf")
	for name, content := range found.files {
		if name == "publishing-accesses.json" {
			continue // which is there to say who of the staff it was
		}
		for _, hidden := range []string{
			"pays late", "gold", "comments\":", "properties\":", "external_id\":", "parent_id\":", *f.customer.ExternalId, "nobody there",
			"a colleague's secret", "hush", f.theirs.Id.String(), f.colleague.Email, f.admin.ID.String(), f.admin.Name(t), "password_hash",
		} {
			require.NotContains(t, string(content), hidden, name)
		}
	}
	require.Len(t, found.records(t, "identities.json"), 1)
	require.Len(t, found.records(t, "publishings.json"), 2)
	require.Len(t, found.records(t, "publishing-accesses.json"), 2, "who read one's own is one's own business")
	require.Len(t, found.records(t, "terms-acceptances.json"), 1)
	var types []string
	for _, event := range found.records(t, "events.json") {
		types = append(types, event["type"].(string))
	}
	require.Equal(t, []string{
		"customer.created", "identity.created", "job.created", "job.updated", "job.updated", "job.updated", "job.created",
		"job.status_changed", "publishing.created", "publishing.created", "domain.created", "terms.accepted",
	}, types, "that something else was changed is not told")

	var history openapi.BackupPage
	f.admin.Must(t, 200, "GET", path(f.customer)+"/backups", nil).JSON(t, &history)
	require.Equal(t, []any{"identity", f.person.ID}, []any{history.Data[0].TakenBy.Kind, *history.Data[0].TakenBy.Id})
	f.admin.Must(t, 204, "DELETE", path(f.customer)+"/identities/"+f.person.ID.String(), nil)
	f.admin.Must(t, 200, "GET", path(f.customer)+"/backups", nil).JSON(t, &history)
	require.Empty(t, history.Data[0].TakenBy.Name, "its login is gone")
	require.NotEmpty(t, history.Data[1].TakenBy.Name)
}

// TestBackupIsOfOneMoment: while jobs come and change, every backup has them as they were at one moment, which is what the
// history in it says, too.
func TestBackupIsOfOneMoment(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	person := portalUser(t, s, "member")
	admin := s.Staff(t, access.Administrator)
	customer := openapi.Customer{Id: person.CustomerID}
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			job := person.Job(t, uuid.Nil, nil)
			at := "/v1/portal/jobs/" + job.Id.String()
			person.Must(t, 201, "PUT", at+"/files/support", fmt.Sprint("bytes ", i))
			if i%2 == 0 {
				person.Must(t, 200, "PUT", at+"/files/support", fmt.Sprint("other bytes ", i))
			}
			if i%3 == 0 {
				person.Must(t, 204, "DELETE", at, nil)
			}
		}
	})
	defer changing.Wait()
	defer close(stop)
	for range 8 {
		found := unpack(t, backup(t, admin, customer))
		told := map[any]any{}
		for _, event := range found.records(t, "events.json") {
			if of := event["resource"].(record); of["kind"] == "job" {
				told[of["id"]] = event["version"]
				if event["type"] == "job.deleted" {
					delete(told, of["id"])
				}
			}
		}
		have, files := map[any]any{}, 0
		for _, job := range found.records(t, "jobs.json") {
			have[job["id"]] = job["version"]
			for _, one := range job["files"].([]any) {
				file := one.(record)
				content := found.files[file["entry"].(string)]
				require.Equal(t, file["sha256"], fmt.Sprintf("%x", sha256.Sum256(content)))
				files++
			}
		}
		require.Equal(t, told, have)
		require.Equal(t, files, len(found.names)-len([]string{
			"profile", "identities", "jobs", "domains", "notes", "publishings", "accesses", "terms", "events", "manifest",
		}))
	}
}

// TestBackupIsBrokenOff: who hangs up has none, and nobody waits for that; nor is one begun whose files are not there.
func TestBackupIsBrokenOff(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	person := portalUser(t, s, "member")
	customer := openapi.Customer{Id: person.CustomerID}
	job := person.Job(t, uuid.Nil, nil)
	at := "/v1/portal/jobs/" + job.Id.String() + "/files/"
	person.Must(t, 201, "PUT", at+"support", bytes.Repeat([]byte("0123456789abcdef"), 2<<20)) // more than lies on the way
	open := func() *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path(customer)+"/backup", http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+admin.Token)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		return answer
	}
	var slow []*http.Response
	for range 4 {
		answer := open()
		require.Equal(t, 200, answer.StatusCode)
		slow = append(slow, answer)
	}
	busy := admin.Must(t, 503, "GET", path(customer)+"/backup", nil)
	require.Equal(t, []string{"busy", "10"}, []string{busy.Problem(t).Code, busy.Header.Get("Retry-After")})
	person.Must(t, 200, "GET", "/v1/portal/backup", nil) // which others do not wait for
	for _, answer := range slow {
		_ = answer.Body.Close()
	}
	require.Eventually(t, func() bool { return admin.Do(t, "GET", path(customer)+"/backup", nil).Status == 200 }, 20*time.Second, 20*time.Millisecond)
	var history openapi.BackupPage
	admin.Must(t, 200, "GET", path(customer)+"/backups", nil).JSON(t, &history)
	require.Len(t, history.Data, 6)
	for i, one := range history.Data {
		require.Equal(t, i < 2, one.FinishedAt != nil, "whether it came to its end")
	}

	var key string
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT blob_key FROM job_files WHERE job_id = $1", job.Id).Scan(&key))
	damage := func(do func(file string) error) {
		require.NoError(t, do(filepath.Join(s.BlobDir, filepath.FromSlash(key))))
	}
	damage(func(file string) error {
		content, err := os.OpenFile(file, os.O_RDWR, 0)
		require.NoError(t, err)
		_, err = content.WriteAt([]byte("X"), 20<<20)
		return errors.Join(err, content.Close())
	})
	answer := open()
	_, err := io.Copy(io.Discard, answer.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "what is damaged does not end as if it were whole")
	_ = answer.Body.Close()
	damage(os.Remove)
	require.Equal(t, "internal", admin.Must(t, 500, "GET", path(customer)+"/backup", nil).Problem(t).Code, "that is known before the first byte")
}
