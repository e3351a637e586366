package throttle

import (
	"cmp"
	"context"
	"fmt"
	"time"

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
	err := g.atOnce(ctx, func(batch *postgres.Batch) (err error) {
		if err = db.New().AttemptCountLock(ctx, batch, now, params.Keys); err == nil {
			rows, err = db.New().AttemptCountRaise(ctx, batch, params)
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
func (g *Guard) atOnce(ctx context.Context, do func(batch *postgres.Batch) error) error {
	batch := postgres.NewBatch(g.db)
	err := db.New().AttemptCountPlan(ctx, batch)
	if err == nil {
		err = do(batch)
	}
	if closeErr := batch.Close(ctx); err == nil {
		err = closeErr
	}
	return postgres.Translate(err)
}
