package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

const restorePath = "/v1/backups/restore"

var asZIP = apitest.Header("Content-Type", "application/zip")

// restore restores an archive.
func restore(t testing.TB, admin *apitest.Caller, archive []byte, query string) openapi.Restored {
	t.Helper()
	var restored openapi.Restored
	answer := admin.Must(t, 201, "POST", restorePath+query, archive, asZIP)
	answer.JSON(t, &restored)
	require.Equal(t, "/v1/customers/"+restored.Customer.Id.String(), answer.Header.Get("Location"))
	return restored
}

// restorePlan says what restoring an archive would do.
func restorePlan(t testing.TB, admin *apitest.Caller, archive []byte, query string) openapi.RestorePlan {
	t.Helper()
	var plan openapi.RestorePlan
	admin.Must(t, 200, "POST", restorePath+"?dry_run=true"+query, archive, asZIP).JSON(t, &plan)
	return plan
}

func codesOf(findings []openapi.RestoreFinding) (codes []string) {
	for _, one := range findings {
		codes = append(codes, one.Code)
	}
	return codes
}

// comparable gives what an archive holds of the database, but for what a restore is to change: when it came back, that logins
// have no passwords, the status and version that follow from that, and what has happened since the first backup.
func comparable(t *testing.T, found unpacked) map[string]any {
	t.Helper()
	content := map[string]any{}
	for _, name := range []string{
		"user-profile.json", "identities.json", "jobs.json", "domains.json", "notes.json", "publishings.json", "terms-acceptances.json",
	} {
		var value any
		found.json(t, name, &value)
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		for _, one := range list {
			delete(one.(record), "restored_at")
			if name == "identities.json" || name == "user-profile.json" {
				delete(one.(record), "status")
			}
			if name == "user-profile.json" {
				delete(one.(record), "version")
			}
		}
		content[name] = list
	}
	var events []any
	for _, event := range found.records(t, "events.json") {
		if event["type"] != "backup.taken" && event["type"] != "customer.restored" {
			delete(event, "restored_at")
			events = append(events, event)
		}
	}
	content["events.json"] = events
	for name, text := range found.files {
		if strings.Contains(name, "/") {
			content[name] = string(text)
		}
	}
	return content
}

