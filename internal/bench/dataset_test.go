package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
)

// dataset is a table of customers as it may look after three years: the rows lie in the order they were created in, and
// names, companies, numbers and properties are as varied as in life. The same size gives the same rows.
//
// Some rows are planted, at equal distances over the whole table, so that a query finds exactly 1, 50 or 1,000 of them
// whatever the size. It has to have 10,000 rows or more, in thousands.
type dataset struct{ size int }

// planted are the names and the managers of the planted rows, by how many there are.
var planted = []struct {
	count, offset    int
	surname, manager string
}{
	{1, 5000, "Vandermolen", "Ines Wittgen"},
	{50, 5, "Steinhögel", "Jonas Almeroth"},
	{1000, 3, "Castelbrook", "Rosa Quintanilla"},
}

const (
	treeOffset = 7 // of the thousand customers below the root
	rootIndex  = 9

	broadKey, broadValue = "segment", "retail" // 30 % of the rows
	// The oldest rows, half of one per cent, have a property to themselves, and so does the newest tenth: what the
	// statistics tell of how many rows match says nothing of where they lie.
	ageKey, oldValue, newValue = "source", "legacy-import", "shop"
)

func (d dataset) createdAt(i int) time.Time {
	const years = 3 * 365 * 24 * time.Hour
	first := time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC)
	return first.Add(years / time.Duration(d.size) * time.Duration(i)).Truncate(time.Microsecond)
}

// id gives the row's id, made of its time as the product makes them.
func (d dataset) id(i int) uuid.UUID {
	random := rand.New(rand.NewPCG(uint64(i), 7))
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(d.createdAt(i).UnixMilli())<<16|random.Uint64()&0x0fff|0x7000)
	binary.BigEndian.PutUint64(id[8:], random.Uint64()>>2|1<<63)
	return id
}

// parent gives the index of the row's parent: of those in the tree, ten below each; of the others, now and then the row
// before.
func (d dataset) parent(i int) (int, bool) {
	step := d.size / 1000
	switch {
	case i%step == treeOffset && i/step < 10:
		return rootIndex, true
	case i%step == treeOffset:
		return treeOffset + (i/step/10-1)*step, true
	case i%10 == 1:
		return i - 1, true
	}
	return 0, false
}

func (d dataset) customer(i int) customer {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	first, surname := pick(random, firstNames), pick(random, surnames)+pick(random, surnameEnds)
	manager := fmt.Sprintf("%s %s %d", pick(random, firstNames), pick(random, surnames), random.IntN(100))
	for _, p := range planted {
		if step := d.size / p.count; i%step == p.offset {
			surname, manager = p.surname, p.manager
		}
	}
	company := pick(random, surnames) + pick(random, surnameEnds) + " " + pick(random, trades) + " " + pick(random, legalForms)
	address := fmt.Sprintf("%s %d, %05d %s", pick(random, streets), 1+random.IntN(200), random.IntN(100_000), pick(random, cities))
	c := customer{
		ID: d.id(i), Name: first + " " + surname, Company: &company, Address: &address, Locale: pick(random, locales),
		Status: "unregistered", Version: 1 + int64(random.IntN(5)), CreatedAt: d.createdAt(i), Modules: []string{},
	}
	c.UpdatedAt = c.CreatedAt
	if c.Version > 1 {
		c.UpdatedAt = c.CreatedAt.Add(time.Duration(random.IntN(30*24*3600)) * time.Second)
	}
	if random.IntN(10) > 0 {
		email := strings.ReplaceAll(textfold.Key(first+"."+surname), " ", "") + fmt.Sprintf("%d@", random.IntN(1000)) +
			strings.ReplaceAll(textfold.Key(pick(random, surnames)+pick(random, trades)), " ", "-") + pick(random, domains)
		c.Email = &email
	}
	if random.IntN(5) > 0 {
		phone := fmt.Sprintf("+%d %d %d", 30+random.IntN(60), 10+random.IntN(990), 100_000+random.IntN(9_900_000))
		c.Phone = &phone
	}
	if random.IntN(2) == 0 {
		external := fmt.Sprintf("C-%07d", i)
		c.ExternalID = &external
	}
	if random.IntN(4) == 0 {
		comments := "Prefers to be called in the " + pick(random, []string{"morning", "afternoon", "evening"}) +
			"; last met in " + pick(random, cities) + "."
		c.Comments = &comments
	}
	for _, module := range modules {
		if random.IntN(len(modules)) == 0 {
			c.Modules = append(c.Modules, module)
		}
	}
	if parent, ok := d.parent(i); ok {
		id := d.id(parent)
		c.ParentID = &id
	}
	c.Properties = d.properties(i, random, manager)
	c.NameKey, c.EmailKey, c.SearchText = fold(c.Name, c.Email, c.Company, c.Phone, c.ExternalID)
	c.SearchGrams = grams(c.SearchText)
	return c
}

