package contract_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

func TestPromisesAreKept(t *testing.T) {
	t.Parallel()
	found := without(broken(draftOf(t, released).T, draftOf(t, "../../openapi.yaml").T), putRight...)
	if len(found) > 0 {
		require.Fail(t, "docs/compatibility.md promises otherwise:\n"+strings.Join(found, "\n"))
	}
}

// putRight is what the released contract should have had, as the changes tell. It goes from here with the next release.
var putRight = []string{
	"ApiClientScope: is an open set now", // a new kind of resource has scopes of its own
	// Every refusal is a problem.
	"GET /v1/jobs/{job_id}/files/{kind}, 416: the type text/plain is gone",
	"GET /v1/portal/jobs/{job_id}/files/{kind}, 416: the type text/plain is gone",
	"GET /v1/terms/current/document, 416: the type text/plain is gone",
	"GET /v1/terms/{terms_id}/document, 416: the type text/plain is gone",
}

const released = "../../docs/released/openapi.yaml"

// A comparison that finds nothing is worth nothing: here is one change of the released contract for each thing that has to
// be found.
func TestPromisesThatAreBrokenAreFound(t *testing.T) {
	t.Parallel()
	was, is := draftOf(t, released), draftOf(t, released)
	var expected []string
	for _, c := range []struct {
		found  string
		change func()
	}{
		{"CustomerStatus: the value lost is new, and the set is closed", func() { is.value("CustomerStatus", "lost") }},
		{"JobStatus: the value lost is new, and the set is closed", func() { is.value("JobStatus", "lost") }},
		{"WebhookDeliveryState: the value lost is new, and the set is closed", func() { is.value("WebhookDeliveryState", "lost") }},
		{"BackupPublishingAccess.via: the value lost is new, and the set is closed", func() {
			via := is.member("BackupPublishingAccess", "via")
			via.Enum = append(via.Enum, "lost")
		}},
		{"StaffRole: is an open set now", func() { is.schema("StaffRole").Description += " New ones may\nappear." }},
		{"IdentityStatus: may have any value now", func() { is.schema("IdentityStatus").Enum = nil }},
		{"BackupVersion: takes certain values alone now", func() { is.schema("BackupVersion").Enum = []any{1.0} }},
		{"IdentityRole: the value manager is gone", func() { is.schema("IdentityRole").Enum = []any{"member"} }},
		{"OperationKind: the value customer_import is gone", func() { is.schema("OperationKind").Enum = is.schema("OperationKind").Enum[1:] }},

		{"Event.position: was integer int64 and is integer int32", func() { is.member("Event", "position").Format = "int32" }},
		{"Event.id: was string uuid and is string", func() { is.member("Event", "id").Format = "" }},
		{"Event.type: may be null now", func() {
			is.schema("Event").Properties["type"] = &openapi3.SchemaRef{Value: &openapi3.Schema{
				Type: &openapi3.Types{"string"}, Enum: was.schema("EventType").Enum, Description: "New ones may appear.", Nullable: true,
			}}
		}},
		{"Event.at: may be missing now", func() { is.schema("Event").Required = without(is.schema("Event").Required, "at") }},
		{"EventData.after: is never #/components/schemas/EventNote any more", func() {
			after := is.member("EventData", "after")
			after.AnyOf = slices.DeleteFunc(after.AnyOf, func(s *openapi3.SchemaRef) bool { return strings.HasSuffix(s.Ref, "/EventNote") })
		}},
		{"NoteCreate.text: maxLength is narrower", func() { *is.member("NoteCreate", "text").MaxLength = 9999 }},
		{"NoteCreate.colour: may not be left out any more", func() { is.add("NoteCreate", "colour", true) }},
		{"Properties: x-max-bytes is narrower", func() { is.schema("Properties").Extensions["x-max-bytes"] = 65535.0 }},
		{"Properties: takes no other members any more", func() { *is.schema("Properties").AdditionalProperties.Has = false }},
		{"Name: may not be null any more", func() { was.schema("Name").Nullable = true }},
		{"CustomerCreateIdentity: asks for the scope staff:write", func() {
			is.schema("CustomerCreateIdentity").Extensions["x-scopes"] = []any{"identities:write", "staff:write"}
		}},

		{"BackupNote: is gone", func() { delete(is.Components.Schemas, "BackupNote") }},
		{"BackupJob.description: is gone", func() { delete(is.schema("BackupJob").Properties, "description") }},
		{"BackupJob.due_at: was string date-time and is string", func() { is.member("BackupJob", "due_at").Format = "" }},
		{"BackupJob.copies: maximum is narrower", func() { *is.member("BackupJob", "copies").Max = 999 }},
		{"BackupJob.files: may be null now", func() { is.member("BackupJob", "files").Nullable = true }},
		{"BackupJob.status: may be missing now", func() { is.schema("BackupJob").Required = without(is.schema("BackupJob").Required, "status") }},
		{"BackupJob.colour: may not be left out any more", func() { is.add("BackupJob", "colour", true) }},

		{"GET /healthz: is gone", func() { is.Paths.Delete("/healthz") }},
		{"POST /v1/customers: the status 409 is gone", func() { is.operation("customerCreate").Responses.Delete("409") }},
		{"GET /v1/terms/current/document, 200: the type text/html is gone", func() {
			delete(is.operation("termsCurrentDocumentGet").Responses.Value("200").Value.Content, "text/html")
		}},
		{"POST /v1/customers: the status of success 200 is new", func() {
			responses := is.operation("customerCreate").Responses
			responses.Set("200", responses.Value("201"))
		}},
		{"GET /v1/me: is for managers alone now", func() { is.say("meGet", "x-portal-role", "manager") }},
		{"GET /v1/me: asks for the terms now", func() { delete(is.operation("meGet").Extensions, "x-before-terms") }},
		{"DELETE /v1/customers/{customer_id}: x-sunset-at is earlier now: it was 2028-02-01T00:00:00Z and is 2026-12-01T00:00:00Z", func() {
			was.ends("customerDelete", "2025-01-31T00:00:00Z", "2028-02-01T00:00:00Z")
			is.ends("customerDelete", "2025-01-31T00:00:00Z", "2026-12-01T00:00:00Z")
		}},
		{"GET /v1/customers/{customer_id}: x-deprecated-at is earlier now: it was 2027-01-31T00:00:00Z and is 2026-01-31T00:00:00Z", func() {
			was.ends("customerGet", "2027-01-31T00:00:00Z", "2028-02-01T00:00:00Z")
			is.ends("customerGet", "2026-01-31T00:00:00Z", "2028-02-01T00:00:00Z")
		}},
	} {
		c.change()
		expected = append(expected, c.found)
	}
	slices.Sort(expected)
	require.Equal(t, expected, broken(was.T, is.T))
}

