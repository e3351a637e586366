package throttle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// purpose is what the keyring's key for the hashes is derived for.
const purpose = "throttle"

// key is what a rule counts the subject under. Quoting keeps apart what would be the same when put side by side.
func (g *Guard) key(r rule, of subject) []byte {
	var realm, login, network string
	if r.login {
		realm, login = string(of.realm), of.login
	}
	if r.address {
		network = of.network
	}
	return g.keyring.Sign(purpose, fmt.Appendf(nil, "%q %q %q %q", r.name, realm, login, network))
}

func (g *Guard) knownKey(of subject) []byte {
	return g.key(rule{name: "known address", login: true, address: true}, of)
}

// counted is what counting came to: since when each rule that applies lets a try through, by the key.
type counted struct {
	at     time.Time
	keys   map[string][]byte // by the rule's name
	freeAt map[string]time.Time
}

// wait is how long a rule lets nothing through, 0 when it does.
func (c counted) wait(r rule) time.Duration {
	freeAt, applies := c.freeAt[string(c.keys[r.name])]
	if !applies {
		return 0
	}
	return max(0, freeAt.Sub(c.at))
}

func (c counted) longestWait(rules []rule) (longest time.Duration) {
	for _, rule := range rules {
		longest = max(longest, c.wait(rule))
	}
	return longest
}

// count counts a try under all rules or, when one of them lets nothing through yet, under none. It takes one round trip
// and one transaction, which ends before the answer is here: whatever follows holds no lock.
func (g *Guard) count(ctx context.Context, rules []rule, of subject) (counted, error) {
	now := g.db.Now()
	result := counted{at: now, keys: map[string][]byte{}, freeAt: map[string]time.Time{}}
	params := db.AttemptCountRaiseParams{
		Now: now, ForgottenBefore: now.Add(-memory), WrongAfter: now.Add(memory), KnownKey: g.knownKey(of),
	}
	for _, rule := range rules {
		key := g.key(rule, of)
		result.keys[rule.name] = key
		params.Keys = append(params.Keys, key)
		params.Frees = append(params.Frees, int32(rule.free))
		params.KnownFrees = append(params.KnownFrees, int32(cmp.Or(rule.knownFree, rule.free)))
		params.FirstSeconds = append(params.FirstSeconds, int32(rule.first/time.Second))
		params.LongestSeconds = append(params.LongestSeconds, int32(rule.longest/time.Second))
		params.ExceptKnowns = append(params.ExceptKnowns, rule.exceptKnown)
	}
	var rows []db.AttemptCountRaiseRow
	err := g.atOnce(ctx, func(pipeline *pipeline) (err error) {
		if err = db.New().AttemptCountLock(ctx, pipeline, now, params.Keys); err == nil {
			rows, err = db.New().AttemptCountRaise(ctx, pipeline, params)
		}
		return err
	})
	if err != nil {
		return counted{}, err
	}
	for _, row := range rows {
		result.freeAt[string(row.Key)] = row.FreeAt
	}
	return result, nil
}

// atOnce runs statements in one round trip and one transaction, planned to find rows by their keys. At most the last of
// them may be a query.
func (g *Guard) atOnce(ctx context.Context, do func(pipeline *pipeline) error) error {
	pipeline := &pipeline{pool: g.db}
	err := db.New().AttemptCountPlan(ctx, pipeline)
	if err == nil {
		err = do(pipeline)
	}
	if closeErr := pipeline.close(ctx); err == nil {
		err = closeErr
	}
	return postgres.Translate(err)
}

// pipeline sends the statements that are executed on it together, with the query that follows or when it is closed.
// PostgreSQL makes one transaction of them, in which each sees what the one before it has waited for.
type pipeline struct {
	pool    *postgres.DB
	batch   pgx.Batch
	results pgx.BatchResults
}

// Exec puts off a statement. Its error shows later.
func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// Query sends all.
func (p *pipeline) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := p.send(ctx, sql, args); err != nil {
		return nil, err
	}
	return p.results.Query()
}

// QueryRow sends all, too.
func (p *pipeline) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	_ = p.send(ctx, sql, args) // the row has the error as well
	return p.results.QueryRow()
}

// CopyFrom is refused: rows that are copied cannot be sent together with statements.
func (p *pipeline) CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error) {
	return 0, errors.ErrUnsupported
}

func (p *pipeline) send(ctx context.Context, sql string, args []any) error {
	before := p.batch.Len()
	p.batch.Queue(sql, args...)
	p.results = p.pool.SendBatch(ctx, &p.batch)
	for range before {
		if _, err := p.results.Exec(); err != nil {
			return err
		}
	}
	return nil
}

// close sends what was not sent and gives the connection back. Only without an error is the transaction committed.
func (p *pipeline) close(ctx context.Context) error {
	if p.results == nil {
		p.results = p.pool.SendBatch(ctx, &p.batch)
	}
	return p.results.Close()
}
