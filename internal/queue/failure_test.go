package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/queue"
)

// TestFailures: a job that fails is tried again and then discarded. The log tells why; the row tells no more than a code
// or a type.
func TestFailures(t *testing.T) {
	t.Parallel()
	const secret = "ada@example.com"
	taken := &pgconn.PgError{
		Code: "23505", ConstraintName: "staff_email_key", Message: "duplicate key " + secret, Detail: "Key (email)=(" + secret + ")",
	}
	known := &fault.Error{Kind: fault.Conflict, Code: "email_taken", Detail: secret + " is taken", Cause: taken}
	for how, test := range map[string]struct {
		work     func(context.Context) error
		state    string
		recorded []string
	}{
		"text": {
			func(context.Context) error { return fmt.Errorf("mailing: %w", errors.New(secret)) },
			"discarded", []string{"*errors.errorString", "*errors.errorString"},
		},
		"fault": {
			func(context.Context) error { return fmt.Errorf("changing %s: %w", secret, known) },
			"discarded", []string{"email_taken", "email_taken"},
		},
		"database": {
			func(context.Context) error { return fmt.Errorf("writing %s: %w", secret, taken) },
			"discarded", []string{"PostgreSQL 23505 staff_email_key", "PostgreSQL 23505 staff_email_key"},
		},
		"several": {
			func(context.Context) error { return errors.Join(known, fmt.Errorf("a: %w", taken)) },
			"discarded", []string{"email_taken, PostgreSQL 23505 staff_email_key", "email_taken, PostgreSQL 23505 staff_email_key"},
		},
		"panic": {
			func(context.Context) error { panic("not " + secret) },
			"discarded", []string{"panic: string", "panic: string"},
		},
		"slow": {
			func(ctx context.Context) error {
				ctx, stop := context.WithTimeout(ctx, time.Millisecond)
				defer stop()
				<-ctx.Done()
				return fmt.Errorf("asking %s: %w", secret, ctx.Err())
			},
			"discarded", []string{"context deadline exceeded", "context deadline exceeded"},
		},
		"given up": {
			func(context.Context) error { return river.JobCancel(fmt.Errorf("no %s: %w", secret, known)) },
			"cancelled", []string{"JobCancelError: email_taken"},
		},
		"put off": {
			func(context.Context) error {
				return fmt.Errorf("not %s yet: %w", secret, river.JobSnooze(time.Hour))
			},
			"scheduled", nil,
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			url := dbtest.URL(t)
			database := open(t, url)
			log := &output{}
			q := newQueue(t, log)
			queue.AddWorker(q, river.WorkFunc(func(ctx context.Context, _ *river.Job[failArgs]) error { return test.work(ctx) }))
			run(t, q, url)
			enqueue(t, database, q, failArgs{How: how})
			eventually(t, func() bool { return count(t, database, "state::text = $1", test.state) == 1 }, how)
			var row string
			var recorded []string
			require.NoError(t, database.QueryRow(t.Context(), `SELECT to_jsonb(job)::text,
				ARRAY(SELECT failed->>'error' FROM unnest(errors) WITH ORDINALITY AS e (failed, place) ORDER BY place)
				FROM river_job job`).Scan(&row, &recorded))
			require.NotContains(t, row, secret)
			require.NotContains(t, row, "goroutine")
			require.Equal(t, test.recorded, append([]string(nil), recorded...))
			if test.recorded == nil {
				return
			}
			told := 0
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "job_id=1 kind=fail") && strings.Contains(line, secret) {
					told++
				}
			}
			require.Equal(t, len(test.recorded), told, log.String())
			require.Equal(t, test.state == "discarded", strings.Contains(log.String(), "level=ERROR"), log.String())
		})
	}
}
