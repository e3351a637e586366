package apitest

import (
	"testing"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/openapi"
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

// Note makes a note about a customer over the API.
func (c *Caller) Note(t testing.TB, customerID uuid.UUID, text string) openapi.Note {
	t.Helper()
	var note openapi.Note
	c.Must(t, 201, "POST", "/v1/customers/"+customerID.String()+"/notes", Fields{"text": text}).JSON(t, &note)
	return note
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