// What may come at any time must not be found.
func TestPromisesLeaveRoomForWhatMayCome(t *testing.T) {
	t.Parallel()
	was, is := draftOf(t, released), draftOf(t, released)

	is.value("EventType", "gadget.created")
	is.value("OperationKind", "gadget_import")
	is.value("Locale", "de")
	is.Components.Schemas["EventGadget"] = openapi3.NewObjectSchema().NewRef()
	after := is.member("EventData", "after")
	after.AnyOf = append(after.AnyOf, openapi3.NewSchemaRef("#/components/schemas/EventGadget", is.schema("EventGadget")))
	list := is.operation("customerList")
	sort := list.Parameters.GetByInAndName("query", "sort").Schema.Value
	sort.Enum = append(sort.Enum, "email")
	list.Parameters = append(list.Parameters, &openapi3.ParameterRef{Value: openapi3.NewQueryParameter("colour").WithSchema(openapi3.NewStringSchema())})

	is.add("Note", "colour", true)
	is.add("NoteCreate", "colour", false)
	is.add("BackupNote", "colour", false)
	*is.member("NoteCreate", "text").MaxLength = 20000
	is.schema("Properties").Extensions["x-max-depth"] = 9.0
	is.schema("NoteCreate").Required = nil
	is.operation("noteCreate").Responses.Set("423", is.operation("noteCreate").Responses.Value("409"))
	delete(is.operation("managedCustomerList").Extensions, "x-portal-role")
	is.say("noteList", "x-before-terms", true)

	is.ends("noteCreate", "2027-01-31T00:00:00Z", "2028-02-01T00:00:00Z")
	was.ends("noteDelete", "2027-01-31T00:00:00Z", "2028-02-01T00:00:00Z")
	was.ends("noteList", "2027-01-31T00:00:00Z", "2028-02-01T00:00:00Z")
	is.ends("noteList", "2027-01-31T00:00:00Z", "2028-02-01T00:00:01Z")

	require.Empty(t, broken(was.T, is.T))
}

// draft is a contract that is being changed.
type draft struct{ *openapi3.T }

func draftOf(t *testing.T, file string) draft {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	require.NoError(t, err)
	return draft{doc}
}

func (d draft) schema(name string) *openapi3.Schema { return d.Components.Schemas[name].Value }

func (d draft) member(schema, name string) *openapi3.Schema {
	return d.schema(schema).Properties[name].Value
}

func (d draft) value(schema, value string) {
	d.schema(schema).Enum = append(d.schema(schema).Enum, value)
}

func (d draft) add(schema, member string, required bool) {
	d.schema(schema).Properties[member] = openapi3.NewStringSchema().NewRef()
	if required {
		d.schema(schema).Required = append(d.schema(schema).Required, member)
	}
}

func (d draft) operation(id string) *openapi3.Operation {
	for _, item := range d.Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.OperationID == id {
				return operation
			}
		}
	}
	return nil
}

func (d draft) say(operation, extension string, value any) {
	o := d.operation(operation)
	if o.Extensions == nil {
		o.Extensions = map[string]any{}
	}
	o.Extensions[extension] = value
}

func (d draft) ends(operation, at, sunset string) {
	d.operation(operation).Deprecated = true
	d.say(operation, "x-deprecated-at", at)
	d.say(operation, "x-sunset-at", sunset)
}

func without(all []string, these ...string) []string {
	return slices.DeleteFunc(all, func(one string) bool { return slices.Contains(these, one) })
}
