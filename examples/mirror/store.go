package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" // the driver, in Go alone
)

// store is the copy, and how far it has come.
type store struct{ *sql.DB }

// Where a column comes or goes, prepare counts another number.
const schema = `
	CREATE TABLE IF NOT EXISTS customers (
		id TEXT PRIMARY KEY, version INTEGER NOT NULL, name TEXT NOT NULL, email TEXT, phone TEXT, company TEXT, address TEXT,
		comments TEXT, modules TEXT NOT NULL, properties TEXT NOT NULL, parent_id TEXT, external_id TEXT, locale TEXT NOT NULL,
		status TEXT NOT NULL, invited_at TEXT, restored_at TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
	) STRICT;
	-- One row, from the first cursor on. list_cursor is null once all customers have been listed.
	CREATE TABLE IF NOT EXISTS progress (
		only INTEGER PRIMARY KEY CHECK (only = 1), feed_cursor TEXT NOT NULL, list_cursor TEXT
	) STRICT;`

func openStore(ctx context.Context, file string) (store, error) {
	// One writer at a time, and what is deleted is overwritten.
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_pragma=secure_delete(1)&_txlock=immediate")
	if err != nil {
		return store{}, err
	}
	s := store{db}
	err = s.prepare(ctx)
	if err == nil {
		err = s.settle(ctx) // the program may have died before
	}
	if err != nil {
		return store{}, errors.Join(fmt.Errorf("opening %s: %w", file, err), db.Close())
	}
	return s, nil
}

// prepare makes the tables of a new file. A file of something else stays as it is.
func (s store) prepare(ctx context.Context) error {
	var tables, own int
	err := s.QueryRowContext(ctx, `
		SELECT count(*), count(*) FILTER (WHERE t.name || (SELECT count(*) FROM pragma_table_info(t.name)) IN ('customers18', 'progress3'))
		FROM sqlite_schema t WHERE t.type = 'table'`).Scan(&tables, &own)
	if err != nil {
		return err
	}
	if tables > 0 && own != 2 {
		return errors.New("the file is not a copy that this program made")
	}
	if _, err := s.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil { // what is committed stays
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, schema)
		return err
	})
}

// settle empties the journal beside the file, in which what was deleted still stands. While somebody reads it cannot; the next
// time does it then.
func (s store) settle(ctx context.Context) error {
	_, err := s.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// progress is how far the copy has come.
type progress struct {
	feed string  // where to go on in the feed; "" before the first cursor
	list *string // where to go on listing, "" for the first page; nil once that is done
}

func (s store) progress(ctx context.Context) (p progress, err error) {
	err = s.QueryRowContext(ctx, "SELECT feed_cursor, list_cursor FROM progress").Scan(&p.feed, &p.list)
	if errors.Is(err, sql.ErrNoRows) {
		first := ""
		return progress{list: &first}, nil
	}
	return p, err
}

// customer is what is kept of a customer: all but its last activity, which comes without a change of the customer. The list
// and the events have the same members.
type customer struct {
	ID         string          `json:"id"`
	Version    int64           `json:"version"`
	Name       string          `json:"name"`
	Email      *string         `json:"email"`
	Phone      *string         `json:"phone"`
	Company    *string         `json:"company"`
	Address    *string         `json:"address"`
	Comments   *string         `json:"comments"`
	Modules    json.RawMessage `json:"modules"`
	Properties json.RawMessage `json:"properties"`
	ParentID   *string         `json:"parent_id"`
	ExternalID *string         `json:"external_id"`
	Locale     string          `json:"locale"`
	Status     string          `json:"status"`
	InvitedAt  *string         `json:"invited_at"`
	RestoredAt *string         `json:"restored_at"`
	CreatedAt  string          `json:"created_at"`
	UpdatedAt  string          `json:"updated_at"`
}

// write does something and keeps how far that has come, both or neither.
func (s store) write(ctx context.Context, p progress, do func(tx *sql.Tx) error) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO progress VALUES (1, ?, ?)
			ON CONFLICT (only) DO UPDATE SET feed_cursor = excluded.feed_cursor, list_cursor = excluded.list_cursor`, p.feed, p.list)
		return err
	})
}

// forget empties the copy.
func (s store) forget(ctx context.Context) error {
	err := s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM customers; DELETE FROM progress")
		return err
	})
	if err != nil {
		return err
	}
	return s.settle(ctx)
}

func (s store) change(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// put keeps a customer, unless a newer state of it is there.
func put(ctx context.Context, tx *sql.Tx, c customer) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, name = excluded.name, email = excluded.email,
			phone = excluded.phone, company = excluded.company, address = excluded.address, comments = excluded.comments,
			modules = excluded.modules, properties = excluded.properties, parent_id = excluded.parent_id,
			external_id = excluded.external_id, locale = excluded.locale, status = excluded.status,
			invited_at = excluded.invited_at, restored_at = excluded.restored_at, updated_at = excluded.updated_at
		WHERE excluded.version > customers.version`,
		c.ID, c.Version, c.Name, c.Email, c.Phone, c.Company, c.Address, c.Comments, string(c.Modules), string(c.Properties),
		c.ParentID, c.ExternalID, c.Locale, c.Status, c.InvitedAt, c.RestoredAt, c.CreatedAt, c.UpdatedAt)
	return err
}

func remove(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM customers WHERE id = ?", id)
	return err
}
