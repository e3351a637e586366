package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

const ownPublishings = "/v1/portal/publishings"

// contentOf gives the text of the content in an answer, as it is written there.
func contentOf(t *testing.T, response *apitest.Response) string {
	t.Helper()
	var body struct{ Content json.RawMessage }
	response.JSON(t, &body)
	return string(body.Content)
}

// colleague makes another login of the caller's customer and signs it in.
func colleague(t *testing.T, s *apitest.Server, of *apitest.Caller) *apitest.Caller {
	t.Helper()
	return login(t, s, of.CustomerID, uuid.NewString()+"@example.com")
}

// login makes a login of a customer and signs it in.
func login(t *testing.T, s *apitest.Server, customerID uuid.UUID, email string) *apitest.Caller {
	t.Helper()
	made := s.Staff(t, access.Administrator).Identity(t, customerID, apitest.Fields{"email": email, "password": apitest.Password})
	caller := s.Anonymous()
	caller.ID, caller.Email, caller.CustomerID = made.Id, email, customerID
	caller.Token = caller.SignIn(t, "portal", email, apitest.Password).AccessToken
	return caller
}

func TestPublishingEveryField(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	response := me.Must(t, 201, "POST", ownPublishings,
		`{"kind":"request","title":"Żółw","content":{"day":"2026-12-24"},"state":"submitted","visibility":"customer"}`)
	var made openapi.Publishing
	response.JSON(t, &made)
	require.Equal(t, []any{me.ID, me.Name(t), "request", "Żółw", openapi.PublishingStateSubmitted, openapi.PublishingVisibilityCustomer, int64(1)},
		[]any{made.Owner.Id, made.Owner.Name, made.Kind, made.Title, made.State, made.Visibility, made.Version})
	require.Equal(t, ownPublishings+"/"+made.Id.String(), response.Header.Get("Location"))
	at := response.Header.Get("Location")
	read := me.Must(t, 200, "GET", at, nil)
	require.Equal(t, string(response.Body), string(read.Body))
	require.Equal(t, response.Header.Get("ETag"), read.Header.Get("ETag"))
	me.Must(t, 304, "GET", at, nil, apitest.Header("If-None-Match", read.Header.Get("ETag")))

	var least openapi.Publishing
	me.Must(t, 201, "POST", ownPublishings, `{"kind":"x","title":"y"}`).JSON(t, &least)
	require.Equal(t, []any{openapi.PublishingStateDraft, openapi.PublishingVisibilityPrivate, "null"},
		[]any{least.State, least.Visibility, string(least.Content)})

	me.Must(t, 412, "DELETE", at, nil, apitest.Header("If-Match", `"2.a"`))
	me.Must(t, 204, "DELETE", at, nil, apitest.Header("If-Match", read.Header.Get("ETag")))
	me.Must(t, 404, "GET", at, nil)
	me.Must(t, 404, "DELETE", at, nil)
	me.Must(t, 404, "PATCH", at, "{}")
}

func TestPublishingFaults(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	for body, faults := range map[string][]string{
		`{}`:                            {"/kind required"},
		`{"kind":"post"}`:               {"/title required"},
		`{"kind":"Post","title":"x"}`:   {"/kind invalid_format"},
		`{"kind":"","title":""}`:        {"/kind too_short", "/title too_short"},
		`{"kind":"a b","title":"a\nb"}`: {"/kind invalid_format", "/title invalid_format"},
		`{"kind":"post","title":"x","version":1,"id":"x","identity_id":"x"}`: {
			"/version unknown_member", "/id unknown_member", "/identity_id unknown_member"},
		`{"kind":"post","title":"x","state":"gone","visibility":"all"}`:                 {"/state unknown_value", "/visibility unknown_value"},
		`{"kind":"post","title":"x","content":{"a":1,"a":2}}`:                           {"/content/a duplicate_member"},
		`{"kind":"post","title":"x","content":[1e999]}`:                                 {"/content/0 number_too_long"},
		`{"kind":"post","title":"x","template_id":"` + uuid.NewString() + `"}`:          {"/template_id reference_not_found"},
		`{"kind":"post","title":"x","content":` + nested(200) + `}`:                     {"/content" + strings.Repeat("/0", 31) + " too_deep"},
		`{"kind":"post","title":"x","content":"` + strings.Repeat("x", 257*1024) + `"}`: {"/content too_large"},
	} {
		requireFaults(t, me.Must(t, 422, "POST", ownPublishings, body), faults...)
	}
	me.Must(t, 413, "POST", ownPublishings, `{"kind":"post","title":"x","content":"`+strings.Repeat("x", 1<<20)+`"}`)
	full := `"` + strings.Repeat("x", 256*1024-2) + `"`
	me.Must(t, 201, "POST", ownPublishings, `{"kind":"post","title":"x","content":`+full+`}`)
	me.Must(t, 201, "POST", ownPublishings, `{"kind":"post","title":"x","content":`+nested(31)+`}`)

	var half openapi.Publishing
	text := strings.Repeat("x", 200*1024)
	me.Must(t, 201, "POST", ownPublishings, `{"kind":"post","title":"x","content":{"a":"`+text+`"}}`).JSON(t, &half)
	at := ownPublishings + "/" + half.Id.String()
	requireFaults(t, me.Must(t, 422, "PATCH", at, `{"content":{"b":"`+text+`"}}`), "/content too_large")
	requireFaults(t, me.Must(t, 422, "POST", ownPublishings, fmt.Sprintf(
		`{"kind":"post","template_id":%q,"content":{"b":%q}}`, half.Id, text)), "/content too_large")
	me.Must(t, 200, "PATCH", at, `{"content":{"a":null,"b":"`+text+`"}}`)
}

