package api_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/contract"
)

// What an operation asks of a caller, beside the name of a scope.
const (
	anybody     = "anybody"
	anyCaller   = "any caller"
	anyStaff    = "any staff"
	anyIdentity = "any identity"
	anyManager  = "any manager"
)

// permissions says who may call what. It is written by hand, as are the roles below: read from the contract or from the
// program it could not disagree with them.
var permissions = map[string]string{
	"authorizationServerMetadataGet": anybody,
	"healthGet":                      anybody,
	"jwksGet":                        anybody,
	"readinessGet":                   anybody,
	"tokenCreate":                    anybody,
	"activationPreview":              anybody,
	"activationCreate":               anybody,
	"passwordResetCreate":            anybody,
	"passwordResetComplete":          anybody,
	"termsCurrentGet":                anybody,
	"termsCurrentDocumentGet":        anybody,
	"tokenRevoke":                    anybody,

	"meGet":            anyCaller,
	"mePasswordUpdate": anyStaff,

	"portalProfileGet":     anyIdentity,
	"portalProfileUpdate":  anyIdentity,
	"portalPasswordUpdate": anyIdentity,
	"portalSessionList":    anyIdentity,
	"portalSessionDelete":  anyIdentity,

	"portalTermsAcceptanceList":   anyIdentity,
	"portalTermsAcceptanceCreate": anyIdentity,

	"portalPublishingList":       anyIdentity,
	"portalPublishingCreate":     anyIdentity,
	"portalPublishingGet":        anyIdentity,
	"portalPublishingUpdate":     anyIdentity,
	"portalPublishingDelete":     anyIdentity,
	"portalPublishingAccessList": anyIdentity,

	"customerPublishingList": "publishings:read",
	"customerPublishingGet":  "publishings:read",

	"portalDomainList":   anyIdentity,
	"portalDomainExport": anyIdentity,

	"managedCustomerList":            anyManager,
	"managedCustomerCreate":          anyManager,
	"managedCustomerGet":             anyManager,
	"managedCustomerUpdate":          anyManager,
	"managedActivationRequestCreate": anyManager,
	"managedDomainExport":            anyManager,

	"domainExport":         "domains:read",
	"customerDomainExport": "domains:read",
	"domainList":           "domains:read",
	"customerDomainList":   "domains:read",
	"domainGet":            "domains:read",
	"domainCreate":         "domains:write",
	"domainUpdate":         "domains:write",
	"domainDelete":         "domains:write",

	"jobList":         "jobs:read",
	"customerJobList": "jobs:read",
	"jobGet":          "jobs:read",
	"jobFileGet":      "jobs:read",
	"jobCreate":       "jobs:write",
	"jobUpdate":       "jobs:write",
	"jobDelete":       "jobs:write",
	"jobStatusUpdate": "jobs:write",
	"jobFilePut":      "jobs:write",
	"jobFileDelete":   "jobs:write",

	"portalJobList":    anyIdentity,
	"portalJobCreate":  anyIdentity,
	"portalJobGet":     anyIdentity,
	"portalJobUpdate":  anyIdentity,
	"portalJobDelete":  anyIdentity,
	"portalJobFilePut": anyIdentity,
	"portalJobFileGet": anyIdentity,

	"termsList":                   "terms:read",
	"termsGet":                    "terms:read",
	"termsDocumentGet":            "terms:read",
	"customerTermsAcceptanceList": "terms:read",
	"termsCreate":                 "terms:write",

	"customerList":            "customers:read",
	"customerGet":             "customers:read",
	"customerExport":          "customers:read",
	"noteList":                "customers:read",
	"customerCreate":          "customers:write",
	"customerUpdate":          "customers:write",
	"customerDelete":          "customers:write",
	"customerDeletionPlanGet": "customers:write",
	"noteCreate":              "customers:write",
	"noteDelete":              "customers:write",

	"customerActivate":   "customers:write",
	"customerDeactivate": "customers:write",

	"identityList":           "identities:read",
	"customerIdentityList":   "identities:read",
	"identityGet":            "identities:read",
	"identityCreate":         "identities:write",
	"identityUpdate":         "identities:write",
	"identityDelete":         "identities:write",
	"identityDeleteAll":      "identities:write",
	"identityPasswordUpdate": "identities:write",

	"activationRequestList":     "identities:read",
	"activationRequestGet":      "identities:write",
	"activationRequestCreate":   "identities:write",
	"activationRequestUpdate":   "identities:write",
	"activationRequestDelete":   "identities:write",
	"activationRequestSend":     "identities:write",
	"activationRequestMarkSent": "identities:write",

	"customerBackupGet":  "backups:read",
	"customerBackupList": "backups:read",
	"backupRestore":      "backups:write",
	"portalBackupGet":    anyIdentity,

	"customerEventList": "events:read",
	"eventList":         "events:read",

	"customerImport":     "customers:write",
	"customerBulkDelete": "customers:write",
	"domainImport":       "domains:write",

	"operationList":           "customers:write domains:write", // one of them is enough
	"operationGet":            "customers:write domains:write",
	"operationCancel":         "customers:write domains:write",
	"operationRefusedRowList": "customers:write domains:write",

	"apiClientList":               "api-clients:read",
	"apiClientGet":                "api-clients:read",
	"apiClientCreate":             "api-clients:write",
	"apiClientUpdate":             "api-clients:write",
	"apiClientRotateSecret":       "api-clients:write",
	"apiClientDelete":             "api-clients:write",
	"webhookEndpointList":         "webhooks:read",
	"webhookEndpointGet":          "webhooks:read",
	"webhookDeliveryList":         "webhooks:read",
	"webhookDeliveryGet":          "webhooks:read",
	"webhookEndpointCreate":       "webhooks:write",
	"webhookEndpointUpdate":       "webhooks:write",
	"webhookEndpointDelete":       "webhooks:write",
	"webhookEndpointTest":         "webhooks:write",
	"webhookEndpointRotateSecret": "webhooks:write",
	"webhookDeliveryRedeliver":    "webhooks:write",

	"staffList":   "staff:read",
	"staffGet":    "staff:read",
	"staffCreate": "staff:write",
	"staffUpdate": "staff:write",
	"staffDelete": "staff:write",
}

