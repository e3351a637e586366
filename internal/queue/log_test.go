package queue_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/queue"
)

func TestWhatRiverSays(t *testing.T) {
	t.Parallel()
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		written := &output{}
		log := queue.Quiet(slog.New(slog.NewTextHandler(written, &slog.HandlerOptions{Level: level}))).With("of", "river")
		require.Equal(t, level == slog.LevelDebug, log.Enabled(context.Background(), slog.LevelInfo))
		started := time.Now()
		say := func(after time.Duration, level slog.Level, message string) {
			record := slog.NewRecord(started.Add(after), level, message, 0)
			if log.Enabled(context.Background(), level) {
				require.NoError(t, log.Handler().Handle(context.Background(), record))
			}
		}
		say(0, slog.LevelInfo, "started")
		say(0, slog.LevelError, "away")
		for second := range 59 {
			say(time.Duration(second)*time.Second, slog.LevelError, "away")
		}
		say(30*time.Second, slog.LevelWarn, "slow")
		say(61*time.Second, slog.LevelError, "away")
		text := written.String()
		require.Equal(t, 2, strings.Count(text, `level=ERROR msg=away of=river`), text)
		require.Equal(t, 1, strings.Count(text, `level=WARN msg=slow`), text)
		require.NotContains(t, text, "level=INFO")
		require.Equal(t, level == slog.LevelDebug, strings.Contains(text, "level=DEBUG msg=started"), text)
		require.Equal(t, level == slog.LevelDebug, strings.Contains(text, "level=DEBUG msg=away"), text)
	}
}
