package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
)

// BenchmarkIdempotent makes customers, each by a request with a key of its own, in turns with the same without keys, on one
// server that waits for the disk.
func BenchmarkIdempotent(b *testing.B) {
	productURL, _ := durableDatabases(b)
	product := newProduct(b, productURL, nil)
	token := product.token(b)
	body := []byte(`{"name":"Katarzyna Lindstad","email":"katarzyna.lindstad@solar-wald.example","phone":"+48 22 5550123",` +
		`"company":"Lindstad Solar AB","address":"Lindenallee 4, 00-950 Warszawa","comments":"Met in Leeds.",` +
		`"external_id":"0123456789abcdef","properties":{"tier":"gold","score":4711,"manager":"Ines Wittgen"}}`)
	number := bytes.Index(body, []byte("0123456789abcdef"))
	create := func(headers string, random *rand.Rand, buffer []byte) []byte {
		buffer = request(buffer, http.MethodPost, "/v1/customers", token+headers, body)
		start := len(buffer) - len(body) + number
		copy(buffer[start:], fmt.Sprintf("%016x", random.Uint64()))
		return buffer
	}
	keyed := newSide(b, "keyed", product.addr, http.StatusCreated, func(random *rand.Rand, buffer []byte) []byte {
		key := fmt.Sprintf("\r\nIdempotency-Key: %016x%016x", random.Uint64(), random.Uint64())
		return create(key, random, buffer)
	})
	plain := newSide(b, "plain", product.addr, http.StatusCreated, func(random *rand.Rand, buffer []byte) []byte {
		return create("", random, buffer)
	})
	plain.seed = 1 << 32 // external ids are taken once
	for _, side := range []*side{keyed, plain} {
		side.rest = func() { product.settled(b) }
	}
	compare(b, keyed, plain)
}
