package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
)

const (
	fewPublishings  = 10
	manyPublishings = 1_000_000
	manyAuthors     = 100
)

// library is a table of publishings: each of the authors has equally many, written in turns. The same size gives the same
// rows.
type library struct {
	size    int
	authors []author
}

// author is a login, and somebody who signed in with it.
type author struct {
	customerID, id uuid.UUID
	token          string
}

const authorName, writtenTitle = "Katarzyna Lindstad", "Opening hours in December"

// newLibrary makes authors for as many customers.
func newLibrary(size int) library {
	l := library{size: size}
	for i := range min(manyAuthors, max(1, size/1000)) {
		customers := dataset{size: someCustomers}
		l.authors = append(l.authors, author{customerID: customers.id(i * 97), id: customers.id(i*97 + 1)})
	}
	return l
}

func (l library) createdAt(i int) time.Time {
	return time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(i) * 30 * time.Second)
}

func (l library) id(i int) uuid.UUID {
	random := rand.New(rand.NewPCG(uint64(i), 11))
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(l.createdAt(i).UnixMilli())<<16|random.Uint64()&0x0fff|0x7000)
	binary.BigEndian.PutUint64(id[8:], random.Uint64()>>2|1<<63)
	return id
}

func (l library) title(i int) string {
	random := rand.New(rand.NewPCG(uint64(i), 12))
	return pick(random, surnames) + pick(random, surnameEnds) + ": " + pick(random, trades) + " in " + pick(random, cities)
}

func (l library) content(i int) []byte {
	return fmt.Appendf(nil, `{"ticket":"T-%07d","room":"%s","closes_at":%d,"text":"%s"}`,
		i, pick(rand.New(rand.NewPCG(uint64(i), 13)), cities), i%24, bytes.Repeat([]byte("All of it, please. "), 12))
}

var publishingColumns = []string{
	"id", "customer_id", "identity_id", "kind", "title", "content", "state", "visibility", "size_bytes", "created_at",
	"updated_at", "title_key", "marks",
}

// fill makes customers, authors and what they have written.
func (l library) fill(b testing.TB, database *postgres.DB) {
	b.Helper()
	dataset{size: someCustomers}.fill(b, database)
	copyInto(b, database, "identities", []string{
		"id", "customer_id", "name", "email", "role", "created_at", "updated_at", "name_key", "email_key", "search_text",
	}, len(l.authors), func(i int) []any {
		one, email := l.authors[i], fmt.Sprintf("author-%d@example.com", i)
		return []any{
			one.id, one.customerID, authorName, email, "member", l.createdAt(0), l.createdAt(0), "", email, "",
		}
	})
	copyInto(b, database, "publishings", publishingColumns, l.size, func(i int) []any {
		one, title, content := l.authors[i%len(l.authors)], l.title(i), l.content(i)
		return []any{
			l.id(i), one.customerID, one.id, "post", title, string(content), "draft", "private", len(content), l.createdAt(i),
			l.createdAt(i), textfold.Key(title), publishingMarks(one.customerID, content),
		}
	})
}

// publishingMarks makes the marks of a flat content as package publishings does; checkMarks makes sure that it is so.
func publishingMarks(customerID uuid.UUID, content []byte) []int64 {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(content, &members); err != nil {
		panic(err)
	}
	marks := make([]int64, 0, len(members))
	for name, value := range members {
		form := "n" + string(value)
		if value[0] == '"' {
			form = "s" + string(value[1:len(value)-1])
		}
		hash := sha256.Sum256(slices.Concat(customerID[:], []byte(name+"\x00"+form)))
		marks = append(marks, int64(binary.BigEndian.Uint64(hash[:])))
	}
	slices.Sort(marks)
	return marks
}

// signIn issues a token for each author.
func (l library) signIn(b testing.TB, p *product) {
	b.Helper()
	for i := range l.authors {
		token, err := p.authority.Issue(context.Background(), &access.Principal{
			Kind: access.KindIdentity, ID: l.authors[i].id, Name: authorName, CustomerID: l.authors[i].customerID,
			SessionID: uuid.Must(uuid.NewV7()), Epoch: 1, Scopes: []access.Scope{access.Portal},
		}, "portal")
		must(b, err)
		l.authors[i].token = token
	}
}

// BenchmarkPublishings lets people read, list and write what they have written, beside a reference that checks no token
// and guards nothing, where few publishings are and, with -million, where very many are.
func BenchmarkPublishings(b *testing.B) {
	sizes := []int{fewPublishings}
	if *million {
		sizes = append(sizes, manyPublishings)
	}
	for _, size := range sizes {
		l := newLibrary(size)
		productURL, referenceURL := durablePair(b, func(database *postgres.DB) { l.fill(b, database) })
		product := newProduct(b, productURL, nil)
		l.signIn(b, product)
		reference := newPublishingReference(b, referenceURL, l)
		b.Run(fmt.Sprintf("read/%d", size), func(b *testing.B) { l.read(b, product, reference) })
		b.Run(fmt.Sprintf("list/%d", size), func(b *testing.B) { l.list(b, product, reference) })
		b.Run(fmt.Sprintf("find/%d", size), func(b *testing.B) { l.find(b, product) })
		b.Run(fmt.Sprintf("create/%d", size), func(b *testing.B) { l.create(b, product, reference) })
	}
}

