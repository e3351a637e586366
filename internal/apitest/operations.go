package apitest

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
)

// Import sends a file of CSV, unless the content type says something else, and gives the operation that was begun.
func (c *Caller) Import(t testing.TB, path string, content any, with ...With) openapi.Operation {
	t.Helper()
	var operation openapi.Operation
	with = append([]With{Header("Content-Type", "text/csv")}, with...)
	c.Must(t, 202, "POST", path, content, with...).JSON(t, &operation)
	return operation
}

// Operation reads an operation.
func (c *Caller) Operation(t testing.TB, id uuid.UUID) openapi.Operation {
	t.Helper()
	var operation openapi.Operation
	c.Must(t, 200, "GET", "/v1/operations/"+id.String(), nil).JSON(t, &operation)
	return operation
}

// Finished waits for the end of an operation, which a server does that works jobs.
func (c *Caller) Finished(t testing.TB, id uuid.UUID) openapi.Operation {
	t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if operation := c.Operation(t, id); operation.FinishedAt != nil {
			return operation
		}
	}
	require.Fail(t, "the operation does not end")
	return openapi.Operation{}
}
