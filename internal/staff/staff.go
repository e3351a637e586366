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

// Input is what a caller says of a new account. The password is hashed already: that takes too long for a transaction.
type Input struct {
	Name, Email  string
	Role         access.Role
	PasswordHash string
}

// Create adds an account.
func Create(ctx context.Context, tx *postgres.Tx, input Input) (Account, error) {
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
	before, err := db.New().StaffGetForNoKeyUpdate(ctx, tx, id)
	if err != nil {
		return Account{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Account{}, err
	}
	edited := patch.apply(before)
	if edited == before {
		return Get(ctx, tx, id)
	}
	if edited.Role != before.Role {
		edited.TokenEpoch++
		if err := tokens.RevokeBefore(ctx, tx, id, edited.TokenEpoch); err != nil {
			return Account{}, err
		}
	}
	if patch.PasswordHash != nil {
		if err := sessions.EndAllOfStaff(ctx, tx, id, nil); err != nil {
			return Account{}, err
		}
	}
	if err := update(ctx, tx, before, edited); err != nil {
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

// update stores an account as it was edited, with its event.
func update(ctx context.Context, tx *postgres.Tx, before, edited db.Staff) error {
	after, err := db.New().StaffUpdate(ctx, tx, db.StaffUpdateParams{
		ID: edited.ID, Name: edited.Name, Email: edited.Email, EmailKey: edited.EmailKey, Role: edited.Role,
		PasswordHash: edited.PasswordHash, TokenEpoch: edited.TokenEpoch, UpdatedAt: tx.Now,
	})
	if err != nil {
		return err
	}
	return record(ctx, tx, "updated", &before, &after)
}

// SetOwnPassword replaces the password of an account by its owner's wish and ends all sessions but the one to keep.
// The owner proved to know the present password by its hash, which must still be the one that is stored.
func SetOwnPassword(ctx context.Context, tx *postgres.Tx, id uuid.UUID, presentHash, newHash string, keep uuid.UUID) error {
	before, err := db.New().StaffGetForNoKeyUpdate(ctx, tx, id)
	if err != nil {
		return err
	}
	if before.PasswordHash != presentHash {
		return passwords.Wrong() // somebody changed it meanwhile
	}
	if err := sessions.EndAllOfStaff(ctx, tx, id, &keep); err != nil {
		return err
	}
	edited := before
	edited.PasswordHash = newHash
	return update(ctx, tx, before, edited)
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
	if err := tokens.RevokeSubjectForGood(ctx, tx, id); err != nil {
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

// List reads a page of accounts, the oldest first.
func List(ctx context.Context, database *postgres.DB, page paging.Request) (paging.Page[Account], error) {
	return paging.Read(page, paging.Query[Account, paging.ByTime]{
		Cursors: paging.CursorsOf("staff"),
		Rows: func(after paging.ByTime, limit int32) ([]Account, error) {
			rows, err := db.New().StaffListOldestFirst(ctx, database, after.CreatedAt, after.ID, limit)
			accounts := make([]Account, len(rows))
			for i, row := range rows {
				accounts[i] = Account{Staff: row.Staff, LastLoginAt: row.LastLoginAt}
			}
			return accounts, err
		},
		PlaceOf: func(account Account) paging.ByTime {
			return paging.ByTime{CreatedAt: account.CreatedAt, ID: account.ID}
		},
		Count: func() (int64, error) { return db.New().StaffCount(ctx, database) },
	})
}

// snapshot is an account as events show it. A new column is in no event until it is here.
type snapshot struct {
	ID        uuid.UUID `json:"id"`
	Name      string    `json:"name"`
	Email     string    `json:"email"`
	Role      string    `json:"role"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func snapshotOf(s db.Staff) snapshot {
	return snapshot{s.ID, s.Name, s.Email, s.Role, s.Version, s.CreatedAt, s.UpdatedAt}
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.Staff) error {
	account := after
	if account == nil {
		account = before
	}
	event := events.Event{Kind: events.Staff, What: what, ResourceID: account.ID, Version: account.Version}
	if before != nil {
		event.Before = snapshotOf(*before)
	}
	if after != nil {
		event.After = snapshotOf(*after)
	}
	return events.Append(ctx, tx, event)
}