const publishingsPath = "/v1/portal/publishings"

func (l library) read(b *testing.B, product *product, reference string) {
	load := func(random *rand.Rand, buffer []byte) []byte {
		i := random.IntN(l.size)
		return request(buffer, http.MethodGet, publishingsPath+"/"+l.id(i).String(), l.authors[i%len(l.authors)].token, nil)
	}
	target := publishingsPath + "/" + l.id(l.size-1).String()
	samePublishings(b, product.addr, reference, target, l.authors[(l.size-1)%len(l.authors)].token)
	compare(b, newSide(b, "product", product.addr, http.StatusOK, load),
		newSide(b, "reference", reference, http.StatusOK, load))
}

func (l library) list(b *testing.B, product *product, reference string) {
	const target = publishingsPath + "?limit=20"
	load := func(random *rand.Rand, buffer []byte) []byte {
		return request(buffer, http.MethodGet, target, pick(random, l.authors).token, nil)
	}
	samePublishings(b, product.addr, reference, target, l.authors[0].token)
	compare(b, newSide(b, "product", product.addr, http.StatusOK, load),
		newSide(b, "reference", reference, http.StatusOK, load))
}

func (l library) create(b *testing.B, product *product, reference string) {
	body := []byte(`{"kind":"request","title":"` + writtenTitle + `","content":` + string(l.content(l.size)) + `}`)
	load := func(random *rand.Rand, buffer []byte) []byte {
		return request(buffer, http.MethodPost, publishingsPath, pick(random, l.authors).token, body)
	}
	l.checkMarks(b, product, body)
	productSide := newSide(b, "product", product.addr, http.StatusCreated, load)
	productSide.rest = func() { product.settled(b) }
	compare(b, productSide, newSide(b, "reference", reference, http.StatusCreated, load))
}

// find measures how long it takes to find one publishing by its content and by its title.
func (l library) find(b *testing.B, product *product) {
	client, random := dial(b, product.addr), rand.New(rand.NewPCG(1, 2))
	var byContent, byTitle []float64
	ask := func() {
		i := random.IntN(l.size)
		one := l.authors[i%len(l.authors)]
		timed := func(query string) float64 {
			started := time.Now()
			answer := client.get(b, publishingsPath+"?limit=20&"+query, one.token)
			took := float64(time.Since(started).Nanoseconds()) / 1000
			require.Contains(b, string(answer), l.id(i).String())
			return took
		}
		byContent = append(byContent, timed(fmt.Sprintf("content[ticket]=T-%07d", i)))
		byTitle = append(byTitle, timed("q="+url.QueryEscape(l.title(i))))
	}
	for range 10 {
		ask()
	}
	byContent, byTitle = nil, nil
	for b.Loop() {
		ask()
	}
	for len(byContent) < minSamples {
		ask()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(byContent), "µs-by-content")
	b.ReportMetric(median(byTitle), "µs-by-title")
}

// checkMarks fails the benchmark when the rows here are not marked as the product's are.
func (l library) checkMarks(b testing.TB, p *product, body []byte) {
	b.Helper()
	must(b, dial(b, p.addr).expect(http.StatusCreated, request(nil, http.MethodPost, publishingsPath, l.authors[0].token, body)))
	var made []int64
	must(b, p.db.QueryRow(context.Background(), `SELECT marks FROM publishings WHERE identity_id = $1
		ORDER BY created_at DESC LIMIT 1`, l.authors[0].id).Scan(&made))
	require.Equal(b, publishingMarks(l.authors[0].customerID, l.content(l.size)), made)
}

// samePublishings makes sure that product and reference do the same: that they answer with the same publishings.
func samePublishings(b testing.TB, product, reference, target, token string) {
	b.Helper()
	read := func(addr string) any {
		body := map[string]any{}
		must(b, json.Unmarshal(dial(b, addr).get(b, target, token), &body))
		if page, ok := body["data"]; ok {
			require.NotEmpty(b, page)
			return page
		}
		return body
	}
	require.Equal(b, read(product), read(reference))
}

