// Package staff keeps the operator's own people: their accounts, roles and passwords. It does not sign anybody in.
package staff

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/sessions"
	"github.com/clientele-api/clientele/internal/textfold"
	"github.com/clientele-api/clientele/internal/tokens"
)

// Account is a staff account with the time of its last sign-in.
type Account struct {
	db.Staff
	LastLoginAt *time.Time
}

// New is a staff account to be. The password is hashed already: that takes too long for a transaction.
type New struct {
	Name, Email  string
	Role         access.Role
	PasswordHash string
}

// Create adds an account.
func Create(ctx context.Context, tx *postgres.Tx, input New) (Account, error) {
	created, err := db.New().StaffInsert(ctx, tx, db.StaffInsertParams{
		ID: uuid.Must(uuid.NewV7()), Name: input.Name, Email: input.Email, EmailKey: textfold.CaseKey(input.Email),
		Role: string(input.Role), PasswordHash: input.PasswordHash, CreatedAt: tx.Now,
	})
	if err != nil {
		return Account{}, err
	}
	return Account{Staff: created}, record(ctx, tx, "created", nil, &created)
}

// Patch is what to change of an account; nil stays.
type Patch struct {
	Name, Email  *string
	Role         *access.Role
	PasswordHash *string
}

// Update changes an account. Another role makes access tokens invalid that carry the old one's scopes; another password
// ends all sessions.
func Update(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions, patch Patch) (Account, error) {
	if patch.Role != nil && *patch.Role != access.Administrator {
		if err := keepAnAdministrator(ctx, tx, id); err != nil {
			return Account{}, err
		}
	}
	before, err := db.New().StaffGetForUpdate(ctx, tx, id)
	if err != nil {
		return Account{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Account{}, err
	}
	now := patch.apply(before)
	if now == before {
		return Get(ctx, tx, id)
	}
	if now.Role != before.Role {
		now.TokenEpoch++
		if err := tokens.RevokeBefore(ctx, tx, id, now.TokenEpoch); err != nil {
			return Account{}, err
		}
	}
	if patch.PasswordHash != nil {
		if err := sessions.EndAll(ctx, tx, id, nil); err != nil {
			return Account{}, err
		}
	}
	after, err := update(ctx, tx, now)
	if err != nil {
		return Account{}, err
	}
	if err := record(ctx, tx, "updated", &before, &after); err != nil {
		return Account{}, err
	}
	return Get(ctx, tx, id)
}

func (p Patch) apply(account db.Staff) db.Staff {
	if p.Name != nil {
		account.Name = *p.Name
	}
	if p.Email != nil {
		account.Email, account.EmailKey = *p.Email, textfold.CaseKey(*p.Email)
	}
	if p.Role != nil {
		account.Role = string(*p.Role)
	}
	if p.PasswordHash != nil {
		account.PasswordHash = *p.PasswordHash
	}
	return account
}

func update(ctx context.Context, tx *postgres.Tx, account db.Staff) (db.Staff, error) {
	return db.New().StaffUpdate(ctx, tx, db.StaffUpdateParams{
		ID: account.ID, Name: account.Name, Email: account.Email, EmailKey: account.EmailKey, Role: account.Role,
		PasswordHash: account.PasswordHash, TokenEpoch: account.TokenEpoch, UpdatedAt: tx.Now,
	})
}

// Delete removes an account with its sessions. What it did stays in the change log.
func Delete(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions) error {
	if err := keepAnAdministrator(ctx, tx, id); err != nil {
		return err
	}
	account, err := db.New().StaffGetForUpdate(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := versions.Check(account.Version); err != nil {
		return err
	}
	if err := tokens.RevokeAll(ctx, tx, id); err != nil {
		return err
	}
	if err := db.New().StaffDelete(ctx, tx, id); err != nil {
		return err
	}
	account.Version++
	return record(ctx, tx, "deleted", &account, nil)
}

// keepAnAdministrator refuses to take the last administrator away. It locks all administrators, always in the same
// order, so that of two who would take each other away the second is refused.
func keepAnAdministrator(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	administrators, err := db.New().StaffAdministratorsLock(ctx, tx)
	if err != nil {
		return err
	}
	if len(administrators) == 1 && administrators[0] == id {
		return &fault.Error{
			Kind: fault.Conflict, Code: "last_administrator",
			Detail: "This is the last administrator. Make somebody else an administrator first.",
		}
	}
	return nil
}

// Get reads an account.
func Get(ctx context.Context, database db.DBTX, id uuid.UUID) (Account, error) {
	row, err := db.New().StaffGetWithActivity(ctx, database, id)
	return Account{Staff: row.Staff, LastLoginAt: row.LastLoginAt}, err
}

// place is where a page of the list starts: after this account.
type place struct {
	CreatedAt time.Time `json:"c"`
	ID        uuid.UUID `json:"i"`
}

// List reads a page of accounts, the longest serving first.
func List(ctx context.Context, database *postgres.DB, page paging.Request) (paging.Page[Account], error) {
	list := paging.NewList("staff")
	var after place
	if page.Cursor != "" {
		if err := list.Decode(page.Cursor, &after); err != nil {
			return paging.Page[Account]{}, err
		}
	}
	rows, err := db.New().StaffListOldestFirst(ctx, database, after.CreatedAt, after.ID, int32(page.Limit)+1)
	if err != nil {
		return paging.Page[Account]{}, err
	}
	accounts := make([]Account, len(rows))
	for i, row := range rows {
		accounts[i] = Account{Staff: row.Staff, LastLoginAt: row.LastLoginAt}
	}
	result := paging.Cut(list, accounts, page.Limit, func(last Account) any { return place{last.CreatedAt, last.ID} })
	if page.Total {
		total, err := db.New().StaffCount(ctx, database)
		if err != nil {
			return result, err
		}
		result.Total = &total
	}
	return result, nil
}

// ChangePassword sets one's own password after comparing the present one, and ends all sessions but the one at work.
func ChangePassword(
	ctx context.Context, database *postgres.DB, change postgres.Change, hasher *passwords.Hasher,
	caller *access.Principal, current, password string,
) error {
	account, err := db.New().StaffGet(ctx, database, caller.ID)
	if err != nil {
		return err
	}
	matches, err := hasher.Matches(ctx, account.PasswordHash, current)
	if err != nil {
		return err
	}
	if !matches {
		return wrongPassword()
	}
	hash, err := hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	return database.Change(ctx, change, func(tx *postgres.Tx) error {
		before, err := db.New().StaffGetForUpdate(ctx, tx, caller.ID)
		if err != nil {
			return err
		}
		if before.PasswordHash != account.PasswordHash {
			return wrongPassword() // somebody changed it meanwhile
		}
		now := before
		now.PasswordHash = hash
		if err := sessions.EndAll(ctx, tx, caller.ID, &caller.SessionID); err != nil {
			return err
		}
		after, err := update(ctx, tx, now)
		if err != nil {
			return err
		}
		return record(ctx, tx, "updated", &before, &after)
	})
}

func wrongPassword() error {
	return fault.InvalidBody(fault.Field{
		Pointer: "/current_password", Code: "wrong_password", Message: "is not the present password",
	})
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.Staff) error {
	account := after
	if account == nil {
		account = before
	}
	event := events.Event{Kind: events.Staff, What: what, ResourceID: account.ID, Version: account.Version}
	if before != nil {
		event.Before = before
	}
	if after != nil {
		event.After = after
	}
	return events.Append(ctx, tx, event)
}
