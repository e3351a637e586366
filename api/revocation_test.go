package api_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/sessions"
)

// soonRefused demands that access tokens are refused which something has just made invalid: a request that is made more
// than a second later is never let in.
func soonRefused(t *testing.T, s *apitest.Server, tokens ...string) {
	t.Helper()
	deadline := time.Now().Add(time.Second)
	for _, token := range tokens {
		for {
			asked := time.Now()
			response := bearing(s, token).Do(t, "GET", "/v1/customers?limit=1", nil)
			if response.Status == 401 {
				require.Equal(t, "invalid_token", response.Problem(t).Code)
				break
			}
			require.True(t, asked.Before(deadline), "still let in a second later: %d", response.Status)
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	viewer := s.Staff(t, access.Viewer)
	for name, pick := range map[string]func(first, second openapi.TokenResponse) string{
		"by refresh token":       func(_, second openapi.TokenResponse) string { return second.RefreshToken },
		"by spent refresh token": func(first, _ openapi.TokenResponse) string { return first.RefreshToken },
		"by access token":        func(_, second openapi.TokenResponse) string { return second.AccessToken },
	} {
		t.Run(name, func(t *testing.T) {
			first := signIn(t, s, viewer.Email)
			other := signIn(t, s, viewer.Email)
			second := refreshed(t, s, first.RefreshToken)
			values := form("token", pick(first, second), "client_id", "staff", "token_type_hint", "whatever")
			for range 2 { // the second time there is nothing left to end
				response := postForm(t, s, "/oauth/revoke", values)
				require.Equal(t, 200, response.Status, string(response.Body))
				require.JSONEq(t, "{}", string(response.Body))
			}
			refreshRefused(t, s, second.RefreshToken)
			soonRefused(t, s, first.AccessToken, second.AccessToken)
			whoIs(t, s, other.AccessToken)
			refreshed(t, s, other.RefreshToken)
		})
	}
}

// TestRevocationsDoNotPileUp: every replica reads all of them, four times a second.
func TestRevocationsDoNotPileUp(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	first := signIn(t, s, s.Staff(t, access.Viewer).Email)
	second := refreshed(t, s, first.RefreshToken)
	last := refreshed(t, s, second.RefreshToken)
	for range 20 {
		refreshRefused(t, s, first.RefreshToken) // reuse of a spent token ends the session
		for _, token := range []string{first.RefreshToken, last.RefreshToken, last.AccessToken} {
			require.Equal(t, 200, postForm(t, s, "/oauth/revoke", form("client_id", "staff", "token", token)).Status)
		}
	}
	var rows int
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM token_revocations").Scan(&rows))
	require.Equal(t, 1, rows)
	soonRefused(t, s, first.AccessToken, last.AccessToken)
}

// TestRevocationAfterTheEndOfASession: its last access token may live a little longer than the session itself.
func TestRevocationAfterTheEndOfASession(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	current := signIn(t, s, s.Staff(t, access.Viewer).Email)
	opened := s.Clock.Now()
	for range 5 {
		s.Clock.Advance(143 * time.Hour)
		current = refreshed(t, s, current.RefreshToken)
	}
	s.Clock.Advance(30*24*time.Hour - time.Minute - s.Clock.Now().Sub(opened))
	current = refreshed(t, s, current.RefreshToken)
	s.Clock.Advance(2 * time.Minute)
	require.NoError(t, sessions.Sweep(t.Context(), s.DB))
	whoIs(t, s, current.AccessToken)
	require.Equal(t, 200, postForm(t, s, "/oauth/revoke", form("client_id", "staff", "token", current.AccessToken)).Status)
	soonRefused(t, s, current.AccessToken)

	s.Clock.Advance(time.Hour)
	require.NoError(t, sessions.Sweep(t.Context(), s.DB))
	var left int
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM sessions").Scan(&left))
	require.Zero(t, left)
}

// TestTokensAreJudgedThoughThePoolIsBusy: requests that keep every connection busy, such as slow queries, must not keep
// replicas from hearing of revocations, nor events from getting their places.
func TestTokensAreJudgedThoughThePoolIsBusy(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	revoked := signIn(t, s, admin.Email)
	_, claims := parseToken(t, s, revoked.AccessToken)
	powerless := bearing(s, s.Token(t, &access.Principal{Kind: access.KindStaff, ID: admin.ID, SessionID: uuid.New()}))
	other, err := pgx.Connect(t.Context(), s.DB.Config().ConnString())
	require.NoError(t, err)
	defer other.Close(t.Context())

	admin.Must(t, 201, "POST", "/v1/customers", apitest.Fields{"name": "n"})
	for range s.DB.Config().MaxConns {
		connection, err := s.DB.Acquire(t.Context())
		require.NoError(t, err)
		defer connection.Release()
	}
	_, err = other.Exec(t.Context(),
		"INSERT INTO token_revocations (target_id, revoked_at) VALUES ($1, now())", claims["sid"])
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), "UPDATE events SET position = NULL") // as if they had only now been committed
	require.NoError(t, err)
	until := time.Now().Add(2 * time.Second) // longer than what was read before counts
	for time.Now().Before(until) {
		asked := time.Now()
		powerless.Must(t, 403, "GET", "/v1/customers", nil)
		require.Less(t, time.Since(asked), time.Second)
		time.Sleep(50 * time.Millisecond)
	}
	bearing(s, revoked.AccessToken).Must(t, 401, "GET", "/v1/customers", nil)
	var unplaced int
	err = other.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE position IS NULL").Scan(&unplaced)
	require.NoError(t, err)
	require.Zero(t, unplaced)
}