// publishing is one as the API shows it.
type publishing struct {
	ID    uuid.UUID `json:"id"`
	Owner struct {
		ID   uuid.UUID `json:"id"`
		Name string    `json:"name"`
	} `json:"owner"`
	Kind       string          `json:"kind"`
	Title      string          `json:"title"`
	Content    json.RawMessage `json:"content"`
	State      string          `json:"state"`
	Visibility string          `json:"visibility"`
	TemplateID *uuid.UUID      `json:"template_id"`
	Version    int64           `json:"version"`
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

func (p *publishing) scan(row pgx.Row) error {
	err := row.Scan(&p.ID, &p.Owner.ID, &p.Owner.Name, &p.Kind, &p.Title, &p.Content, &p.State, &p.Visibility, &p.TemplateID,
		&p.Version, &p.CreatedAt, &p.UpdatedAt)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return err
}

const (
	publishingGetSQL = `SELECT p.id, p.identity_id, i.name, p.kind, p.title, p.content, p.state, p.visibility, p.template_id,
			p.version, p.created_at, p.updated_at
		FROM publishings p JOIN identities i ON i.id = p.identity_id
		WHERE p.id = $1 AND p.customer_id = $2 AND (p.identity_id = $3 OR p.visibility = 'customer')`
	publishingListSQL = `SELECT id, identity_id, (SELECT name FROM identities i WHERE i.id = p.identity_id), kind, title, content,
			state, visibility, template_id, version, created_at, updated_at
		FROM publishings p WHERE identity_id = $1 ORDER BY created_at DESC, id DESC LIMIT 21`
	publishingInsertSQL = `INSERT INTO publishings (id, customer_id, identity_id, kind, title, content, state, visibility,
			size_bytes, created_at, updated_at, title_key, marks)
		SELECT $1, i.customer_id, i.id, $4, $5, $6, 'draft', 'private', $7, $8, $8, $9, $10
		FROM identities i WHERE i.id = $2 AND i.customer_id = $3
		RETURNING (SELECT name FROM identities WHERE id = $2)`
)

// publishingReference is the reference for publishings. Who asks, it looks up by the token, unchecked.
type publishingReference struct {
	pool    *pgxpool.Pool
	authors map[string]author
}

func newPublishingReference(b testing.TB, databaseURL string, l library) (addr string) {
	b.Helper()
	pool, err := pgxpool.New(context.Background(), poolURL(b, databaseURL))
	must(b, err)
	b.Cleanup(pool.Close)
	_, err = pool.Exec(context.Background(), "ALTER TABLE publishings DISABLE TRIGGER publishings_guard")
	must(b, err)
	r := publishingReference{pool: pool, authors: map[string]author{}}
	for _, one := range l.authors {
		r.authors["Bearer "+one.token] = one
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+publishingsPath+"/{publishing_id}", r.get)
	mux.HandleFunc("GET "+publishingsPath, r.list)
	mux.HandleFunc("POST "+publishingsPath, r.create)
	return serve(b, mux)
}

func (r publishingReference) get(w http.ResponseWriter, request *http.Request) {
	one := r.authors[request.Header.Get("Authorization")]
	id, err := uuid.Parse(request.PathValue("publishing_id"))
	if err != nil {
		fail(w, err)
		return
	}
	var found publishing
	if err := found.scan(r.pool.QueryRow(request.Context(), publishingGetSQL, id, one.customerID, one.id)); err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, found)
}

func (r publishingReference) list(w http.ResponseWriter, request *http.Request) {
	rows, err := r.pool.Query(request.Context(), publishingListSQL, r.authors[request.Header.Get("Authorization")].id)
	if err != nil {
		fail(w, err)
		return
	}
	defer rows.Close()
	page := struct {
		Data       []publishing `json:"data"`
		NextCursor *string      `json:"next_cursor"`
	}{Data: make([]publishing, 0, 21)}
	for rows.Next() {
		var one publishing
		if err := one.scan(rows); err != nil {
			fail(w, err)
			return
		}
		page.Data = append(page.Data, one)
	}
	if err := rows.Err(); err != nil {
		fail(w, err)
		return
	}
	if len(page.Data) == 21 {
		page.Data = page.Data[:20]
		cursor := page.Data[19].ID.String()
		page.NextCursor = &cursor
	}
	answer(w, http.StatusOK, page)
}

func (r publishingReference) create(w http.ResponseWriter, request *http.Request) {
	one := r.authors[request.Header.Get("Authorization")]
	var made publishing
	if err := json.NewDecoder(request.Body).Decode(&made); err != nil {
		fail(w, err)
		return
	}
	ctx, now := request.Context(), time.Now().UTC().Truncate(time.Microsecond)
	made.ID, made.Owner.ID, made.State, made.Visibility, made.Version = uuid.Must(uuid.NewV7()), one.id, "draft", "private", 1
	made.CreatedAt, made.UpdatedAt = now, now
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, publishingInsertSQL, made.ID, one.id, one.customerID, made.Kind, made.Title, made.Content,
			len(made.Content), now, textfold.Key(made.Title),
			publishingMarks(one.customerID, made.Content)).Scan(&made.Owner.Name)
		if err != nil {
			return err
		}
		data := fmt.Appendf(nil, `{"before":null,"after":{"id":%q,"customer_id":%q,"identity_id":%q,"kind":%q,"state":"draft",`+
			`"visibility":"private","template_id":null,"size_bytes":%d,"version":1,"created_at":%q,"updated_at":%q}}`,
			made.ID, one.customerID, one.id, made.Kind, len(made.Content), now.Format(time.RFC3339Nano), now.Format(time.RFC3339Nano))
		_, err = tx.Exec(ctx, eventSQL, uuid.Must(uuid.NewV7()), "publishing.created", "publishing", made.ID, 1, one.customerID,
			"identity", one.id, authorName, uuid.NewString(), now, json.RawMessage(data))
		return err
	})
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusCreated, made)
}
