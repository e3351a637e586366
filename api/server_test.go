package api

import (
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/contract"
)

// A route beside the contract would be open to anybody, unseen; an operation without a route would be a promise without
// anything behind it.
func TestRoutesAreTheContractAndTheOpenPages(t *testing.T) {
	t.Parallel()
	loaded, err := contract.Load(openapi.Spec)
	require.NoError(t, err)
	e := echo.New()
	require.ErrorContains(t, checkRoutes(e, loaded, nil), "nothing serves")
	openapi.RegisterHandlers(e, openapi.NewStrictHandler((*Server)(nil), nil))
	require.NoError(t, checkRoutes(e, loaded, nil))
	e.GET("/page", func(echo.Context) error { return nil })
	require.NoError(t, checkRoutes(e, loaded, []string{"/page"}))
	e.GET("/v1/customers/:id/secret", func(echo.Context) error { return nil })
	require.ErrorContains(t, checkRoutes(e, loaded, []string{"/page"}), "/secret")
}
