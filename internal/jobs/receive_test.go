package jobs_test

import (
	"errors"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/jobs"
	"github.com/clientele-api/clientele/internal/postgres"
)

// TestWhatCannotBeReadIsNoFaultOfASender: files come out of archives, too, which lie on disks that break.
func TestWhatCannotBeReadIsNoFaultOfASender(t *testing.T) {
	t.Parallel()
	store, err := blobs.New(t.Context(), postgres.New(dbtest.New(t), time.Now), blobs.FileURL(t.TempDir()))
	require.NoError(t, err)
	defer store.Close()
	broken := errors.New("the disk is broken")
	for _, kind := range []string{jobs.Input, jobs.PDLModel, jobs.Support} {
		_, err := jobs.Receive(t.Context(), store, jobs.Upload{Kind: kind, Content: iotest.ErrReader(broken)})
		require.ErrorIs(t, err, broken, kind)
		var known *fault.Error
		require.NotErrorAs(t, err, &known, kind)
	}
}