// TestRestoreIsTheSame: a customer that was deleted comes back as it was, with everything, and what happens next goes on.
func TestRestoreIsTheSame(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	f := furnish(t, s)
	f.admin.Must(t, 204, "DELETE", path(f.customer)+"/identities/"+f.colleague.ID.String(), nil) // whose publishings stay
	archive := backup(t, f.admin, f.customer)

	plan := restorePlan(t, f.admin, archive, "")
	require.Equal(t, []string{"id_taken", "external_id_taken", "email_taken", "host_taken"}, unique(codesOf(plan.Blockers)))
	refused := f.admin.Must(t, 409, "POST", restorePath, archive, asZIP).Problem(t)
	require.Equal(t, "restore_blocked", refused.Code)
	require.Equal(t, plan, *refused.RestorePlan)

	deleteJobs(t, s, f.customer)
	f.admin.Must(t, 204, "DELETE", path(f.customer)+"?confirm="+f.confirmation(t), nil)
	plan = restorePlan(t, f.admin, archive, "")
	require.Empty(t, plan.Blockers)
	require.Equal(t, []string{"status_changed"}, codesOf(plan.Warnings))
	require.Equal(t, openapi.RestoreCounts{
		Identities: 1, Jobs: 2, Files: 3, Bytes: int64(len(somePDF) + len(someModel) + len("colours")), Domains: 1, Notes: 1,
		Publishings: 3, TermsAcceptances: 2, Events: plan.Counts.Events,
	}, plan.Counts)
	f.admin.Must(t, 404, "GET", path(f.customer), nil)

	restored := restore(t, f.admin, archive, "")
	require.Equal(t, []any{f.customer.Id, openapi.CustomerStatusInactive}, []any{restored.Customer.Id, restored.Customer.Status})
	require.Greater(t, restored.Customer.Version, int64(3), "it goes on from what the feed knows")
	require.NotNil(t, restored.Customer.RestoredAt)
	again := unpack(t, backup(t, f.admin, f.customer))
	require.Equal(t, comparable(t, unpack(t, archive)), comparable(t, again))
	for _, name := range []string{"identities.json", "jobs.json", "domains.json", "notes.json", "publishings.json", "terms-acceptances.json"} {
		for _, one := range again.records(t, name) {
			require.NotNil(t, one["restored_at"], name)
		}
	}

	// Of what happened before, the feed tells nothing but that it is back.
	require.Eventually(t, func() bool {
		var news openapi.EventFeed
		f.admin.Must(t, 200, "GET", "/v1/events?limit=200", nil).JSON(t, &news)
		var types []string
		for _, event := range news.Data {
			if types = append(types, event.Type); event.Type == "customer.deleted" {
				types = nil
			}
		}
		return slices.Equal(types, []string{"customer.restored", "backup.taken"})
	}, 10*time.Second, 20*time.Millisecond)
	var history openapi.EventPage
	f.admin.Must(t, 200, "GET", path(f.customer)+"/events?limit=200", nil).JSON(t, &history)
	require.Equal(t, "customer.created", history.Data[slices.IndexFunc(history.Data, func(e openapi.Event) bool { return e.RestoredAt != nil && e.Type == "customer.created" })].Type)

	// Its people come back by a new password, and find what they had; colleagues that were deleted do, too.
	login := path(f.customer) + "/identities/" + f.person.ID.String()
	f.admin.Must(t, 200, "PUT", login+"/password", apitest.Fields{"password": apitest.Password, "password_confirmation": apitest.Password})
	f.admin.Must(t, 200, "POST", path(f.customer)+"/activate", nil)
	person := s.Identity(t, f.customer.Id)
	require.Equal(t, `{"n":14.0,"\u003c":[1,null]}`, contentOf(t, person.Must(t, 200, "GET", ownPublishings+"/"+f.own.Id.String(), nil)))
	require.Contains(t, string(person.Must(t, 200, "GET", ownPublishings+"?content[n]=14&q=mine", nil).Body), f.own.Id.String())
	back := s.Anonymous()
	back.ID = f.admin.Identity(t, f.customer.Id, apitest.Fields{"email": f.colleague.Email, "password": apitest.Password}).Id
	back.Token = back.SignIn(t, "portal", f.colleague.Email, apitest.Password).AccessToken
	back.Must(t, 200, "GET", ownPublishings+"/"+f.theirs.Id.String(), nil)
	person.Must(t, 200, "GET", "/v1/portal/jobs/"+f.job.Id.String()+"/files/input", nil)
}

