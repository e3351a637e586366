package postgres

// What the tests of migrations need from inside.
var MigrateUpFrom = migrateUp

const MigrationLock = migrationLock
