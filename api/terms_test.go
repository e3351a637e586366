package api_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/dbtest"
)

const aPDF = "%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"

func publish(t *testing.T, caller *apitest.Caller, title, media, document string) *apitest.Response {
	t.Helper()
	return caller.Do(t, "POST", "/v1/terms?title="+title, document, apitest.Header("Content-Type", media))
}

func readCustomer(t *testing.T, caller *apitest.Caller, id uuid.UUID) (openapi.Customer, string) {
	t.Helper()
	response := caller.Must(t, 200, "GET", "/v1/customers/"+id.String(), nil)
	var customer openapi.Customer
	response.JSON(t, &customer)
	return customer, response.Header.Get("ETag")
}

func TestTermsArePublishedInVersions(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	s.Anonymous().Must(t, 404, "GET", "/v1/terms/current", nil)
	s.Anonymous().Must(t, 404, "GET", "/v1/terms/current/document", nil)

	var first, second openapi.Terms
	response := publish(t, admin, "Regulamin%20%C5%BC%C3%B3%C5%82w%22", "application/pdf", aPDF)
	require.Equal(t, 201, response.Status, string(response.Body))
	response.JSON(t, &first)
	digest := sha256.Sum256([]byte(aPDF))
	require.Equal(t, []any{int32(1), "Regulamin żółw\"", "application/pdf", int64(len(aPDF)), hex.EncodeToString(digest[:]), true, &admin.ID},
		[]any{first.Version, first.Title, first.ContentType, first.Size, first.Sha256, first.Current, first.UploadedBy.Id})
	require.Equal(t, "/v1/terms/"+first.Id.String(), response.Header.Get("Location"))

	publish(t, admin, "Two", "text/html; charset=utf-8", "<!DOCTYPE html><script>alert(1)</script>").JSON(t, &second)
	require.EqualValues(t, 2, second.Version)
	var page openapi.TermsPage
	admin.Must(t, 200, "GET", "/v1/terms?include_total=true", nil).JSON(t, &page)
	require.Equal(t, []bool{true, false}, []bool{page.Data[0].Current, page.Data[1].Current})
	require.EqualValues(t, 2, *page.Total)
	var read openapi.Terms
	admin.Must(t, 200, "GET", "/v1/terms/"+first.Id.String(), nil).JSON(t, &read)
	require.False(t, read.Current)
	s.Anonymous().Must(t, 200, "GET", "/v1/terms/current", nil).JSON(t, &read)
	require.Equal(t, []any{second.Id, second.Version, second.Sha256}, []any{read.Id, read.Version, read.Sha256})
	open := s.Anonymous().Must(t, 200, "GET", "/v1/terms/current", nil)
	require.NotContains(t, string(open.Body), admin.ID.String(), "who of the staff uploaded them is not for everybody")
	admin.Must(t, 404, "GET", "/v1/terms/"+uuid.NewString(), nil)
	admin.Must(t, 404, "GET", "/v1/terms/"+uuid.NewString()+"/document", nil)
	for _, method := range []string{"PATCH", "PUT", "DELETE"} {
		admin.Must(t, 405, method, "/v1/terms/"+first.Id.String(), nil)
	}

	page1 := s.Anonymous().Must(t, 200, "GET", "/v1/terms/current/document", nil)
	require.Equal(t, "text/html; charset=utf-8", page1.Header.Get("Content-Type"))
	require.Contains(t, page1.Header.Get("Content-Security-Policy"), "sandbox; default-src 'none'", "its script runs nowhere near our origin")
	require.NotContains(t, page1.Header.Get("Content-Security-Policy"), "script")
	require.Equal(t, "nosniff", page1.Header.Get("X-Content-Type-Options"))

	document := "/v1/terms/" + first.Id.String() + "/document"
	whole := admin.Must(t, 200, "GET", document, nil)
	require.Equal(t, aPDF, string(whole.Body))
	require.Equal(t, `"`+first.Sha256+`"`, whole.Header.Get("ETag"))
	require.Contains(t, whole.Header.Get("Content-Disposition"), "filename*=utf-8''Regulamin%20%C5%BC%C3%B3%C5%82w%22.pdf")
	admin.Must(t, 304, "GET", document, nil, apitest.Header("If-None-Match", whole.Header.Get("ETag")))
	part := admin.Must(t, 206, "GET", document, nil, apitest.Header("Range", "bytes=1-3"))
	require.Equal(t, "PDF", string(part.Body))
	requireOutOfRange(t, admin, document, len(aPDF))
	requireOutOfRange(t, s.Anonymous(), "/v1/terms/current/document", len(page1.Body))
}

func TestDocumentsThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin := s.Staff(t, access.Administrator)
	for name, test := range map[string]struct {
		media, document, code string
		status                int
	}{
		"a PDF by name alone":        {"application/pdf", "Terms of service", "document_invalid", 422},
		"a PDF without an end":       {"application/pdf", aPDF[:40], "document_invalid", 422},
		"a PDF with much after it":   {"application/pdf", aPDF + strings.Repeat("x", 2000), "document_invalid", 422},
		"a PDF that says it is text": {"text/markdown", aPDF, "document_invalid", 422},
		"text that says it is HTML":  {"text/html", "just text", "document_invalid", 422},
		"HTML that says it is a PDF": {"application/pdf", "<html></html>", "document_invalid", 422},
		"nothing":                    {"text/markdown", "", "document_invalid", 422},
		"nothing but white space":    {"text/markdown", " \n\t", "document_invalid", 422},
		"another charset":            {"text/markdown; charset=iso-8859-2", "abc", "document_invalid", 422},
		"NUL":                        {"text/markdown", "a\x00b", "document_invalid", 422},
		"not UTF-8":                  {"text/html", "<p>\xff\xfe", "document_invalid", 422},
		"half a character":           {"text/markdown", "abc\xc5", "document_invalid", 422},
		"a picture":                  {"image/png", "\x89PNG\r\n", "unsupported_media_type", 415},
		"no media type at all":       {"garbage;;", "text", "unsupported_media_type", 415},
		"JSON":                       {"application/json", "{}", "unsupported_media_type", 415},
		"21 MiB":                     {"text/markdown", strings.Repeat("a", 21<<20), "content_too_large", 413},
	} {
		response := publish(t, admin, "x", test.media, test.document)
		require.Equal(t, test.status, response.Status, "%s: %s", name, response.Body)
		require.Equal(t, test.code, response.Problem(t).Code, name)
	}
	requireFaults(t, admin.Must(t, 400, "POST", "/v1/terms", "# x", apitest.Header("Content-Type", "text/markdown")), "title required")
	requireFaults(t, publish(t, admin, "%20", "text/markdown", "# x"), "title invalid_format")
	s.Staff(t, access.Operator).Must(t, 403, "POST", "/v1/terms?title=x", "# x", apitest.Header("Content-Type", "text/markdown"))
	s.Anonymous().Must(t, 404, "GET", "/v1/terms/current", nil)
	require.Empty(t, filesIn(t, dir), "what was refused left something behind")
	for _, media := range []string{"text/markdown", "application/octet-stream"} {
		require.Equal(t, 201, publish(t, admin, "x", media, "żółć "+strings.Repeat("zażółć gęślą jaźń ", 5000)).Status)
	}
	require.Equal(t, 201, publish(t, admin, "x", "text/markdown", "<b>Terms</b>").Status)
	require.Len(t, filesIn(t, dir), 3)
}

func filesIn(t *testing.T, dir string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	return files
}

// TestAnUploadThatIsCutOff: two gigabytes are announced, a part of them comes, and then nobody is there any more.
func TestAnUploadThatIsCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apitest.New(t, apitest.Blobs(blobs.FileURL(dir)))
	admin := s.Staff(t, access.Administrator)
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	_, err = fmt.Fprintf(connection, "POST /v1/terms?title=x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/pdf\r\nContent-Length: 2000000000\r\n\r\n%s%s", admin.Token, aPDF, strings.Repeat("x", 3<<20))
	require.NoError(t, err)
	require.NoError(t, connection.(*net.TCPConn).CloseWrite())
	answer, err := bufio.NewReader(connection).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, answer, "400")
	require.NoError(t, connection.Close())
	require.Empty(t, filesIn(t, dir))
	s.Anonymous().Must(t, 404, "GET", "/v1/terms/current", nil)
}

func TestTermsArePublishedAtOnce(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	versions := make([]int32, 8)
	var wait sync.WaitGroup
	for i := range versions {
		wait.Go(func() { versions[i] = admin.Terms(t, fmt.Sprint("Terms ", i)).Version })
	}
	wait.Wait()
	require.ElementsMatch(t, []int32{1, 2, 3, 4, 5, 6, 7, 8}, versions)
}

func accept(t *testing.T, caller *apitest.Caller, status int, id uuid.UUID) openapi.TermsAcceptance {
	t.Helper()
	var accepted openapi.TermsAcceptance
	response := caller.Must(t, status, "POST", "/v1/portal/terms-acceptances", apitest.Fields{"terms_id": id})
	if status < 300 {
		response.JSON(t, &accepted)
	} else {
		require.Equal(t, "terms_not_current", response.Problem(t).Code)
	}
	return accepted
}