func unique(texts []string) (found []string) {
	for _, text := range texts {
		if !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return found
}

var anyID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// TestRestoreElsewhere: on another installation, with new ids, everything is the same but for these, and each of them is
// another one everywhere. What is not there, the parent and the terms, is told.
func TestRestoreElsewhere(t *testing.T) {
	t.Parallel()
	s, elsewhere := apitest.New(t), apitest.New(t)
	f := furnish(t, s)
	parent := f.admin.Customer(t, nil)
	f.admin.Must(t, 200, "PATCH", path(f.customer), apitest.Fields{
		"parent_id": parent.Id, "properties": apitest.Fields{"self": f.customer.Id, "job_id": f.job.Id}, // texts of the caller's own
	})
	f.admin.Must(t, 200, "POST", path(f.customer)+"/deactivate", nil)
	archive := backup(t, f.admin, f.customer)
	other := elsewhere.Staff(t, access.Administrator)

	first := restore(t, other, archive, "?on_conflict=new")
	require.Equal(t, []string{"parent_unknown", "terms_unknown"}, codesOf(first.Warnings))
	require.Equal(t, []any{openapi.CustomerStatusDeactivated, int64(0)}, []any{first.Customer.Status, first.Counts.TermsAcceptances})
	require.NotEqual(t, f.customer.Id, first.Customer.Id)
	require.Nil(t, first.Customer.ParentId)
	before, after := unpack(t, archive), unpack(t, backup(t, other, first.Customer))

	renewed := map[string]string{}
	for _, name := range []string{"user-profile.json", "identities.json", "jobs.json", "domains.json", "notes.json", "publishings.json"} {
		old, now := anyID.FindAllString(string(before.files[name]), -1), anyID.FindAllString(string(after.files[name]), -1)
		if name == "user-profile.json" {
			old, now = old[:1], now[:1] // its own comes first
		}
		require.Len(t, now, len(old), name)
		for i := range old {
			if known, met := renewed[old[i]]; met {
				require.Equal(t, known, now[i], name)
			} else if renewed[old[i]] = now[i]; !isStaff(before, old[i]) {
				require.NotEqual(t, old[i], now[i], name)
			}
		}
	}
	require.Equal(t, f.customer.Id.String(), propertyOf(t, after, "self"), "a text is a text")
	require.Equal(t, f.job.Id.String(), propertyOf(t, after, "job_id"))
	require.NotEqual(t, f.job.Id.String(), renewed[f.job.Id.String()])

	told, retold := before.records(t, "events.json"), after.records(t, "events.json")
	require.Len(t, retold, len(told)+len([]string{"backup.taken", "customer.restored"})-1, "the backup itself was not told of in the backup")
	for i, event := range told {
		same := retold[i]
		kind, id := event["resource"].(record)["kind"].(string), event["resource"].(record)["id"].(string)
		if known, met := renewed[id]; met && kind != "terms" {
			require.Equal(t, known, same["resource"].(record)["id"], "%s", event["type"])
		}
		if kind == "terms" {
			require.Equal(t, id, same["resource"].(record)["id"])
		}
		require.NotEqual(t, event["id"], same["id"])
		checkEventIDs(t, renewed, event, same)
	}
	require.Equal(t, f.job.Id.String(), strings.TrimSuffix(before.names[9], "/input.pdf"))
	require.Equal(t, renewed[f.job.Id.String()], strings.TrimSuffix(after.names[9], "/input.pdf"))

	// Nothing tells one restore's ids from another's; a second one is kept out by what must be unique.
	blocked := restorePlan(t, other, archive, "&on_conflict=new")
	require.Equal(t, []string{"external_id_taken", "email_taken", "host_taken"}, unique(codesOf(blocked.Blockers)))
}

// isStaff tells whether an id is of who wrote a note, who is not in the archive.
func isStaff(found unpacked, id string) bool {
	return strings.Contains(string(found.files["notes.json"]), `{"kind":"staff","id":"`+id+`"`)
}

func propertyOf(t *testing.T, found unpacked, name string) any {
	t.Helper()
	var customer record
	found.json(t, "user-profile.json", &customer)
	return customer["properties"].(record)[name]
}

// checkEventIDs demands that an event says the same with other ids.
func checkEventIDs(t *testing.T, renewed map[string]string, event, same record) {
	t.Helper()
	data, isThere := event["data"].(record)
	if !isThere {
		require.Nil(t, same["data"])
		return
	}
	for side, value := range data {
		members, isObject := value.(record)
		if !isObject {
			require.Nil(t, same["data"].(record)[side])
			continue
		}
		now := same["data"].(record)[side].(record)
		require.Equal(t, slices.Sorted(maps.Keys(members)), slices.Sorted(maps.Keys(now)))
		for name, value := range members {
			text, isText := value.(string)
			known, met := renewed[text]
			switch {
			case isText && met && (name == "id" || strings.HasSuffix(name, "_id")):
				require.Equal(t, known, now[name], "%s of %s", name, event["type"])
			case name != "id":
				require.Equal(t, value, now[name], "%s of %s", name, event["type"])
			}
		}
	}
}

// TestRestoreTerms: acceptances find the terms by their document, wherever it is, and whatever its version.
func TestRestoreTerms(t *testing.T) {
	t.Parallel()
	s, elsewhere := apitest.New(t), apitest.New(t)
	f := furnish(t, s)
	archive := backup(t, f.admin, f.customer)
	other := elsewhere.Staff(t, access.Administrator)
	other.Terms(t, "Others")
	current := other.Terms(t, "Terms")
	restored := restore(t, other, archive, "")
	require.Equal(t, []string{"status_changed"}, codesOf(restored.Warnings))
	require.Equal(t, f.customer.Id, restored.Customer.Id)
	require.Equal(t, current.Version, restored.Customer.Terms.Version)
	var ledger openapi.TermsAcceptancePage
	other.Must(t, 200, "GET", path(restored.Customer)+"/terms-acceptances", nil).JSON(t, &ledger)
	require.Len(t, ledger.Data, 2)
	require.Equal(t, []any{current.Id, f.colleague.ID}, []any{ledger.Data[0].TermsId, *ledger.Data[0].Identity.Id})
}

// TestRestoreOfThePortalsBackup: what the customer's own people took away comes back, too, with words on what it lacks.
func TestRestoreOfThePortalsBackup(t *testing.T) {
	t.Parallel()
	s, elsewhere := apitest.New(t), apitest.New(t)
	f := furnish(t, s)
	archive := f.person.Must(t, 200, "GET", "/v1/portal/backup", nil).Body
	restored := restore(t, elsewhere.Staff(t, access.Administrator), archive, "?on_conflict=new")
	require.Equal(t, []any{int64(1), int64(2), int64(2), int64(0)}, []any{
		restored.Counts.Identities, restored.Counts.Jobs, restored.Counts.Publishings, restored.Counts.Notes,
	})
	require.Nil(t, restored.Customer.Comments)
	require.Contains(t, codesOf(restored.Warnings), "left_out")
}

// TestRestoreRefuses: whatever is wrong with an archive is told, with the entry that it is about, and nothing comes of it.
// TestRestoreOfAFileWithoutAMediaType: once a file could be called anything, and is in backups as it was called.
func TestRestoreOfAFileWithoutAMediaType(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.ActiveCustomer(t, nil)
	putFile(t, admin, jobPath(admin.Job(t, customer.Id, nil).Id)+"/files/support", "text", apitest.Header("Content-Type", "text/plain"))
	for was, is := range map[string]string{"*/*": "application/octet-stream", "foo": "application/octet-stream", "text/html": "text/html"} {
		_, err := s.DB.Exec(t.Context(), "UPDATE job_files SET content_type = $1", was)
		require.NoError(t, err)
		archive := backup(t, admin, customer)
		_, err = s.DB.Exec(t.Context(), "UPDATE identities SET email_key = id::text")
		require.NoError(t, err)
		restored := restore(t, admin, archive, "?on_conflict=new")
		var page openapi.JobPage
		admin.Must(t, 200, "GET", "/v1/jobs?customer_id="+restored.Customer.Id.String(), nil).JSON(t, &page)
		require.Equal(t, is, page.Data[0].Files[0].ContentType, was)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	s, elsewhere := apitest.New(t), apitest.New(t)
	f := furnish(t, s)
	archive := backup(t, f.admin, f.customer)
	other := elsewhere.Staff(t, access.Administrator)
	changed := func(name, from, to string) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			found := unpack(t, archive)
			require.Contains(t, string(found.files[name]), from)
			found.files[name] = []byte(strings.Replace(string(found.files[name]), from, to, 1))
			return found.pack(t)
		}
	}
	input := f.job.Id.String() + "/input.pdf"
	for name, test := range map[string]struct {
		archive func(*testing.T) []byte
		entry   string
		code    string
	}{
		"nothing":                  {func(*testing.T) []byte { return nil }, "", "unreadable"},
		"no archive":               {func(*testing.T) []byte { return []byte(somePDF) }, "", "unreadable"},
		"half of it":               {func(*testing.T) []byte { return archive[:len(archive)/2] }, "", "unreadable"},
		"an unknown member":        {changed("notes.json", `"text":`, `"colour": 1, "text":`), "notes.json", "unknown_member"},
		"a member in another case": {changed("notes.json", `"text":`, `"Text":`), "notes.json", "unknown_member"},
		"a NUL character":          {changed("notes.json", "called", `\u0000`), "notes.json", "nul_character"},
		"half a surrogate":         {changed("notes.json", "called", `\ud800`), "notes.json", "lone_surrogate"},
		"a number of a page":       {changed("publishings.json", "14.0", "1e131000"), "publishings.json", "number_too_long"},
		"depth":                    {changed("publishings.json", "14.0", strings.Repeat("[", 40)+strings.Repeat("]", 40)), "publishings.json", "too_deep"},
		"a member twice":           {changed("jobs.json", `"copies":1`, `"copies":1,"copies":1`), "jobs.json", "duplicate_member"},
		"half a record":            {changed("domains.json", `"scheme"`, `}`), "domains.json", "invalid_json"},
		"more than a list":         {changed("notes.json", "]", "] x"), "notes.json", "invalid_json"},
		"another customer":         {changed("user-profile.json", f.customer.Id.String(), uuid.NewString()), "user-profile.json", "wrong_customer"},
		"no PDF":                   {changed(input, "%PDF", "MZ.."), input, "wrong_digest"},
		"another version":          {changed("manifest.json", `"format_version": 1`, `"format_version": 2`), "manifest.json", "unknown_format"},
		"a job without its file":   {changed("jobs.json", input, "nowhere.pdf"), "nowhere.pdf", "entry_missing"},
		"a file of no job": {func(t *testing.T) []byte {
			found := unpack(t, archive)
			found.names, found.files["run.exe"] = append(found.names, "run.exe"), []byte("MZ")
			return found.pack(t)
		}, "run.exe", "unknown_entry"},
		"a manifest that is huge": {changed("manifest.json", `"format_version": 1`, `"format_version": 1, "a": "`+
			strings.Repeat("long ", 300_000)+`", "b": "`+strings.Repeat("long ", 300_000)+`"`), "manifest.json", "record_too_large"},
		"a record that is huge": {changed("notes.json", "called", strings.Repeat("long ", 500_000)), "notes.json", "record_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, query := range []string{"?dry_run=true", "?on_conflict=new"} {
				problem := other.Must(t, 422, "POST", restorePath+query, test.archive(t), asZIP).Problem(t)
				require.Equal(t, "backup_invalid", problem.Code)
				require.NotNil(t, problem.Errors)
				var codes []string
				for _, one := range *problem.Errors {
					codes = append(codes, one.Code)
				}
				require.Contains(t, codes, test.code, problem.Detail)
				if test.entry == "" {
					require.Nil(t, problem.Entry)
				} else {
					require.Equal(t, test.entry, *problem.Entry)
				}
			}
		})
	}

	other.Must(t, 415, "POST", restorePath, archive, apitest.Header("Content-Type", "application/gzip"))
	connection, err := net.Dial("tcp", strings.TrimPrefix(elsewhere.URL, "http://"))
	require.NoError(t, err)
	defer connection.Close()
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/zip\r\nContent-Length: %d\r\n\r\n",
		restorePath, other.Token, int64(65)<<30)
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	require.Equal(t, 413, answer.StatusCode)
	require.NoError(t, answer.Body.Close())
	f.admin.Must(t, 409, "POST", restorePath, archive, asZIP)
}

