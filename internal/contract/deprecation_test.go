package contract_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/contract"
)

// ending is the contract of an operation with these members beside its own.
func ending(t *testing.T, members string) (*contract.Operation, error) {
	t.Helper()
	return document{security: `[]` + members}.load(t)
}

func TestWhatEndsSaysSo(t *testing.T) {
	t.Parallel()
	operation, err := ending(t, ``)
	require.NoError(t, err)
	require.Nil(t, operation.Deprecation)

	operation, err = ending(t, `, "deprecated": false`)
	require.NoError(t, err)
	require.Nil(t, operation.Deprecation)

	since := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	operation, err = ending(t, `, "deprecated": true, "x-deprecated-at": "2027-01-31T01:00:00+01:00"`)
	require.NoError(t, err)
	require.Equal(t, &contract.Deprecation{At: since}, operation.Deprecation)

	for _, link := range []string{"/docs/compatibility#what-ended", "https://example.com/instead"} {
		operation, err = ending(t, `, "deprecated": true, "x-deprecated-at": "2027-01-31T00:00:00Z",
			"x-sunset-at": "2028-01-31T00:00:00Z", "x-deprecation-link": "`+link+`"`)
		require.NoError(t, err)
		require.Equal(t, &contract.Deprecation{At: since, Sunset: since.AddDate(1, 0, 0), Link: link}, operation.Deprecation)
	}
}

func TestAnEndIsNotSaidByHalves(t *testing.T) {
	t.Parallel()
	for members, reason := range map[string]string{
		`, "deprecated": true`: "needs x-deprecated-at",
		`, "deprecated": true, "x-sunset-at": "2028-01-31T00:00:00Z"`:              "needs x-deprecated-at",
		`, "x-deprecated-at": "2027-01-31T00:00:00Z"`:                              "x-deprecated-at needs deprecated: true",
		`, "deprecated": false, "x-deprecated-at": "2027-01-31T00:00:00Z"`:         "x-deprecated-at needs deprecated: true",
		`, "x-sunset-at": "2027-01-31T00:00:00Z"`:                                  "x-sunset-at needs deprecated: true",
		`, "x-deprecation-link": "/docs"`:                                          "x-deprecation-link needs deprecated: true",
		`, "deprecated": true, "x-deprecated-at": "2027-01-31"`:                    "x-deprecated-at is 2027-01-31, and must be a time",
		`, "deprecated": true, "x-deprecated-at": "soon"`:                          "x-deprecated-at is soon",
		`, "deprecated": true, "x-deprecated-at": 1801353600`:                      "x-deprecated-at is 1.8013536e+09",
		`, "deprecated": true, "x-deprecated-at": null`:                            "x-deprecated-at is <nil>",
		ended(`, "x-sunset-at": "2028-01-30T23:59:59Z"`):                           "at least 365 days after",
		ended(`, "x-sunset-at": "2026-01-31T00:00:00Z"`):                           "at least 365 days after",
		ended(`, "x-sunset-at": "never"`):                                          "x-sunset-at is never",
		ended(`, "x-deprecation-link": ""`):                                        "x-deprecation-link is ",
		ended(`, "x-deprecation-link": true`):                                      "x-deprecation-link is true",
		ended(`, "x-deprecation-link": "http://["`):                                "x-deprecation-link is http://[",
		ended(`, "x-deprecation-link": "/docs>; rel=\"next\", <http://a.example"`): "x-deprecation-link is /docs>",
		ended(`, "x-deprecation-link": "/docs\r\nSet-Cookie: a=b"`):                "x-deprecation-link is /docs",
	} {
		_, err := ending(t, members)
		require.ErrorContains(t, err, reason, members)
		require.ErrorContains(t, err, "PUT /things/{id}", members)
	}
}

func ended(members string) string {
	return `, "deprecated": true, "x-deprecated-at": "2027-01-31T00:00:00Z"` + members
}