var viewerScopes = []string{
	"customers:read", "identities:read", "jobs:read", "domains:read", "publishings:read", "terms:read", "events:read",
	"webhooks:read",
}

var operatorScopes = append([]string{
	"customers:write", "identities:write", "jobs:write", "domains:write", "backups:read",
}, viewerScopes...)

var administratorScopes = append([]string{
	"terms:write", "backups:write", "webhooks:write", "staff:read", "staff:write", "api-clients:read", "api-clients:write",
}, operatorScopes...)

// peopleScopes are those that no program can have.
var peopleScopes = []string{
	"terms:write", "backups:write", "staff:read", "staff:write", "api-clients:read", "api-clients:write",
}

// clientScopes are those that a program can have.
var clientScopes = slices.DeleteFunc(slices.Clone(administratorScopes), func(scope string) bool {
	return slices.Contains(peopleScopes, scope)
})

// limitedScopes are those that a program can have which is limited to a customer.
var limitedScopes = slices.DeleteFunc(slices.Clone(clientScopes), func(scope string) bool {
	return strings.HasPrefix(scope, "webhooks:")
})

// knock is somebody at the door: a token, and what it opens.
type knock struct {
	name   string
	token  string
	kind   string // staff when empty
	scopes []string
	member bool // of a customer's people, and no manager
	// refusal is the code of the 401 that every operation answers that is not for anybody; "" for a good token.
	refusal string
}

// answer is how an operation that asks for the permission answers: the code of the refusal, "" when it lets the caller in.
func (k knock) answer(permission string) string {
	if permission == anyManager {
		if refusal := k.answer(anyIdentity); refusal != "" || !k.member {
			return refusal
		}
		return "manager_required"
	}
	switch {
	case permission == anybody:
		return ""
	case k.refusal != "":
		return k.refusal
	case k.kind == access.KindAPIClient && permission == anyCaller:
		return ""
	case k.kind == access.KindAPIClient && (!strings.Contains(permission, ":") || slices.Contains(peopleScopes, permission)):
		return "wrong_kind_of_caller"
	case k.kind == access.KindAPIClient:
	case k.kind != "" && k.kind != access.KindIdentity:
		return "wrong_kind_of_caller"
	case permission == anyIdentity && k.kind == "", permission != anyIdentity && permission != anyCaller && k.kind != "":
		return "wrong_kind_of_caller"
	case permission == anyStaff, permission == anyCaller && k.kind == "":
		return ""
	case permission == anyIdentity, permission == anyCaller:
		permission = "portal"
	}
	for alternative := range strings.FieldsSeq(permission) {
		if slices.Contains(k.scopes, alternative) {
			return ""
		}
	}
	return "insufficient_scope"
}