// TestASlowArchiveKeepsNobodyFromTheirs: those that are still on their way take no place from those that are there.
func TestASlowArchiveKeepsNobodyFromTheirs(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	archive := backup(t, admin, admin.Customer(t, nil))
	answers := make(chan *apitest.Response)
	var senders []*io.PipeWriter
	for range 4 {
		body, sender := io.Pipe()
		senders = append(senders, sender)
		go func() { answers <- admin.Do(t, "POST", restorePath+"?on_conflict=new", body, asZIP, whenLetIn) }()
		_, err := sender.Write(archive[:1000]) // it is on its way
		require.NoError(t, err)
	}
	restore(t, admin, archive, "?on_conflict=new")
	for _, sender := range senders {
		go func() {
			_, err := sender.Write(archive[1000:])
			assert.NoError(t, err)
			assert.NoError(t, sender.Close())
		}()
	}
	for range senders {
		require.Equal(t, http.StatusCreated, (<-answers).Status)
	}
}

// TestRestoreIsAllOrNothing: what stands in the way only when it is written leaves nothing behind of all that was.
func TestRestoreIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s, elsewhere := apitest.New(t), apitest.New(t)
	f := furnish(t, s)
	other := elsewhere.Staff(t, access.Administrator)
	found := unpack(t, backup(t, f.admin, f.customer))
	notes := found.records(t, "notes.json")
	twice, err := json.Marshal(append(notes, notes[0]))
	require.NoError(t, err)
	found.files["notes.json"] = twice
	problem := other.Must(t, 409, "POST", restorePath, found.pack(t), asZIP).Problem(t)
	require.Equal(t, "restore_conflict", problem.Code)
	for _, table := range []string{"customers", "identities", "jobs", "job_files", "domains", "notes", "publishings", "events", "terms_acceptances"} {
		var count int
		condition := map[string]string{"events": " WHERE customer_id IS NOT NULL"}[table]
		require.NoError(t, elsewhere.DB.QueryRow(t.Context(), "SELECT count(*) FROM "+table+condition).Scan(&count))
		require.Zero(t, count, table)
	}
	var kept []string
	require.NoError(t, elsewhere.DB.QueryRow(t.Context(), "SELECT array_agg(DISTINCT kind) FROM blobs").Scan(&kept))
	require.Equal(t, []string{"jobs"}, kept, "files that nothing refers to wait to be swept; the archive is gone")
	restore(t, other, backup(t, f.admin, f.customer), "")

}