func (d dataset) properties(i int, random *rand.Rand, manager string) json.RawMessage {
	properties := map[string]any{
		"manager": manager, "tier": pick(random, []string{"gold", "silver", "silver", "bronze", "bronze", "bronze"}),
		"city": pick(random, cities), "score": random.IntN(1000), "newsletter": random.IntN(2) == 0,
		"crm_id": fmt.Sprintf("crm-%08x", random.Uint32()), ageKey: pick(random, []string{"web", "fair", "phone", "partner"}),
		broadKey: pick(random, []string{"industry", "public", "trade", "other"}),
	}
	if random.IntN(10) < 3 {
		properties[broadKey] = broadValue
	}
	switch {
	case i < d.size/200:
		properties[ageKey] = oldValue
	case i >= d.size-d.size/10:
		properties[ageKey] = newValue
	}
	if random.IntN(3) == 0 {
		properties["tags"] = []string{pick(random, cities), pick(random, trades)}
	}
	encoded, err := json.Marshal(properties)
	if err != nil {
		panic(err)
	}
	return encoded
}

// fold makes the folded copies as package customers does; checkFold makes sure that it is so.
func fold(name string, email, company, phone, externalID *string) (nameKey string, emailKey *string, searchText string) {
	nameKey = textfold.Key(name)
	searchText = " " + nameKey
	for _, field := range []*string{email, company, phone} {
		if field != nil {
			searchText += "\n " + textfold.Key(*field)
		}
	}
	if phone != nil {
		searchText += "\n " + strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, *phone)
	}
	if externalID != nil {
		searchText += "\n\t " + textfold.Key(*externalID)
	}
	if email != nil {
		key := textfold.CaseKey(*email)
		emailKey = &key
	}
	return nameKey, emailKey, searchText
}

