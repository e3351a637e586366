// Package reach keeps callers that are limited to a customer to that one and those below it. Everywhere a reach is the id of
// that customer, and nil where there is no limit; what lies outside is to the caller what is not there. Single resources
// are asked for with the SQL function reaches, in the queries; this package is for lists and for changes. Who is limited to
// what it does not know.
package reach

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// And adds to the filter of a list that the column, a customer's id, has to be within reach. It goes down from the reach
// once, where the way up from each row would be one for every row.
func And(where *postgres.Where, column string, reach *uuid.UUID) {
	if reach == nil {
		return
	}
	where.And(column + ` IN (WITH RECURSIVE reached AS (
		SELECT ` + where.Arg(*reach) + `::uuid AS id
		UNION ALL
		SELECT child.id FROM customers child JOIN reached ON child.parent_id = reached.id
	) SELECT id FROM reached)`)
}

// Of gives what is added to a predicate that goes down from a customer, to let nothing through unless that customer is within
// reach itself: who asks for what is below one above must not learn that it is above. It is one way up for the whole query.
func Of(where *postgres.Where, customer string, reach *uuid.UUID) string {
	if reach == nil {
		return ""
	}
	return " AND reaches(" + where.Arg(*reach) + ", " + customer + ")"
}

// Hold keeps customers from being moved, where the change is one of limited reach, until its transaction ends: what is
// within reach when the change looks stays so until it commits. It comes before everything else that is locked.
func Hold(ctx context.Context, tx *postgres.Tx) error {
	if tx.Reach == nil {
		return nil
	}
	return db.New().HierarchyLockShared(ctx, tx)
}
