package api

import (
	"context"
	"time"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/fault"
)

// readyTimeout is how long the database has to answer a question without content.
const readyTimeout = 2 * time.Second

// HealthGet tells that the program runs.
func (s *Server) HealthGet(context.Context, openapi.HealthGetRequestObject) (openapi.HealthGetResponseObject, error) {
	return openapi.HealthGet200JSONResponse{Status: openapi.HealthStatusOk}, nil
}

// ReadinessGet tells whether requests can be served.
func (s *Server) ReadinessGet(ctx context.Context, _ openapi.ReadinessGetRequestObject) (openapi.ReadinessGetResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.db.Ping(ctx); err != nil {
		return nil, fault.DatabaseAway(err)
	}
	return openapi.ReadinessGet200JSONResponse{Status: openapi.HealthStatusOk}, nil
}
