package background_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// TestTheProgramSweeps: what has expired is deleted without anybody asking for it.
func TestTheProgramSweeps(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	form := "grant_type=password&client_id=staff&username=" + admin.Email + "&password=four+words+are+better"
	s.Anonymous().Must(t, 200, "POST", "/oauth/token", form, apitest.Header("Content-Type", "application/x-www-form-urlencoded"))
	count := func(table string) (n int) {
		require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
		return n
	}
	other := s.Staff(t, access.Viewer)
	admin.Must(t, 204, "DELETE", "/v1/staff/"+other.ID.String(), nil)
	admin.Must(t, 201, "POST", "/v1/customers", apitest.Fields{"name": "Once"}, apitest.Header("Idempotency-Key", "a"))
	require.Equal(t, 1, count("sessions"))
	require.Equal(t, 1, count("token_revocations"))
	require.Equal(t, 1, count("idempotency_keys"))
	s.Clock.Advance(365 * 24 * time.Hour)
	require.Zero(t, count("river_job"), "nobody works yet")
	s.Work(t)
	require.Eventually(t, func() bool { return count("sessions")+count("token_revocations")+count("idempotency_keys") == 0 },
		20*time.Second, 20*time.Millisecond)
}