func TestRevocationOfWhatIsNoToken(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	tokens := signIn(t, s, s.Staff(t, access.Viewer).Email)
	for name, token := range map[string]string{"unknown": "clr_unknown", "NUL": "\x00", "no UTF-8": "\xff"} {
		response := postForm(t, s, "/oauth/revoke", form("token", token, "client_id", "staff"))
		require.Equal(t, 200, response.Status, name)
	}
	require.Equal(t, 200, postForm(t, s, "/oauth/revoke", form("token", "clr_unknown"), basic("staff", "")).Status)
	refusedGrant(t, postForm(t, s, "/oauth/revoke", form("client_id", "staff")), 400, "invalid_request")
	refusedGrant(t, postForm(t, s, "/oauth/revoke", form("client_id", "staff", "token", "a", "token", "b")), 400, "invalid_request")
	for _, client := range []string{"", "other"} {
		response := postForm(t, s, "/oauth/revoke", form("token", tokens.RefreshToken, "client_id", client))
		refusedGrant(t, response, 401, "invalid_client")
		require.Equal(t, `Basic realm="clientele"`, response.Header.Get("WWW-Authenticate"))
	}
	refreshed(t, s, tokens.RefreshToken) // nobody has ended it
}

func TestAnotherRoleCountsWithinASecond(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, operator := s.Staff(t, access.Administrator), s.Staff(t, access.Operator)
	before := signIn(t, s, operator.Email)
	narrow := signIn(t, s, operator.Email, "scope", "customers:write events:read")

	admin.Must(t, 200, "PATCH", "/v1/staff/"+operator.ID.String(), apitest.Fields{"role": "viewer"})
	soonRefused(t, s, before.AccessToken, narrow.AccessToken)
	after := refreshed(t, s, before.RefreshToken)
	me := whoIs(t, s, after.AccessToken)
	require.ElementsMatch(t, viewerScopes, me.Scopes)
	require.Equal(t, "viewer", *me.Role)
	bearing(s, after.AccessToken).Must(t, 403, "POST", "/v1/customers", apitest.Fields{"name": "x"})
	require.Equal(t, "events:read", refreshed(t, s, narrow.RefreshToken).Scope, "what the session and the role both allow")

	admin.Must(t, 200, "PATCH", "/v1/staff/"+operator.ID.String(), apitest.Fields{"role": "administrator"})
	soonRefused(t, s, after.AccessToken)
	require.ElementsMatch(t, administratorScopes, whoIs(t, s, refreshed(t, s, after.RefreshToken).AccessToken).Scopes)
}

func TestOtherChangesOfAnAccountEndNothing(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer)
	tokens := signIn(t, s, viewer.Email)
	admin.Must(t, 200, "PATCH", "/v1/staff/"+viewer.ID.String(), apitest.Fields{
		"name": "Grace Hopper", "email": uuid.NewString() + "@example.com", "role": "viewer",
	})
	time.Sleep(time.Second)
	require.Equal(t, "Grace Hopper", whoIs(t, s, tokens.AccessToken).Name)
	refreshed(t, s, tokens.RefreshToken)
}

func TestOwnPasswordChangeEndsOtherSessions(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	viewer := s.Staff(t, access.Viewer)
	mine, other := signIn(t, s, viewer.Email), signIn(t, s, viewer.Email)
	me := bearing(s, mine.AccessToken)
	const password = "another four words here"

	wrong := me.Must(t, 422, "PUT", "/v1/me/password", apitest.Fields{"current_password": "not this one", "password": password})
	requireFaults(t, wrong, "/current_password wrong_password")
	unlike := me.Must(t, 422, "PUT", "/v1/me/password", apitest.Fields{
		"current_password": apitest.Password, "password": password, "password_confirmation": password + "!",
	})
	requireFaults(t, unlike, "/password_confirmation no_match")
	weak := me.Must(t, 422, "PUT", "/v1/me/password", apitest.Fields{"current_password": apitest.Password, "password": "password123"})
	requireFaults(t, weak, "/password weak_password")
	whoIs(t, s, other.AccessToken) // nothing has happened yet

	me.Must(t, 204, "PUT", "/v1/me/password", apitest.Fields{
		"current_password": apitest.Password, "password": password, "password_confirmation": password,
	})
	soonRefused(t, s, other.AccessToken)
	refreshRefused(t, s, other.RefreshToken)
	whoIs(t, s, mine.AccessToken)
	whoIs(t, s, refreshed(t, s, mine.RefreshToken).AccessToken)
	refusedGrant(t, postForm(t, s, "/oauth/token", passwordForm(viewer.Email, apitest.Password)), 400, "invalid_grant")
	granted(t, postForm(t, s, "/oauth/token", passwordForm(viewer.Email, password)))
}