func TestTermsAreAccepted(t *testing.T) {
	t.Parallel()
	database, dir := dbtest.URL(t), blobs.FileURL(t.TempDir())
	s := apitest.NewOn(t, database, apitest.Blobs(dir))
	replica := apitest.NewOn(t, database, apitest.Blobs(dir), apitest.PublicURL(s.URL))
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	accept(t, me, 409, uuid.New()) // there are none yet
	first := admin.Terms(t, "One")
	colleague := admin.Identity(t, me.CustomerID, apitest.Fields{"password": apitest.Password})
	other := s.Anonymous()
	other.Token = other.SignIn(t, "portal", colleague.Email, apitest.Password).AccessToken

	before, tag := readCustomer(t, admin, me.CustomerID)
	require.Nil(t, before.Terms)
	_, profileTag := profileOf(t, me)
	accepted := accept(t, me, 201, first.Id)
	require.Equal(t, []any{int32(1), first.Sha256, &me.ID, &me.Email},
		[]any{accepted.TermsVersion, accepted.DocumentSha256, accepted.Identity.Id, accepted.Identity.Email})
	require.Equal(t, accepted, accept(t, me, 200, first.Id), "accepting again gives the first")
	accept(t, other, 201, first.Id)
	after, newTag := readCustomer(t, admin, me.CustomerID)
	require.Equal(t, openapi.CustomerTerms{Version: 1, AcceptedAt: accepted.AcceptedAt}, *after.Terms, "the first of its people counts")
	require.Equal(t, before.Version, after.Version)
	require.Equal(t, before.UpdatedAt, after.UpdatedAt)
	require.NotEqual(t, tag, newTag)
	profile, newProfileTag := profileOf(t, me)
	require.EqualValues(t, 1, profile.Customer.Terms.Version)
	require.NotEqual(t, profileTag, newProfileTag)
	names := func(query string) int {
		var page openapi.CustomerPage
		admin.Must(t, 200, "GET", "/v1/customers?"+query, nil).JSON(t, &page)
		return len(page.Data)
	}
	admin.Customer(t, nil)
	require.Equal(t, []int{1, 1}, []int{names("terms_accepted=true"), names("terms_accepted=false")})
	var page openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?terms_accepted=true", nil).JSON(t, &page)
	require.Equal(t, after, page.Data[0])

	// A new version empties it for everybody at once, and keeps the ledger.
	admin.Must(t, 304, "GET", "/v1/customers/"+me.CustomerID.String(), nil, apitest.Header("If-None-Match", newTag))
	second := admin.Terms(t, "Two")
	for _, url := range []*apitest.Server{s, replica} {
		reader := bearing(url, admin.Token)
		emptied := reader.Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String(), nil, apitest.Header("If-None-Match", newTag))
		var customer openapi.Customer
		emptied.JSON(t, &customer)
		require.Nil(t, customer.Terms)
		require.Equal(t, before.Version, customer.Version)
		bearing(url, me.Token).Must(t, 200, "GET", "/v1/portal/profile", nil, apitest.Header("If-None-Match", newProfileTag))
	}
	require.Equal(t, []int{0, 2}, []int{names("terms_accepted=true"), names("terms_accepted=false")})
	accept(t, me, 409, first.Id)
	accept(t, me, 201, second.Id)
	var ledger openapi.TermsAcceptancePage
	admin.Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String()+"/terms-acceptances?include_total=true", nil).JSON(t, &ledger)
	require.EqualValues(t, 3, *ledger.Total)
	require.Equal(t, []int32{2, 1, 1}, []int32{ledger.Data[0].TermsVersion, ledger.Data[1].TermsVersion, ledger.Data[2].TermsVersion})
	var own openapi.TermsAcceptancePage
	me.Must(t, 200, "GET", "/v1/portal/terms-acceptances?include_total=true", nil).JSON(t, &own)
	require.Equal(t, []int32{2, 1}, []int32{own.Data[0].TermsVersion, own.Data[1].TermsVersion}, "one's own alone")
	require.EqualValues(t, 2, *own.Total)
	stranger := portalUser(t, s, "manager")
	stranger.Must(t, 200, "GET", "/v1/portal/terms-acceptances", nil).JSON(t, &ledger)
	require.Empty(t, ledger.Data)

	// A deleted login leaves that it accepted.
	admin.Must(t, 204, "DELETE", identityPath(me.CustomerID, me.ID), nil)
	shown := admin.Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String()+"/terms-acceptances", nil)
	require.NotContains(t, string(shown.Body), me.Email)
	shown.JSON(t, &ledger)
	require.Len(t, ledger.Data, 3)
	require.Nil(t, ledger.Data[0].Identity.Name)
	kept, _ := readCustomer(t, admin, me.CustomerID)
	require.EqualValues(t, 2, kept.Terms.Version)
}