// grams makes the hashes of a search text's grams as package customers does.
func grams(searchText string) []int32 {
	hashes := []int32{}
	for _, field := range strings.Split(searchText, "\n") {
		field = strings.TrimPrefix(field, " ")
		for i := 0; i+6 <= len(field); i++ {
			hash := fnv.New32a()
			_, _ = hash.Write([]byte(field[i : i+6]))
			hashes = append(hashes, int32(hash.Sum32()))
		}
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

var columns = []string{
	"id", "name", "email", "phone", "company", "address", "comments", "modules", "properties", "parent_id",
	"external_id", "locale", "status", "version", "created_at", "updated_at", "name_key", "email_key", "search_text",
	"search_grams",
}

// fill copies the customers into an empty table.
func (d dataset) fill(b testing.TB, database *postgres.DB) {
	b.Helper()
	copyInto(b, database, "customers", columns, d.size, func(i int) []any {
		c := d.customer(i)
		return []any{
			c.ID, c.Name, c.Email, c.Phone, c.Company, c.Address, c.Comments, c.Modules, c.Properties, c.ParentID,
			c.ExternalID, c.Locale, c.Status, c.Version, c.CreatedAt, c.UpdatedAt, c.NameKey, c.EmailKey, c.SearchText,
			c.SearchGrams,
		}
	})
}

// copyInto copies that many rows into an empty table. What is sorted or inverted is made afterwards, which takes a tenth
// of the time.
func copyInto(b testing.TB, database *postgres.DB, table string, columns []string, size int, row func(i int) []any) {
	b.Helper()
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, database.Config().ConnConfig) // without the limits of the pool's
	must(b, err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1
		AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass)`, table)
	must(b, err)
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Definition string }])
	must(b, err)
	execute := func(sql string) {
		_, err := conn.Exec(ctx, sql)
		must(b, err)
	}
	for _, index := range indexes {
		execute("DROP INDEX " + index.Name)
	}
	execute("SET session_replication_role = replica") // nothing guards the table, as nothing guards a restored one
	i := -1
	_, err = conn.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		if i++; i == size {
			return nil, nil
		}
		return row(i), nil
	}))
	must(b, err)
	execute("SET maintenance_work_mem = '512MB'")
	for _, index := range indexes {
		execute(index.Definition)
	}
	execute("VACUUM (ANALYZE) " + table)
}

// checkFold fails the benchmark when the rows here are not folded as the product's are.
func checkFold(b testing.TB, p *product) {
	b.Helper()
	name, text := "Żółć  Straße ŒUVRE", "Ünique+1 (23) ½"
	email := "Ünique+1@Example.com"
	body, err := json.Marshal(map[string]string{
		"name": name, "email": email, "company": text, "phone": text, "external_id": text,
	})
	must(b, err)
	must(b, dial(b, p.addr).expect(http.StatusCreated, request(nil, http.MethodPost, "/v1/customers", p.token(b), body)))
	var made [3]string
	var madeGrams []int32
	err = p.db.QueryRow(context.Background(), "DELETE FROM customers RETURNING name_key, email_key, search_text, search_grams").
		Scan(&made[0], &made[1], &made[2], &madeGrams)
	must(b, err)
	nameKey, emailKey, searchText := fold(name, &email, &text, &text, &text)
	if folded := [3]string{nameKey, *emailKey, searchText}; folded != made {
		b.Fatalf("the product folds customers in another way:\n%q\n%q", made, folded)
	}
	if expected := grams(made[2]); !slices.Equal(expected, madeGrams) {
		b.Fatalf("the product makes other grams:\n%v\n%v", madeGrams, expected)
	}
}

func pick[T any](random *rand.Rand, of []T) T { return of[random.IntN(len(of))] }

func words(text string) []string { return strings.Fields(text) }

var (
	firstNames = words(`Anna Émile Björn Carla Dušan Elif Farid Giulia Håkon Ines João Katarzyna Łukasz María Noor Oskar Petra
		Quentin René Sofía Tomáš Ursula Václav Wiktoria Xavier Yara Zoë Ahmed Beatriz Chen Dmitri Eoin Fatima Gábor Hana Igor
		Jana Kwame Liam Mei Nadia Olga Priya Rosa Sven Tariq Uma Viktor Wanda Yusuf Amelia Boris Claire Diego Elena Frank Greta
		Hugo Irene Jakob Klaus Lena Marco Nina Oliver Paula Ralf Sara Theo Valerie`)
	surnames = words(`Acker Alt Arnes Baum Berg Birken Black Blumen Braun Brück Buch Camp Cast Corb Dahl Dorn Eber Eich Falk
		Fass Feld Ferr Fisch Frei Garc Gold Grün Hagel Hart Heid Hirsch Hoch Holm Horn Jans Kalt Kern Kirch Klein Kohl König
		Kowal Kraus Lang Lind Löwen Lund Mar Meier Mühl Müll Neu Nord Novak Öster Ott Peter Popp Quast Rein Rich Ross Roth
		Sand Schar Schmid Schön Schwarz Silva Sommer Stein Sturm Süd Tann Thor Ulm Vogel Wald Weber Weiss West Win Wolf Zimmer`)
	surnameEnds = words(`a au bach bauer beck berg berger born brook brück burg dal dorf e eau eira er es ez feld ford gaard
		hagen haus heim hoff holm hurst i in ing inger insky ke land ler lund mann meister mer mond mont nik o os ova ovic
		qvist reich rup schmidt sen sky son stad stein ström sund thal ton tz ville wald wicz wood y`)
	trades = words(`Bau Catering Consulting Design Druck Elektro Foods Gartenbau Handel Hosting Import Institut Kliniken Labs
		Logistik Maschinen Media Metall Mode Optik Pharma Reisen Robotics Sanitär Software Solar Spedition Technik Textil
		Transport Verlag Versicherung Werbung Zahntechnik`)
	legalForms = words(`GmbH AG Ltd Inc S.A. S.L. SARL B.V. AB Oy KG e.V. a.s. Kft`)
	streets    = words(`Hauptstraße Bahnhofstraße Gartenweg Lindenallee Rue-Victor-Hugo Calle-Mayor Via-Roma Kungsgatan
		Marktplatz Schulstraße Bergstraße Dorfstraße`)
	cities = words(`Berlin Wien Zürich Genève München Hamburg Köln Lyon Paris Madrid Sevilla Lisboa Porto Roma Milano Torino
		Warszawa Kraków Praha Brno Budapest Göteborg Malmö Oslo København Helsinki Dublin London Leeds Antwerpen Utrecht`)
	domains = words(`.com .de .at .ch .fr .es .pt .it .pl .cz .hu .se .no .dk .fi .ie .co.uk .be .nl .example`)
	locales = words(`en de fr es pt it pl cs`)
	modules = words(`portal invoices reports tickets uploads calendar`)
)