func knocks(t *testing.T, s *apitest.Server) []knock {
	t.Helper()
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	client := admin.APIClient(t, apitest.Fields{"scopes": limitedScopes, "customer_id": customer.Id})
	issue := func(kind string, scopes ...string) string {
		principal := &access.Principal{Kind: kind, ID: admin.ID, Name: "Test", SessionID: uuid.Must(uuid.NewV7()), Epoch: 1}
		if kind == access.KindAPIClient {
			principal.ID = client.ID
		}
		for _, scope := range scopes {
			principal.Scopes = append(principal.Scopes, access.Scope(scope))
		}
		return s.Token(t, principal)
	}
	expired := issue(access.KindStaff, administratorScopes...)
	s.Clock.Advance(10*time.Minute + time.Second)
	all := []knock{
		{name: "nobody", refusal: "token_missing"},
		{name: "expired", token: expired, refusal: "invalid_token"},
		{name: "garbage", token: "garbage", refusal: "invalid_token"},
		{name: "garbled", token: issue(access.KindStaff, administratorScopes...) + "x", refusal: "invalid_token"},
		{name: "another kind", kind: "robot", token: issue("robot", administratorScopes...), scopes: administratorScopes},
		{name: "identity without a scope", kind: access.KindIdentity, token: issue(access.KindIdentity)},
		{name: "identity with scopes of staff", kind: access.KindIdentity, token: issue(access.KindIdentity, administratorScopes...),
			scopes: administratorScopes},
		{name: "portal member", kind: access.KindIdentity, token: portalUser(t, s, "member").Token, scopes: []string{"portal"}, member: true},
		{name: "portal manager", kind: access.KindIdentity, token: portalUser(t, s, "manager").Token, scopes: []string{"portal"}},
		{name: "staff with the portal's scope", token: issue(access.KindStaff, "portal"), scopes: []string{"portal"}},
		{name: "viewer", token: signIn(t, s, s.Staff(t, access.Viewer).Email).AccessToken, scopes: viewerScopes},
		{name: "operator", token: signIn(t, s, s.Staff(t, access.Operator).Email).AccessToken, scopes: operatorScopes},
		{name: "administrator", token: signIn(t, s, admin.Email).AccessToken, scopes: administratorScopes},
		{name: "no scope", token: issue(access.KindStaff)},
		{name: "client without a scope", kind: access.KindAPIClient, token: issue(access.KindAPIClient)},
		{name: "client with all scopes there are", kind: access.KindAPIClient,
			token: issue(access.KindAPIClient, administratorScopes...), scopes: administratorScopes},
		{name: "limited client", kind: access.KindAPIClient, token: client.Granted(t, "").AccessToken, scopes: limitedScopes},
	}
	for _, scope := range clientScopes {
		all = append(all, knock{name: "client:" + scope, kind: access.KindAPIClient, token: issue(access.KindAPIClient, scope), scopes: []string{scope}})
	}
	for _, scope := range administratorScopes {
		all = append(all, knock{name: scope + " alone", token: issue(access.KindStaff, scope), scopes: []string{scope}})
	}
	return all
}

func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	callers := knocks(t, s)
	seen := map[string]bool{}
	for _, operation := range apitest.Contract().Operations() {
		seen[operation.ID] = true
		permission, known := permissions[operation.ID]
		require.True(t, known, "the table does not say who may call %s", operation.ID)
		t.Run(operation.ID, func(t *testing.T) {
			t.Parallel()
			for _, caller := range callers {
				checkDoor(t, s, operation, permission, caller)
			}
		})
	}
	for id := range permissions {
		require.True(t, seen[id], "the contract has no %s", id)
	}
}

func checkDoor(t *testing.T, s *apitest.Server, operation *contract.Operation, permission string, caller knock) {
	t.Helper()
	response := harmless(t, s, operation, caller.token)
	challenge := response.Header.Get("WWW-Authenticate")
	what := operation.ID + " by " + caller.name + ": " + string(response.Body)
	refusal := caller.answer(permission)
	switch refusal {
	case "":
		require.NotContains(t, []int{401, 403}, response.Status, what)
		require.Less(t, response.Status, 500, what)
	case "insufficient_scope":
		scope := strings.NewReplacer(anyIdentity, "portal", anyManager, "portal", anyCaller, "portal").Replace(permission)
		require.Equal(t, 403, response.Status, what)
		problem := response.Problem(t)
		require.Equal(t, refusal, problem.Code, what)
		require.Equal(t, strings.Fields(scope), *problem.RequiredScopes, what)
		for alternative := range strings.FieldsSeq(scope) {
			require.Contains(t, problem.Detail, alternative)
		}
		require.Equal(t, `Bearer realm="clientele", error="insufficient_scope", scope="`+scope+`"`, challenge, what)
	case "wrong_kind_of_caller", "manager_required":
		require.Equal(t, 403, response.Status, what)
		require.Equal(t, refusal, response.Problem(t).Code, what)
		require.NotContains(t, challenge, "scope", "no scope would help: "+what)
		require.Equal(t, refusal == "wrong_kind_of_caller", challenge == `Bearer realm="clientele"`, what)
	default:
		require.Equal(t, 401, response.Status, what)
		require.Equal(t, refusal, response.Problem(t).Code, what)
		expected := `Bearer realm="clientele"` // RFC 6750: without a token there is no error to name
		if refusal != "token_missing" {
			expected += `, error="invalid_token"`
		}
		require.Equal(t, expected, challenge, what)
	}
}