func TestOneAcceptanceCounts(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	terms := admin.Terms(t, "Terms")
	colleague := admin.Identity(t, me.CustomerID, apitest.Fields{"password": apitest.Password})
	other := s.Anonymous()
	other.Token = other.SignIn(t, "portal", colleague.Email, apitest.Password).AccessToken
	var wait sync.WaitGroup
	statuses := make([]int, 20)
	for i := range statuses {
		caller := []*apitest.Caller{me, other}[i%2]
		wait.Go(func() {
			statuses[i] = caller.Do(t, "POST", "/v1/portal/terms-acceptances", apitest.Fields{"terms_id": terms.Id}).Status
		})
	}
	wait.Wait()
	created := 0
	for _, status := range statuses {
		require.Contains(t, []int{200, 201}, status)
		if status == 201 {
			created++
		}
	}
	require.Equal(t, 2, created)
}

// TestTermsAreRequired: before the current terms are accepted only what leads to it is open.
func TestTermsAreRequired(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.TermsRequired)
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "manager")
	profileOf(t, me) // there are none yet
	terms := admin.Terms(t, "Terms")
	open := map[string]bool{
		"meGet": true, "portalTermsAcceptanceList": true, "portalTermsAcceptanceCreate": true, "portalPasswordUpdate": true,
		"portalSessionList": true, "portalSessionDelete": true,
	}
	tried := 0
	for _, operation := range apitest.Contract().Operations() {
		if permissions[operation.ID] != anyIdentity && permissions[operation.ID] != anyCaller {
			continue
		}
		tried++
		response := harmless(t, s, operation, me.Token)
		if open[operation.ID] {
			require.NotEqual(t, 403, response.Status, operation.ID)
			continue
		}
		require.Equal(t, 403, response.Status, operation.ID)
		problem := response.Problem(t)
		require.Equal(t, []any{"terms_acceptance_required", terms.Id, "/v1/portal/terms-acceptances"},
			[]any{problem.Code, *problem.TermsId, *problem.AcceptUrl}, operation.ID)
		require.Empty(t, response.Header.Get("WWW-Authenticate"))
	}
	require.Greater(t, tried, len(open))
	accept(t, me, 201, terms.Id)
	profileOf(t, me)
	admin.Terms(t, "Newer")
	me.Must(t, 403, "GET", "/v1/portal/profile", nil)
	admin.Must(t, 200, "GET", "/v1/me", nil)
}

func TestActivationAcceptsTerms(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	old := admin.Terms(t, "Old")
	current := admin.Terms(t, "Current")
	customer := contact(t, admin, nil)
	token := tokenOf(t, *prepare(t, admin, customer, "{}").Link)
	var preview openapi.ActivationPreview
	s.Anonymous().Must(t, 200, "POST", "/v1/activations/preview", apitest.Fields{"token": token}).JSON(t, &preview)
	require.Equal(t, current.Id, preview.Terms.Id)
	body := apitest.Fields{"token": token, "password": apitest.Password, "accept_terms_id": old.Id}
	refused := s.Anonymous().Must(t, 409, "POST", "/v1/activations", body)
	require.Equal(t, "terms_not_current", refused.Problem(t).Code)
	require.Equal(t, "unregistered", statusOf(t, admin, customer), "nothing half done")
	require.Empty(t, admin.Identities(t, customer.Id))
	body["accept_terms_id"] = current.Id
	s.Anonymous().Must(t, 200, "POST", "/v1/activations", body)
	activated, _ := readCustomer(t, admin, customer.Id)
	require.EqualValues(t, 2, activated.Terms.Version)
	requireTypes(t, admin, customer, "customer.activated", "terms.accepted", "activation_request.used", "identity.created",
		"activation_request.created", "customer.created")
}

// TestALargeDocument goes through in pieces, and comes back as it was.
func TestALargeDocument(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	document := append(bytes.Repeat([]byte("%PDF-1.7\n\x00\xff"), 1<<20), []byte("\n%%EOF")...)
	response := admin.Must(t, 201, "POST", "/v1/terms?title=Large", document, apitest.Header("Content-Type", "application/pdf"))
	var terms openapi.Terms
	response.JSON(t, &terms)
	require.EqualValues(t, len(document), terms.Size)
	back := s.Anonymous().Must(t, 200, "GET", "/v1/terms/current/document", nil)
	require.True(t, bytes.Equal(document, back.Body))
}