// TestContentComesBackAsItCame: to the digit, in its order, whatever JSON it is.
func TestContentComesBackAsItCame(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	staff := s.Staff(t, access.Viewer)
	for _, content := range []string{
		`{}`, `[]`, `null`, `true`, `""`, `0`, `-0`, `-0.0`, `1.0`, `1.10`, `1e2`, `1E+2`, `1e-7`, `0.1000000000000000055511151231257827`,
		`12345678901234567890`, `-9223372036854775809`, strings.Repeat("9", 100), `"<b>&amp;</b> 'q'"`, `"żółć 🙂 日本 ﷽"`,
		`{"z":1,"a":2,"m":{"z":[],"a":{}},"":null," ":0}`, `{"b":[[[],[[]]],{},[null,{"x":null}]],"a":null}`,
		`[1,2.0,3.00,"4",null,true,{"five":5.50}]`, `{"\u0001":"\u001f\\\/\"","\ud83d\ude42":"\u00e9"}`,
		`{"html":"<script>alert(1)</script>","and":"a&&b"}`, nested(31),
	} {
		made := me.Must(t, 201, "POST", ownPublishings, `{"kind":"post","title":"x","content":`+content+`}`)
		require.Equal(t, content, contentOf(t, made))
		at := made.Header.Get("Location")
		require.Equal(t, content, contentOf(t, me.Must(t, 200, "GET", at, nil)))
		var page struct {
			Data []struct{ Content json.RawMessage }
		}
		me.Must(t, 200, "GET", ownPublishings+"?limit=1", nil).JSON(t, &page)
		require.Equal(t, content, string(page.Data[0].Content))
		read := staff.Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String()+"/publishings/"+at[len(ownPublishings)+1:], nil)
		require.Equal(t, content, contentOf(t, read))
		// A change of something else leaves it alone, and what a patch replaces is as the patch has it.
		require.Equal(t, content, contentOf(t, me.Must(t, 200, "PATCH", at, `{"title":"y"}`)))
		if content != nested(31) {
			require.Equal(t, "["+content+"]", contentOf(t, me.Must(t, 200, "PATCH", at, `{"content":[`+content+`]}`)))
		}
	}
	spaced := me.Must(t, 201, "POST", ownPublishings, "{\"kind\":\"post\",\"title\":\"x\",\"content\": {\n\t\"a\" : [ 1.0 , 2 ] }\n}")
	require.Equal(t, `{"a":[1.0,2]}`, contentOf(t, spaced))
}

