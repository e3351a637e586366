package api_test

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

func TestDomainEveryField(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	response := admin.Must(t, 201, "POST", path(customer)+"/domains", `{
		"host": "Żółw.Example.", "http_ports": [80, 8080], "scheme": "http", "origin": "2001:DB8::0:1", "origin_port": 8443,
		"cache_configuration": {"default_ttl_seconds": 60, "x": null}, "redirection": {"to": "https://example.com", "status": 301},
		"ssl_expires_at": "2027-03-01T02:00:00+02:00", "tls_protocol": "TLSv1.2", "waf_configuration": {"mode": "block"}}`)
	var domain openapi.Domain
	response.JSON(t, &domain)
	require.Equal(t, []any{"xn--w-uga1v8h.example", "żółw.example", "2001:db8::1", []int32{80, 8080}},
		[]any{domain.Host, domain.HostUnicode, *domain.Origin, domain.HttpPorts})
	require.Equal(t, "2027-03-01T00:00:00Z", domain.SslExpiresAt.Format("2006-01-02T15:04:05Z07:00"))
	require.JSONEq(t, `{"default_ttl_seconds": 60, "x": null}`, string(*domain.CacheConfiguration))
	at := "/v1/domains/" + domain.Id.String()
	require.Equal(t, at, response.Header.Get("Location"))
	read := admin.Must(t, 200, "GET", at, nil)
	require.JSONEq(t, string(response.Body), string(read.Body))
	require.Equal(t, response.Header.Get("ETag"), read.Header.Get("ETag"))
	admin.Must(t, 304, "GET", at, nil, apitest.Header("If-None-Match", read.Header.Get("ETag")))

	plain := admin.Domain(t, customer.Id, nil)
	require.Equal(t, []any{[]int32{80}, openapi.DomainScheme("https")}, []any{plain.HttpPorts, plain.Scheme})
	require.Nil(t, plain.CacheConfiguration)
	admin.Must(t, 404, "POST", "/v1/customers/"+uuid.NewString()+"/domains", apitest.Fields{"host": "nobody.example"})
	for body, faults := range map[string][]string{
		`{}`: {"/host required"},
		`{"host":"http://x.example","http_ports":[0,65536,80,80],"scheme":"ftp","origin":"999.1.1.1","origin_port":0,"tls_protocol":"SSLv3"}`: {
			"/host invalid_format", "/http_ports/0 too_small", "/http_ports/1 too_large", "/http_ports repeated_item", "/scheme unknown_value",
			"/origin invalid_format", "/origin_port too_small", "/tls_protocol unknown_value",
		},
		`{"host":"a.example","cache_configuration":[],"redirection":"x","colour":1}`: {
			"/cache_configuration invalid_type", "/redirection invalid_type", "/colour unknown_member",
		},
		`{"host":"192.0.2.1"}`: {"/host invalid_format"},
	} {
		requireFaults(t, admin.Must(t, 422, "POST", path(customer)+"/domains", body), faults...)
	}
}

func TestDomainMergePatch(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	domain := admin.Domain(t, customer.Id, apitest.Fields{
		"origin": "192.0.2.1", "origin_port": 80, "tls_protocol": "TLSv1.0",
		"waf_configuration": map[string]any{"mode": "log", "rule_sets": []string{"a"}, "mine": 1},
	})
	at := "/v1/domains/" + domain.Id.String()
	var changed openapi.Domain
	admin.Must(t, 200, "PATCH", at, `{"origin": null, "tls_protocol": "TLSv1.3", "waf_configuration": {"mode": "block", "mine": null},
		"cache_configuration": {"a": {"b": null, "c": 1}}}`, apitest.Header("If-Match", `"1.x"`),
		apitest.Header("Content-Type", "application/merge-patch+json")).JSON(t, &changed)
	require.Nil(t, changed.Origin)
	require.EqualValues(t, 80, *changed.OriginPort)
	require.JSONEq(t, `{"mode": "block", "rule_sets": ["a"]}`, string(*changed.WafConfiguration))
	require.JSONEq(t, `{"a": {"c": 1}}`, string(*changed.CacheConfiguration))
	require.EqualValues(t, 2, changed.Version)
	admin.Must(t, 412, "PATCH", at, `{"origin": "x.example"}`, apitest.Header("If-Match", `"1.x"`))
	admin.Must(t, 200, "PATCH", at, `{"host": "`+strings.ToUpper(domain.Host)+`.", "waf_configuration": {"rule_sets": ["a"]}}`).JSON(t, &changed)
	require.EqualValues(t, 2, changed.Version, "nothing changed")
	admin.Must(t, 200, "PATCH", at, `{"cache_configuration": null}`).JSON(t, &changed)
	require.Nil(t, changed.CacheConfiguration)
	requireFaults(t, admin.Must(t, 422, "PATCH", at, `{"waf_configuration": `+objects(9)+`}`), "/waf_configuration too_deep")
	large := apitest.Fields{"waf_configuration": map[string]any{"b": strings.Repeat("x", 16_300)}}
	admin.Must(t, 200, "PATCH", at, large)
	requireFaults(t, admin.Must(t, 422, "PATCH", at, apitest.Fields{"waf_configuration": map[string]any{"c": strings.Repeat("x", 200)}}),
		"/waf_configuration too_large")

	admin.Must(t, 412, "DELETE", at, nil, apitest.Header("If-Match", `"1.x"`))
	admin.Must(t, 204, "DELETE", at, nil)
	for _, method := range []string{"GET", "DELETE"} {
		admin.Must(t, 404, method, at, nil)
	}
	requireTypes(t, admin, customer, "domain.deleted", "domain.updated", "domain.updated", "domain.updated", "domain.created", "customer.created")
}

