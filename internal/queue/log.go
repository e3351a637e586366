package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quiet makes a log for River: what it calls information is for debugging, and what it warns of once a second while the
// database is away is worth a line a minute.
func quiet(log *slog.Logger) *slog.Logger {
	return slog.New(&quietHandler{Handler: log.Handler(), seen: &seen{last: map[string]time.Time{}}})
}

const repeatAfter = time.Minute

type quietHandler struct {
	slog.Handler
	seen *seen
}

// seen is when each message was last passed on. River's messages are constants, so there are not many.
type seen struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (h *quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, lowered(level))
}

func (h *quietHandler) Handle(ctx context.Context, record slog.Record) error {
	record.Level = lowered(record.Level)
	if record.Level >= slog.LevelWarn && h.seen.lately(record) {
		record.Level = slog.LevelDebug
	}
	if !h.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, record)
}

func (h *quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &quietHandler{Handler: h.Handler.WithAttrs(attrs), seen: h.seen}
}

func (h *quietHandler) WithGroup(name string) slog.Handler {
	return &quietHandler{Handler: h.Handler.WithGroup(name), seen: h.seen}
}

func lowered(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}

func (s *seen) lately(record slog.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, known := s.last[record.Message]; known && record.Time.Sub(last) < repeatAfter {
		return true
	}
	s.last[record.Message] = record.Time
	return false
}