// TestContentIsMerged: the examples of RFC 7396, appendix A, as they go through the API. Text is compared, not values.
func TestContentIsMerged(t *testing.T) {
	t.Parallel()
	me := portalUser(t, apitest.New(t), "member")
	for _, example := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		// An object gives way to a scalar, inside and at the top, and a number keeps its digits beside it.
		{`{"a":{"b":{"c":1}},"n":1.00}`, `{"a":7}`, `{"a":7,"n":1.00}`},
		{`{"a":{"b":{"c":1}},"n":1.00}`, `1.50`, `1.50`},
		{`{"n":1}`, `{"n":1.0}`, `{"n":1.0}`},
		{`{"l":[{"a":1,"b":2}]}`, `{"l":[{"b":2,"a":1}]}`, `{"l":[{"b":2,"a":1}]}`},
	} {
		made := me.Must(t, 201, "POST", ownPublishings, `{"kind":"post","title":"x","content":`+example[0]+`}`)
		require.Equal(t, example[0], contentOf(t, made))
		at := made.Header.Get("Location")
		patched := me.Must(t, 200, "PATCH", at, `{"content":`+example[1]+`}`, apitest.Header("Content-Type", "application/merge-patch+json"))
		require.Equal(t, example[2], contentOf(t, patched), "%s patched by %s", example[0], example[1])
		var now openapi.Publishing
		patched.JSON(t, &now)
		require.EqualValues(t, 2, now.Version)
		require.Equal(t, string(patched.Body), string(me.Must(t, 200, "GET", at, nil).Body))

		started := me.Must(t, 201, "POST", ownPublishings, fmt.Sprintf(
			`{"kind":"post","template_id":%q,"content":%s}`, now.Id, example[1]))
		var copied openapi.Publishing
		started.JSON(t, &copied)
		require.Equal(t, now.Id, *copied.TemplateId)
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	other := colleague(t, s, me)
	template := me.Publishing(t, apitest.Fields{
		"kind": "template", "title": "Holiday", "state": "archived", "content": raw(`{"days":[1.0],"who":{"name":"?","team":"A"},"n":10}`),
	})
	start := func(caller *apitest.Caller, more string) *apitest.Response {
		return caller.Do(t, "POST", ownPublishings, fmt.Sprintf(`{"kind":"request","template_id":%q%s}`, template.Id, more))
	}
	whole := start(me, "")
	require.Equal(t, `{"days":[1.0],"who":{"name":"?","team":"A"},"n":10}`, contentOf(t, whole))
	var made openapi.Publishing
	whole.JSON(t, &made)
	require.Equal(t, []any{"request", "Holiday", openapi.PublishingStateDraft, openapi.PublishingVisibilityPrivate, template.Id},
		[]any{made.Kind, made.Title, made.State, made.Visibility, *made.TemplateId})
	merged := start(me, `,"title":"Mine","content":{"who":{"name":"Ada"},"n":null,"x":1.50}`)
	require.Equal(t, `{"days":[1.0],"who":{"name":"Ada","team":"A"},"x":1.50}`, contentOf(t, merged))
	require.Equal(t, "null", contentOf(t, start(me, `,"content":null`)))

	requireFaults(t, start(other, ""), "/template_id reference_not_found")
	me.Must(t, 200, "PATCH", ownPublishings+"/"+template.Id.String(), `{"visibility":"customer"}`)
	require.Equal(t, 201, start(other, "").Status)
	requireFaults(t, start(portalUser(t, s, "manager"), ""), "/template_id reference_not_found")
	me.Must(t, 204, "DELETE", ownPublishings+"/"+template.Id.String(), nil)
	requireFaults(t, start(me, ""), "/template_id reference_not_found")
	var kept openapi.Publishing
	me.Must(t, 200, "GET", ownPublishings+"/"+made.Id.String(), nil).JSON(t, &kept)
	require.Equal(t, template.Id, *kept.TemplateId, "what it was started from stays known")
}

