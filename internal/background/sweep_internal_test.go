package background

import (
	"context"
	"errors"
	"testing"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
)

func TestASweepThatFailsKeepsNoOtherFromSweeping(t *testing.T) {
	t.Parallel()
	first, last := errors.New("first"), errors.New("last")
	var swept []string
	sweep := func(name string, err error) func(context.Context) error {
		return func(context.Context) error {
			swept = append(swept, name)
			return err
		}
	}
	s := newSweeper(sweep("a", first), sweep("b", nil), sweep("c", last))
	err := s.Work(t.Context(), &river.Job[sweepArgs]{})
	require.ErrorIs(t, err, first)
	require.ErrorIs(t, err, last)
	require.Equal(t, []string{"a", "b", "c"}, swept)
	require.NoError(t, newSweeper(sweep("d", nil)).Work(t.Context(), &river.Job[sweepArgs]{}))
}