func TestPasswordSetByAnotherEndsAllSessions(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer)
	tokens := []openapi.TokenResponse{signIn(t, s, viewer.Email), signIn(t, s, viewer.Email)}
	admin.Must(t, 200, "PATCH", "/v1/staff/"+viewer.ID.String(), apitest.Fields{"password": "another four words here"})
	soonRefused(t, s, tokens[0].AccessToken, tokens[1].AccessToken)
	for _, ended := range tokens {
		refreshRefused(t, s, ended.RefreshToken)
	}
	granted(t, postForm(t, s, "/oauth/token", passwordForm(viewer.Email, "another four words here")))
}

func TestDeletedAccountIsOut(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer)
	tokens := []openapi.TokenResponse{signIn(t, s, viewer.Email), signIn(t, s, viewer.Email)}
	admin.Must(t, 204, "DELETE", "/v1/staff/"+viewer.ID.String(), nil)
	soonRefused(t, s, viewer.Token, tokens[0].AccessToken, tokens[1].AccessToken)
	for _, ended := range tokens {
		refreshRefused(t, s, ended.RefreshToken)
	}
	refusedGrant(t, postForm(t, s, "/oauth/token", passwordForm(viewer.Email, apitest.Password)), 400, "invalid_grant")
	require.Equal(t, 200, postForm(t, s, "/oauth/revoke", form("client_id", "staff", "token", tokens[0].RefreshToken)).Status)
}

// TestNoSessionIsBornAfterADeletion: whoever signs in or refreshes while the account is being deleted gets nothing that
// works a second later.
func TestNoSessionIsBornAfterADeletion(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer)
	first := signIn(t, s, viewer.Email)
	var mu sync.Mutex
	won := []openapi.TokenResponse{first}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			attempt := passwordForm(viewer.Email, apitest.Password)
			if i == 0 {
				attempt = refreshForm(first.RefreshToken)
			}
			response := postForm(t, s, "/oauth/token", attempt)
			if response.Status != 200 {
				refusedGrant(t, response, 400, "invalid_grant")
				return
			}
			mu.Lock()
			defer mu.Unlock()
			won = append(won, granted(t, response))
		})
	}
	group.Go(func() {
		time.Sleep(200 * time.Millisecond)
		admin.Must(t, 204, "DELETE", "/v1/staff/"+viewer.ID.String(), nil)
	})
	group.Wait()
	for _, tokens := range won {
		refreshRefused(t, s, tokens.RefreshToken)
		soonRefused(t, s, tokens.AccessToken)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	one := apitest.NewOn(t, database)
	two := apitest.NewOn(t, database, apitest.PublicURL(one.URL))
	admin, viewer := one.Staff(t, access.Administrator), one.Staff(t, access.Viewer)
	tokens := signIn(t, one, viewer.Email)

	require.Equal(t, whoIs(t, one, tokens.AccessToken), whoIs(t, two, tokens.AccessToken))
	tokens = refreshed(t, two, tokens.RefreshToken)
	whoIs(t, one, tokens.AccessToken)

	t.Run("a revocation on one counts on the other", func(t *testing.T) {
		revoked := signIn(t, one, viewer.Email)
		whoIs(t, two, revoked.AccessToken)
		require.Equal(t, 200, postForm(t, one, "/oauth/revoke", form("client_id", "staff", "token", revoked.RefreshToken)).Status)
		soonRefused(t, two, revoked.AccessToken)
		refreshRefused(t, two, revoked.RefreshToken)
	})
	t.Run("reuse on the other is seen", func(t *testing.T) {
		spent := signIn(t, one, viewer.Email)
		successor := refreshed(t, one, spent.RefreshToken)
		last := refreshed(t, two, successor.RefreshToken)
		refreshRefused(t, two, spent.RefreshToken)
		soonRefused(t, one, last.AccessToken)
	})
	t.Run("another role counts on the other", func(t *testing.T) {
		whoIs(t, two, tokens.AccessToken)
		admin.Must(t, 200, "PATCH", "/v1/staff/"+viewer.ID.String(), apitest.Fields{"role": "operator"})
		soonRefused(t, two, tokens.AccessToken)
		require.ElementsMatch(t, operatorScopes, whoIs(t, one, refreshed(t, two, tokens.RefreshToken).AccessToken).Scopes)
	})
	t.Run("a clock that is ahead does no harm", func(t *testing.T) {
		two.Clock.Advance(1500 * time.Millisecond)
		whoIs(t, one, signIn(t, two, viewer.Email).AccessToken)
	})
	t.Run("another installation's tokens do not count", func(t *testing.T) {
		stranger := apitest.NewOn(t, database) // the same keys, another public URL
		bearing(stranger, admin.Token).Must(t, 401, "GET", "/v1/me", nil)
	})
}
