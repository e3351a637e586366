// Package db holds the SQL: the migrations, embedded so that the program carries its schema with it, and the queries
// that sqlc makes gen/db from. It holds no Go logic.
package db

import "embed"

// Migrations are goose migrations below "migrations". One that was released is never edited.
//
//go:embed migrations/*.sql
var Migrations embed.FS
