package bench

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The reference is what nobody can be much faster than with this router, this driver and this database: net/http and a
// pool, the statements that the product sends, the same columns scanned, the same members encoded. It checks no token
// and no input, answers no error properly, and has no entity tags, cursors or links.

const (
	allColumns = `id, name, email, phone, company, address, comments, modules, properties, parent_id, external_id, locale,
		status, version, created_at, updated_at, name_key, email_key, search_text, search_grams, invited_at`
	listedColumns = `id, name, email, phone, company, address, comments, modules, properties, parent_id, external_id,
		locale, status, version, created_at, updated_at, name_key, invited_at`

	getSQL = `SELECT c.id, c.name, c.email, c.phone, c.company, c.address, c.comments, c.modules, c.properties,
			c.parent_id, c.external_id, c.locale, c.status, c.version, c.created_at, c.updated_at, c.name_key, c.email_key,
			c.search_text, c.search_grams, c.invited_at, customer_activity.last_activity_at, terms.version,
			terms_acceptances.accepted_at
		FROM customers c LEFT JOIN customer_activity ON customer_activity.customer_id = c.id
		LEFT JOIN terms_acceptances ON terms_acceptances.customer_id = c.id AND terms_acceptances.is_first
			AND terms_acceptances.terms_id = (SELECT newest.id FROM terms newest ORDER BY newest.version DESC LIMIT 1)
		LEFT JOIN terms ON terms.id = terms_acceptances.terms_id
		WHERE c.id = $1`
	listSQL = `SELECT ` + listedColumns + `,
			(SELECT last_activity_at FROM customer_activity WHERE customer_id = customers.id),
			(SELECT version FROM terms WHERE id = (SELECT terms_id` + accepted + `)), (SELECT accepted_at` + accepted + `)
		FROM customers ORDER BY created_at DESC, id DESC LIMIT 21`
	accepted = ` FROM terms_acceptances WHERE customer_id = customers.id AND is_first
			AND terms_id = (SELECT id FROM terms ORDER BY version DESC LIMIT 1)`
	insertSQL = `INSERT INTO customers (id, name, email, phone, company, address, comments, modules, properties, parent_id,
			external_id, locale, created_at, updated_at, name_key, email_key, search_text, search_grams)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, $15, $16, $17)
		RETURNING ` + allColumns
	eventSQL = `INSERT INTO events (id, type, resource_kind, resource_id, version, customer_id, actor_kind, actor_id,
			actor_name, request_id, at, data)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
)

// customer is one as the API shows it, and the columns that it does not show.
type customer struct {
	ID             uuid.UUID       `json:"id"`
	Name           string          `json:"name"`
	Email          *string         `json:"email"`
	Phone          *string         `json:"phone"`
	Company        *string         `json:"company"`
	Address        *string         `json:"address"`
	Comments       *string         `json:"comments"`
	Modules        []string        `json:"modules"`
	Properties     json.RawMessage `json:"properties"`
	ParentID       *uuid.UUID      `json:"parent_id"`
	ExternalID     *string         `json:"external_id"`
	Locale         string          `json:"locale"`
	Status         string          `json:"status"`
	InvitedAt      *time.Time      `json:"invited_at"`
	LastActivityAt *time.Time      `json:"last_activity_at"`
	Terms          *acceptance     `json:"terms"`
	AllowedActions []string        `json:"allowed_actions"`
	Version        int64           `json:"version"`
	CreatedAt      time.Time       `json:"created_at"`
	UpdatedAt      time.Time       `json:"updated_at"`
	NameKey        string          `json:"-"`
	EmailKey       *string         `json:"-"`
	SearchText     string          `json:"-"`
	SearchGrams    []int32         `json:"-"`
}

// acceptance is what a customer has accepted of the terms.
type acceptance struct {
	Version    int32     `json:"version"`
	AcceptedAt time.Time `json:"accepted_at"`
}

// acceptedTerms scans an acceptance that may be missing.
type acceptedTerms struct {
	version *int32
	at      *time.Time
}

func (a acceptedTerms) of(c *customer) {
	if a.version != nil {
		c.Terms = &acceptance{*a.version, a.at.UTC()}
	}
}

type customerPage struct {
	Data       []customer `json:"data"`
	NextCursor *string    `json:"next_cursor"`
}

var actions = []string{"send_activation_request", "backup", "delete"}

// newReference serves the reference over a database.
func newReference(b testing.TB, databaseURL string) (addr string) {
	b.Helper()
	pool, err := pgxpool.New(context.Background(), poolURL(b, databaseURL))
	must(b, err)
	b.Cleanup(pool.Close)
	r := reference{pool: pool, actor: uuid.Must(uuid.NewV7())}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/customers/{customer_id}", r.get)
	mux.HandleFunc("GET /v1/customers", r.list)
	mux.HandleFunc("POST /v1/customers", r.create)
	return serve(b, mux)
}

type reference struct {
	pool  *pgxpool.Pool
	actor uuid.UUID
}

func (r reference) get(w http.ResponseWriter, request *http.Request) {
	id, err := uuid.Parse(request.PathValue("customer_id"))
	if err != nil {
		fail(w, err)
		return
	}
	found := customer{AllowedActions: actions}
	var terms acceptedTerms
	row := r.pool.QueryRow(request.Context(), getSQL, id)
	if err := scanAll(row, &found, &found.LastActivityAt, &terms.version, &terms.at); err != nil {
		fail(w, err)
		return
	}
	terms.of(&found)
	answer(w, http.StatusOK, found)
}

func (r reference) list(w http.ResponseWriter, request *http.Request) {
	rows, err := r.pool.Query(request.Context(), listSQL)
	if err != nil {
		fail(w, err)
		return
	}
	defer rows.Close()
	page := customerPage{Data: make([]customer, 0, 21)}
	for rows.Next() {
		c := customer{AllowedActions: actions}
		var terms acceptedTerms
		if err := rows.Scan(&c.ID, &c.Name, &c.Email, &c.Phone, &c.Company, &c.Address, &c.Comments, &c.Modules,
			&c.Properties, &c.ParentID, &c.ExternalID, &c.Locale, &c.Status, &c.Version, &c.CreatedAt, &c.UpdatedAt,
			&c.NameKey, &c.InvitedAt, &c.LastActivityAt, &terms.version, &terms.at); err != nil {
			fail(w, err)
			return
		}
		terms.of(&c)
		c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
		page.Data = append(page.Data, c)
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

func (r reference) create(w http.ResponseWriter, request *http.Request) {
	var given customer
	if err := json.NewDecoder(request.Body).Decode(&given); err != nil {
		fail(w, err)
		return
	}
	created := customer{AllowedActions: actions}
	err := pgx.BeginFunc(request.Context(), r.pool, func(tx pgx.Tx) error {
		return r.insert(request.Context(), tx, given, &created)
	})
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusCreated, created)
}

func (r reference) insert(ctx context.Context, tx pgx.Tx, c customer, created *customer) error {
	now := time.Now().UTC()
	c.NameKey, c.EmailKey, c.SearchText = fold(c.Name, c.Email, c.Company, c.Phone, c.ExternalID)
	c.SearchGrams = grams(c.SearchText)
	c.Modules = []string{}
	err := scanAll(tx.QueryRow(ctx, insertSQL, uuid.Must(uuid.NewV7()), c.Name, c.Email, c.Phone, c.Company, c.Address,
		c.Comments, c.Modules, c.Properties, c.ParentID, c.ExternalID, "en", now, c.NameKey, c.EmailKey,
		c.SearchText, c.SearchGrams), created)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(created)
	if err != nil {
		return err
	}
	data := append(append([]byte(`{"before":null,"after":`), encoded...), '}')
	_, err = tx.Exec(ctx, eventSQL, uuid.Must(uuid.NewV7()), "customer.created", "customer", created.ID, created.Version,
		created.ID, "staff", r.actor, "Grace Hopper", uuid.NewString(), now, json.RawMessage(data))
	return err
}

func scanAll(row pgx.Row, c *customer, more ...any) error {
	err := row.Scan(append([]any{&c.ID, &c.Name, &c.Email, &c.Phone, &c.Company, &c.Address, &c.Comments, &c.Modules, &c.Properties,
		&c.ParentID, &c.ExternalID, &c.Locale, &c.Status, &c.Version, &c.CreatedAt, &c.UpdatedAt, &c.NameKey, &c.EmailKey,
		&c.SearchText, &c.SearchGrams, &c.InvitedAt}, more...)...)
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return err
}

// answer writes a body as the product does, whole.
func answer(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(encoded)))
	w.WriteHeader(status)
	_, _ = w.Write(encoded)
}

func fail(w http.ResponseWriter, err error) {
	slog.Error("the reference failed", "error", err)
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
