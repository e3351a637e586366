package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/postgres/embedded"
)

const someCustomers = 10_000

var discard = slog.New(slog.DiscardHandler)

// BenchmarkGet reads single customers, any of them.
func BenchmarkGet(b *testing.B) {
	product, reference := onOneDatabase(b)
	token, set := product.token(b), dataset{size: someCustomers}
	targets := make([]string, set.size)
	for i := range targets {
		targets[i] = "/v1/customers/" + set.id(i).String()
	}
	sameAnswers(b, product.addr, reference, targets[4711], token)
	load := func(random *rand.Rand, buffer []byte) []byte {
		return request(buffer, http.MethodGet, pick(random, targets), token, nil)
	}
	compare(b, newSide(b, "product", product.addr, http.StatusOK, load),
		newSide(b, "reference", reference, http.StatusOK, load))
}

// BenchmarkList reads the first page of twenty customers, the newest first.
func BenchmarkList(b *testing.B) {
	product, reference := onOneDatabase(b)
	token := product.token(b)
	const target = "/v1/customers?limit=20"
	sameAnswers(b, product.addr, reference, target, token)
	load := func(_ *rand.Rand, buffer []byte) []byte {
		return request(buffer, http.MethodGet, target, token, nil)
	}
	compare(b, newSide(b, "product", product.addr, http.StatusOK, load),
		newSide(b, "reference", reference, http.StatusOK, load))
}

// BenchmarkCreate makes customers, each with its event, and waits for the disk. Product and reference have a database of
// their own each, on one server: the product's sequencer would give the reference's events their places, too.
func BenchmarkCreate(b *testing.B) {
	productURL, referenceURL := durableDatabases(b)
	product, reference := newProduct(b, productURL, nil), newReference(b, referenceURL)
	token := product.token(b)
	body := []byte(`{"name":"Katarzyna Lindstad","email":"katarzyna.lindstad@solar-wald.example","phone":"+48 22 5550123",` +
		`"company":"Lindstad Solar AB","address":"Lindenallee 4, 00-950 Warszawa","comments":"Met in Leeds.",` +
		`"external_id":"0123456789abcdef","properties":{"tier":"gold","score":4711,"manager":"Ines Wittgen"}}`)
	number := bytes.Index(body, []byte("0123456789abcdef"))
	load := func(random *rand.Rand, buffer []byte) []byte {
		buffer = request(buffer, http.MethodPost, "/v1/customers", token, body)
		start := len(buffer) - len(body) + number
		copy(buffer[start:], fmt.Sprintf("%016x", random.Uint64()))
		return buffer
	}
	productSide := newSide(b, "product", product.addr, http.StatusCreated, load)
	productSide.rest = func() { product.settled(b) }
	compare(b, productSide, newSide(b, "reference", reference, http.StatusCreated, load))
}

// onOneDatabase serves product and reference over one database of some customers.
func onOneDatabase(b *testing.B) (*product, string) {
	b.Helper()
	url := dbtest.URL(b)
	product := newProduct(b, url, nil)
	checkFold(b, product)
	dataset{size: someCustomers}.fill(b, product.db)
	return product, newReference(b, url)
}

// durableDatabases makes a server that does wait for the disk, with two equal databases of some customers.
func durableDatabases(b *testing.B) (string, string) {
	b.Helper()
	return durablePair(b, func(database *postgres.DB) { dataset{size: someCustomers}.fill(b, database) })
}

// durablePair makes a server that does wait for the disk, with two equal databases that are filled.
func durablePair(b *testing.B, fill func(*postgres.DB)) (string, string) {
	b.Helper()
	ctx := context.Background()
	options := embedded.Options{DataDir: filepath.Join(b.TempDir(), "data")}
	server, err := embedded.Start(ctx, options)
	must(b, err)
	b.Cleanup(func() {
		must(b, server.Stop(ctx))
		must(b, embedded.Remove(ctx, options))
	})
	must(b, postgres.MigrateUp(ctx, server.URL(), discard))
	first := openDB(b, server.URL(), nil)
	fill(first)
	first.Close() // a database in use is not copied

	second := strings.Replace(server.URL(), "/"+embedded.DatabaseName+"?", "/reference?", 1)
	admin, err := pgx.Connect(ctx, strings.Replace(server.URL(), "/"+embedded.DatabaseName+"?", "/postgres?", 1))
	must(b, err)
	_, err = admin.Exec(ctx, "CREATE DATABASE reference TEMPLATE "+embedded.DatabaseName)
	must(b, err)
	must(b, admin.Close(ctx))
	return server.URL(), second
}

// sameAnswers makes sure that product and reference do the same: that they answer with the same customers.
func sameAnswers(b testing.TB, product, reference, target, token string) {
	b.Helper()
	read := func(addr string) any {
		body := map[string]any{}
		must(b, json.Unmarshal(dial(b, addr).get(b, target, token), &body))
		if page, ok := body["data"]; ok {
			require.Len(b, page, 20)
			return page
		}
		return body
	}
	require.Equal(b, read(product), read(reference))
}