var pathStep = regexp.MustCompile(`\{[^}]+\}`)

// harmless calls an operation so that it changes nothing even when it lets the caller in: on resources that are not
// there, with bodies that lack everything.
func harmless(t *testing.T, s *apitest.Server, operation *contract.Operation, token string) *apitest.Response {
	t.Helper()
	path := pathStep.ReplaceAllStringFunc(operation.Path, func(string) string { return uuid.NewString() })
	caller := s.Anonymous()
	caller.Token = token
	var body any
	var with []apitest.With
	if len(operation.MediaTypes) > 0 {
		body, with = "", append(with, apitest.Header("Content-Type", operation.MediaTypes[0]))
		if operation.TakesJSON() {
			body, with = "{}", nil
		}
		if slices.Contains(operation.MediaTypes, formType) {
			body = "client_id=staff" // a client that is known, and nothing of what it wants
		}
	}
	return caller.Do(t, operation.Method, path, body, with...)
}

func TestWhatIsOpenToAnybody(t *testing.T) {
	t.Parallel()
	var open []string
	for _, operation := range apitest.Contract().Operations() {
		if len(operation.Requirements) == 0 {
			open = append(open, operation.ID)
		}
	}
	require.ElementsMatch(t, []string{
		"tokenCreate", "tokenRevoke", "activationPreview", "activationCreate", "passwordResetCreate", "passwordResetComplete",
		"termsCurrentGet", "termsCurrentDocumentGet",
		"authorizationServerMetadataGet", "jwksGet", "healthGet", "readinessGet",
	}, open)
}

func TestScopesOfTheContract(t *testing.T) {
	t.Parallel()
	known := map[string][]string{
		access.KindStaff: administratorScopes, access.KindIdentity: {"portal"}, access.KindAPIClient: clientScopes,
	}
	for scheme, scopes := range known {
		flows := document().Components.SecuritySchemes[scheme].Value.Flows
		offered := flows.Password
		if offered == nil {
			offered = flows.ClientCredentials
		}
		require.ElementsMatch(t, scopes, slices.Collect(maps.Keys(offered.Scopes)))
	}
	for _, operation := range apitest.Contract().Operations() {
		for _, requirement := range operation.Requirements {
			for _, scope := range requirement.Scopes {
				require.Contains(t, known[requirement.Scheme], string(scope), operation.ID)
			}
		}
	}
}

func TestTokenIsTakenFromTheHeaderAlone(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	token := s.Staff(t, access.Viewer).Token
	for name, test := range map[string]struct {
		header, query string
		status        int
	}{
		"as RFC 6750 has it":         {header: "Bearer " + token, status: 200},
		"scheme in another case":     {header: "bEARER " + token, status: 200},
		"without a scheme":           {header: token, status: 401},
		"another scheme":             {header: "Token " + token, status: 401},
		"Basic with the token":       {header: "Basic " + token, status: 401},
		"scheme alone":               {header: "Bearer", status: 401},
		"scheme and space":           {header: "Bearer ", status: 401},
		"in the query":               {query: "?access_token=" + token, status: 401},
		"bytes that are not ASCII":   {header: "Bearer \xff\xfe" + token, status: 401},
		"two tokens in one header":   {header: "Bearer " + token + ", Bearer " + token, status: 401},
		"a token of half a megabyte": {header: "Bearer " + strings.Repeat("a", 500_000), status: 401},
		"dots and dashes":            {header: "Bearer ..-..", status: 401},
	} {
		response := s.Anonymous().Do(t, "GET", "/v1/me"+test.query, nil, func(r *http.Request) {
			if test.header != "" {
				r.Header.Set("Authorization", test.header)
			}
		})
		require.Equal(t, test.status, response.Status, name)
	}
}
