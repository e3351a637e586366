// Package db holds the SQL: the migrations, embedded so that the program carries its schema with it, and the queries
// that sqlc makes gen/db from. It holds no Go logic.
package db

import "embed"

// Migrations are goose migrations below "migrations". One that was released is never edited. Those in Go are embedded
// too: for their names, and so that whoever tells one schema from another by the files sees that they changed.
//
//go:embed migrations/*.sql migrations/*.go
var Migrations embed.FS