// TestPublishingStates goes over the whole matrix of moves, and of what may change beside each.
func TestPublishingStates(t *testing.T) {
	t.Parallel()
	me := portalUser(t, apitest.New(t), "member")
	allowed := map[string][]string{
		"draft": {"submitted", "archived"}, "submitted": {"draft", "archived"}, "archived": {"draft"},
	}
	states := []string{"draft", "submitted", "archived"}
	at := func(state string) string {
		return ownPublishings + "/" + me.Publishing(t, apitest.Fields{"state": state, "content": raw(`{"a":1}`)}).Id.String()
	}
	refused := func(response *apitest.Response, from string) {
		problem := response.Problem(t)
		require.Equal(t, "publishing_state", problem.Code)
		require.Equal(t, from, *problem.CurrentStatus)
		require.Equal(t, allowed[from], *problem.AllowedStates)
		require.Contains(t, problem.Detail, from)
	}
	for _, from := range states {
		for _, to := range states {
			here := at(from)
			response := me.Do(t, "PATCH", here, apitest.Fields{"state": to})
			if from == "archived" && to == "submitted" {
				require.Equal(t, 409, response.Status)
				refused(response, from)
				continue
			}
			require.Equal(t, 200, response.Status, "%s to %s", from, to)
			var now openapi.Publishing
			response.JSON(t, &now)
			require.Equal(t, to, string(now.State))
			require.Equal(t, from == to, now.Version == 1)

			// Together with another text: where it is a draft before or after.
			both := me.Do(t, "PATCH", at(from), apitest.Fields{"state": to, "content": raw(`{"a":2}`)})
			if from == "draft" || to == "draft" {
				require.Equal(t, 200, both.Status, "%s to %s", from, to)
				require.Equal(t, `{"a":2}`, contentOf(t, both))
			} else {
				require.Equal(t, 409, both.Status, "%s to %s", from, to)
				refused(both, from)
			}
		}
		here := at(from)
		for _, change := range []string{`{"content":{"a":2}}`, `{"title":"z"}`, `{"kind":"z"}`, `{"content":null}`} {
			response := me.Do(t, "PATCH", at(from), change)
			if from == "draft" {
				require.Equal(t, 200, response.Status)
				continue
			}
			require.Equal(t, 409, response.Status)
			refused(response, from)
		}
		me.Must(t, 200, "PATCH", here, `{"visibility":"customer"}`)
		me.Must(t, 200, "PATCH", here, `{"visibility":"private","content":{"a":1,"b":null}}`) // the same text as before
		require.Equal(t, `{"a":1}`, contentOf(t, me.Must(t, 200, "GET", here, nil)))
		me.Must(t, 204, "DELETE", here, nil)
	}
}

// TestStaleTabs: of fifty who all saw the first version, one changes it, and the others learn that they did not.
func TestStaleTabs(t *testing.T) {
	t.Parallel()
	me := portalUser(t, apitest.New(t), "member")
	made := me.Must(t, 201, "POST", ownPublishings, `{"kind":"post","title":"x","content":{"n":0}}`)
	at, tag := made.Header.Get("Location"), made.Header.Get("ETag")
	statuses := make([]int, 50)
	var running sync.WaitGroup
	for i := range statuses {
		running.Go(func() {
			statuses[i] = me.Do(t, "PATCH", at, fmt.Sprintf(`{"content":{"n":%d}}`, i+1), apitest.Header("If-Match", tag)).Status
		})
	}
	running.Wait()
	won := 0
	for i, status := range statuses {
		if status == 200 {
			won++
			require.Equal(t, fmt.Sprintf(`{"n":%d}`, i+1), contentOf(t, me.Must(t, 200, "GET", at, nil)))
			continue
		}
		require.Equal(t, 412, status)
	}
	require.Equal(t, 1, won)
	stale := me.Must(t, 412, "DELETE", at, nil, apitest.Header("If-Match", tag))
	require.EqualValues(t, 2, *stale.Problem(t).CurrentVersion)
	var now openapi.Publishing
	me.Must(t, 200, "GET", at, nil).JSON(t, &now)
	require.EqualValues(t, 2, now.Version)
}

func titles(t *testing.T, caller *apitest.Caller, path string) []string {
	t.Helper()
	var page struct {
		Data  []struct{ Title string }
		Total *int64
	}
	caller.Must(t, 200, "GET", path, nil).JSON(t, &page)
	var found []string
	for _, one := range page.Data {
		found = append(found, one.Title)
	}
	if page.Total != nil {
		require.Len(t, found, int(*page.Total))
	}
	return found
}