func TestOneDomainForAHost(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customers := []openapi.Customer{admin.Customer(t, nil), admin.Customer(t, nil)}
	spellings := []string{"café.example", "CAFÉ.Example.", "xn--caf-dma.example", "XN--CAF-DMA.EXAMPLE"}
	statuses := make([]int, 40)
	var wait sync.WaitGroup
	for i := range statuses {
		wait.Go(func() {
			body := apitest.Fields{"host": spellings[i%len(spellings)]}
			statuses[i] = admin.Do(t, "POST", path(customers[i%2])+"/domains", body).Status
		})
	}
	wait.Wait()
	slices.Sort(statuses)
	require.Equal(t, 201, statuses[0])
	require.Equal(t, slices.Repeat([]int{409}, 39), statuses[1:])
	requireFaults(t, admin.Must(t, 409, "POST", path(customers[0])+"/domains", apitest.Fields{"host": "café.example"}), "/host host_taken")
}

func TestDomainList(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	mine, other := me.CustomerID, admin.Customer(t, nil).Id
	admin.Domain(t, mine, apitest.Fields{"host": "żółw.example", "scheme": "http", "ssl_expires_at": "2027-01-01T00:00:00Z"})
	admin.Domain(t, mine, apitest.Fields{"host": "shop.example.com", "tls_protocol": "TLSv1.3", "origin": "origin-7.internal.example"})
	admin.Domain(t, other, apitest.Fields{"host": "blog.example.com", "ssl_expires_at": "2028-01-01T00:00:00Z"})
	hosts := func(caller *apitest.Caller, at string) (found []string) {
		t.Helper()
		var page openapi.DomainPage
		caller.Must(t, 200, "GET", at, nil).JSON(t, &page)
		for _, domain := range page.Data {
			found = append(found, domain.HostUnicode)
		}
		if page.Total != nil {
			require.EqualValues(t, len(found), *page.Total, at)
		}
		return found
	}
	for query, expected := range map[string][]string{
		"":                {"blog.example.com", "shop.example.com", "żółw.example"},
		"sort=-host":      {"żółw.example", "shop.example.com", "blog.example.com"},
		"sort=created_at": {"żółw.example", "shop.example.com", "blog.example.com"},
		"q=ZOLW":          {"żółw.example"},
		"q=w-uga":         {"żółw.example"},
		"q=origin-7":      {"shop.example.com"},
		"q=example.com":   {"blog.example.com", "shop.example.com"},
		"host=" + url.QueryEscape("ŻÓŁW.example."): {"żółw.example"},
		"host=nothing.example":                     nil,
		"scheme=http":                              {"żółw.example"},
		"ssl_expires_before=2027-06-01T00:00:00Z":  {"żółw.example"},
		"tls_protocol=TLSv1.3":                     {"shop.example.com"},
		"customer_id=" + other.String():            {"blog.example.com"},
		"customer_id=" + uuid.NewString():          nil,
	} {
		require.Equal(t, expected, hosts(admin, "/v1/domains?include_total=true&"+query), query)
	}
	requireFaults(t, admin.Must(t, 400, "GET", "/v1/domains?host=http://x", nil), "host invalid_format")
	require.Equal(t, []string{"shop.example.com", "żółw.example"}, hosts(admin, "/v1/customers/"+mine.String()+"/domains"))
	require.Equal(t, []string{"shop.example.com"}, hosts(admin, "/v1/customers/"+mine.String()+"/domains?q=shop"))
	admin.Must(t, 404, "GET", "/v1/customers/"+uuid.NewString()+"/domains", nil)
	require.Equal(t, []string{"shop.example.com", "żółw.example"}, hosts(me, "/v1/portal/domains?include_total=true"))
	require.Empty(t, hosts(me, "/v1/portal/domains?q=blog"))
	requireFaults(t, me.Must(t, 400, "GET", "/v1/portal/domains?customer_id="+other.String(), nil), "customer_id unknown_parameter")

	plan := admin.Must(t, 428, "DELETE", "/v1/customers/"+mine.String(), nil).Problem(t)
	require.EqualValues(t, 2, plan.DeletionPlan.Counts.Domains)
	admin.Must(t, 204, "DELETE", "/v1/customers/"+mine.String()+"?confirm="+*plan.ConfirmationToken, nil)
	require.Equal(t, []string{"blog.example.com"}, hosts(admin, "/v1/domains"))
}
