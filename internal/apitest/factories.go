package apitest

import (
	"net/url"
	"testing"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
)

// Fields are members of a body; a factory's own give way to them.
type Fields map[string]any

func (f Fields) over(fallback Fields) Fields {
	for name, value := range f {
		fallback[name] = value
	}
	return fallback
}

// Customer makes a customer over the API.
func (c *Caller) Customer(t testing.TB, fields Fields) openapi.Customer {
	t.Helper()
	var customer openapi.Customer
	body := fields.over(Fields{"name": "Customer " + uuid.NewString()})
	c.Must(t, 201, "POST", "/v1/customers", body).JSON(t, &customer)
	return customer
}

// ActiveCustomer makes a customer together with a login that signs in with Password.
func (c *Caller) ActiveCustomer(t testing.TB, fields Fields) openapi.Customer {
	t.Helper()
	login := Fields{"email": uuid.NewString() + "@example.com", "password": Password}
	return c.Customer(t, fields.over(Fields{"identity": login}))
}

// Identity makes a login of a customer over the API, without a password.
func (c *Caller) Identity(t testing.TB, customerID uuid.UUID, fields Fields) openapi.Identity {
	t.Helper()
	var identity openapi.Identity
	body := fields.over(Fields{"name": "Antonio Moreno", "email": uuid.NewString() + "@example.com"})
	c.Must(t, 201, "POST", "/v1/customers/"+customerID.String()+"/identities", body).JSON(t, &identity)
	return identity
}

// Identities gives the logins of a customer, the oldest first.
func (c *Caller) Identities(t testing.TB, customerID uuid.UUID) []openapi.ListedIdentity {
	t.Helper()
	var page openapi.IdentityPage
	c.Must(t, 200, "GET", "/v1/customers/"+customerID.String()+"/identities", nil).JSON(t, &page)
	return page.Data
}

// Domain makes a domain of a customer over the API.
func (c *Caller) Domain(t testing.TB, customerID uuid.UUID, fields Fields) openapi.Domain {
	t.Helper()
	var domain openapi.Domain
	body := fields.over(Fields{"host": uuid.NewString() + ".example.com"})
	c.Must(t, 201, "POST", "/v1/customers/"+customerID.String()+"/domains", body).JSON(t, &domain)
	return domain
}

// Job submits a job for a customer over the API; for nobody in particular it is the caller's own customer.
func (c *Caller) Job(t testing.TB, customerID uuid.UUID, fields Fields) openapi.Job {
	t.Helper()
	path := "/v1/customers/" + customerID.String() + "/jobs"
	if customerID == uuid.Nil {
		path = "/v1/portal/jobs"
	}
	var job openapi.Job
	c.Must(t, 201, "POST", path, fields.over(Fields{"name": "Job " + uuid.NewString()})).JSON(t, &job)
	return job
}

// Publishing makes a publishing of the caller's own over the API.
func (c *Caller) Publishing(t testing.TB, fields Fields) openapi.Publishing {
	t.Helper()
	var publishing openapi.Publishing
	body := fields.over(Fields{"kind": "post", "title": "Publishing " + uuid.NewString()})
	c.Must(t, 201, "POST", "/v1/portal/publishings", body).JSON(t, &publishing)
	return publishing
}

// Terms publishes terms.
func (c *Caller) Terms(t testing.TB, title string) openapi.Terms {
	t.Helper()
	var published openapi.Terms
	c.Must(t, 201, "POST", "/v1/terms?title="+url.QueryEscape(title), "# "+title+"\n",
		Header("Content-Type", "text/markdown")).JSON(t, &published)
	return published
}

// Note makes a note about a customer over the API.
func (c *Caller) Note(t testing.TB, customerID uuid.UUID, text string) openapi.Note {
	t.Helper()
	var note openapi.Note
	c.Must(t, 201, "POST", "/v1/customers/"+customerID.String()+"/notes", Fields{"text": text}).JSON(t, &note)
	return note
}

// APIClient makes an API client over the API, which may do all that one may where nothing else is said, and gives a caller
// with its token.
func (c *Caller) APIClient(t testing.TB, fields Fields) *Caller {
	t.Helper()
	scopes := []access.Scope{}
	for _, scope := range access.Scopes() {
		if access.ClientMayHold(scope, fields["customer_id"] != nil) {
			scopes = append(scopes, scope)
		}
	}
	var made openapi.ApiClientWithSecret
	body := fields.over(Fields{"name": "Client " + uuid.NewString(), "scopes": scopes})
	c.Must(t, 201, "POST", "/v1/api-clients", body).JSON(t, &made)
	client := c.server.Anonymous()
	client.ID, client.Secret = made.Id, made.ClientSecret
	client.Token = client.Granted(t, "").AccessToken
	return client
}

// StaffAccount makes a staff account over the API.
func (c *Caller) StaffAccount(t testing.TB, fields Fields) openapi.Staff {
	t.Helper()
	var account openapi.Staff
	body := fields.over(Fields{
		"name": "Grace Hopper", "email": uuid.NewString() + "@example.com", "role": "operator", "password": Password,
	})
	c.Must(t, 201, "POST", "/v1/staff", body).JSON(t, &account)
	return account
}