func TestPublishingList(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	long := strings.Repeat("é", 1000)
	me.Publishing(t, apitest.Fields{"title": "Zoë's request", "kind": "request", "content": raw(`{"city":"Köln","n":1.0,"tags":["a",2,true,null,["x"],{"y":1}]}`)})
	me.Publishing(t, apitest.Fields{"title": "Älteres", "state": "archived", "content": raw(`{"city":"Paris","n":"1","ok":false,"a.b c":"d"}`)})
	me.Publishing(t, apitest.Fields{"title": "bananas", "kind": "template", "content": raw(`{"n":100,"city":null,"big":12345678901234567890,"long":"` + long + `"}`)})
	me.Publishing(t, apitest.Fields{"title": "a list", "content": raw(`[{"city":"Köln"}]`)})
	colleague(t, s, me).Publishing(t, apitest.Fields{"title": "not mine", "content": raw(`{"city":"Köln"}`)})
	portalUser(t, s, "member").Publishing(t, apitest.Fields{"title": "stranger's", "content": raw(`{"city":"Köln"}`)})
	escape := url.QueryEscape
	for query, expected := range map[string][]string{
		"":                                  {"a list", "bananas", "Älteres", "Zoë's request"},
		"sort=created_at":                   {"Zoë's request", "Älteres", "bananas", "a list"},
		"sort=title":                        {"a list", "Älteres", "bananas", "Zoë's request"},
		"sort=-title&kind=post":             {"Älteres", "a list"},
		"kind=request":                      {"Zoë's request"},
		"state=archived":                    {"Älteres"},
		"q=request":                         {"Zoë's request"},
		"q=oe%27s+REQ":                      {"Zoë's request"},
		"q=requests":                        nil,
		"q=request+zoe":                     nil,
		"q=ALTERES&content[city]=Paris":     {"Älteres"},
		"q=ZOE":                             {"Zoë's request"},
		"q=an":                              nil,
		"q=ana":                             {"bananas"},
		"q=ba":                              {"bananas"},
		"content[city]=" + escape("Köln"):   {"Zoë's request"},
		"content[city]=" + escape("köln"):   nil,
		"content[city]=null":                nil,
		"content[n]=1":                      {"Älteres", "Zoë's request"},
		"content[n]=1.0":                    {"Zoë's request"},
		"content[n]=1.00":                   {"Zoë's request"},
		"content[n]=1e2":                    {"bananas"},
		"content[n]=100.0":                  {"bananas"},
		"content[big]=12345678901234567890": {"bananas"},
		"content[big]=12345678901234567891": nil,
		"content[tags]=a":                   {"Zoë's request"},
		"content[tags]=2":                   {"Zoë's request"},
		"content[tags]=true":                {"Zoë's request"},
		"content[tags]=x":                   nil,
		"content[tags]=y":                   nil,
		"content[ok]=false":                 {"Älteres"},
		"content[a.b%20c]=d":                {"Älteres"},
		"content[long]=" + escape(long):     {"bananas"},
		`content[n]=%221%22`:                nil,
		"content[n]=1&content[city]=Paris":  {"Älteres"},
		"content[n]=1&content[city]=Rome":   nil,
		"content[n]=1&kind=request":         {"Zoë's request"},
		"shared=true":                       nil,
		"shared=false&limit=200":            {"a list", "bananas", "Älteres", "Zoë's request"},
	} {
		require.Equal(t, expected, titles(t, me, ownPublishings+"?include_total=true&"+query), query)
	}
	me.Must(t, 200, "PATCH", ownPublishings+"/"+me.Publishing(t, apitest.Fields{"title": "old"}).Id.String(),
		apitest.Fields{"title": "new", "content": raw(`{"city":"Rome"}`)})
	require.Equal(t, []string{"new"}, titles(t, me, ownPublishings+"?content[city]=Rome&q=new"))
	require.Empty(t, titles(t, me, ownPublishings+"?q=old"))
	requireFaults(t, me.Must(t, 400, "GET", ownPublishings+"?identity_id="+me.ID.String(), nil), "identity_id unknown_parameter")
}

// TestPublishingPages: pages neither repeat nor lose one, in each order, also when they end early because they are heavy.
func TestPublishingPages(t *testing.T) {
	t.Parallel()
	me := portalUser(t, apitest.New(t), "member")
	heavy := strings.Repeat("x", 256*1024-2)
	for i := range 40 {
		me.Publishing(t, apitest.Fields{"title": fmt.Sprintf("%d", i%7), "content": heavy})
	}
	for _, sort := range []string{"created_at", "-created_at", "updated_at", "-updated_at", "title", "-title"} {
		seen := map[uuid.UUID]bool{}
		sizes, next := []int{}, ""
		for {
			var page openapi.PublishingPage
			me.Must(t, 200, "GET", ownPublishings+"?limit=30&sort="+sort+next, nil).JSON(t, &page)
			sizes = append(sizes, len(page.Data))
			for _, one := range page.Data {
				require.False(t, seen[one.Id])
				require.Len(t, one.Content, 256*1024)
				seen[one.Id] = true
			}
			if page.NextCursor == nil {
				break
			}
			next = "&cursor=" + *page.NextCursor
		}
		require.Len(t, seen, 40, sort)
		require.Equal(t, []int{16, 16, 8}, sizes, sort)
	}
}
