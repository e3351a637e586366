package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/dbtest"
)

// someLogins is how many people read their profiles. Each has a token of its own, and signing one takes a millisecond.
const someLogins = 500

// BenchmarkPortal reads profiles as the people of the customers, beside the same customers as staff, on one server.
func BenchmarkPortal(b *testing.B) {
	product := newProduct(b, dbtest.URL(b), nil)
	set := dataset{size: someCustomers}
	set.fill(b, product.db)
	staff := product.token(b)
	const profile = "/v1/portal/profile"
	people, targets := make([]string, someLogins), make([]string, someLogins)
	admin := dial(b, product.addr)
	for i := range people {
		id := set.id(i * set.size / someLogins)
		targets[i] = "/v1/customers/" + id.String()
		people[i] = product.person(b, admin, staff, targets[i], id)
	}
	product.settled(b)
	_, err := product.db.Exec(context.Background(), "VACUUM (ANALYZE) customers, identities")
	must(b, err)

	var customer struct{ Name string }
	var own struct{ Customer struct{ Name string } }
	must(b, json.Unmarshal(admin.get(b, targets[47], staff), &customer))
	must(b, json.Unmarshal(admin.get(b, profile, people[47]), &own))
	require.NotEmpty(b, own.Customer.Name)
	require.Equal(b, customer.Name, own.Customer.Name)

	byPeople := func(random *rand.Rand, buffer []byte) []byte {
		return request(buffer, http.MethodGet, profile, pick(random, people), nil)
	}
	byStaff := func(random *rand.Rand, buffer []byte) []byte {
		return request(buffer, http.MethodGet, pick(random, targets), staff, nil)
	}
	compare(b, newSide(b, "portal", product.addr, http.StatusOK, byPeople),
		newSide(b, "staff", product.addr, http.StatusOK, byStaff))
}

// person gives a customer a login, over the API, and issues a token for it.
func (p *product) person(b testing.TB, admin *connection, staff, customer string, customerID uuid.UUID) string {
	b.Helper()
	body := fmt.Appendf(nil, `{"name":"Katarzyna Lindstad","email":"%s@lindstad.example"}`, customerID)
	must(b, admin.expect(http.StatusCreated, request(nil, http.MethodPost, customer+"/identities", staff, body)))
	var login struct{ ID uuid.UUID }
	must(b, json.Unmarshal(admin.body, &login))
	token, err := p.authority.Issue(context.Background(), &access.Principal{
		Kind: access.KindIdentity, ID: login.ID, Name: "Katarzyna Lindstad", CustomerID: customerID,
		SessionID: uuid.Must(uuid.NewV7()), Epoch: 1, Scopes: []access.Scope{access.Portal},
	}, "portal")
	must(b, err)
	return token
}
