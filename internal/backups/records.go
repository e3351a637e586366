package backups

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// The names of the files of an archive.
const (
	profileFile    = "user-profile.json"
	identitiesFile = "identities.json"
	jobsFile       = "jobs.json"
	domainsFile    = "domains.json"
	notesFile      = "notes.json"
	publishedFile  = "publishings.json"
	accessesFile   = "publishing-accesses.json"
	termsFile      = "terms-acceptances.json"
	eventsFile     = "events.json"
	manifestFile   = "manifest.json"
)

// Each record is a row as the archive has it, by the names of the contract, which has a schema of each.

// profile is the customer. Its first three members are what the file is looked into for.
type profile struct {
	ContactName     string     `json:"contact_name"` // its name
	Email           *string    `json:"email"`
	Company         *string    `json:"company"`
	ID              uuid.UUID  `json:"id"`
	Name            string     `json:"name"`
	Phone           *string    `json:"phone"`
	Address         *string    `json:"address"`
	Modules         []string   `json:"modules"`
	Locale          string     `json:"locale"`
	Status          string     `json:"status"`
	LastActivityAt  *time.Time `json:"last_activity_at"`
	RestoredAt      *time.Time `json:"restored_at"`
	Version         int64      `json:"version"`
	CreatedAt       time.Time  `json:"created_at"`
	UpdatedAt       time.Time  `json:"updated_at"`
	*ProfileOfStaff            // nil where it is for the customer's own people
}

// ProfileOfStaff is what the customer's own people are never shown.
type ProfileOfStaff struct {
	Comments   *string         `json:"comments"`
	Properties json.RawMessage `json:"properties"`
	ParentID   *uuid.UUID      `json:"parent_id"`
	ExternalID *string         `json:"external_id"`
	InvitedAt  *time.Time      `json:"invited_at"`
}

type identity struct {
	ID          uuid.UUID  `json:"id"`
	Name        string     `json:"name"`
	Email       string     `json:"email"`
	Role        string     `json:"role"`
	Status      string     `json:"status"` // that it had; it comes back without a password
	LastLoginAt *time.Time `json:"last_login_at"`
	RestoredAt  *time.Time `json:"restored_at"`
	Version     int64      `json:"version"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

type job struct {
	ID          uuid.UUID  `json:"id"`
	Name        string     `json:"name"`
	Description *string    `json:"description"`
	Copies      int32      `json:"copies"`
	DueAt       *time.Time `json:"due_at"`
	Status      string     `json:"status"`
	Files       []jobFile  `json:"files"`
	RestoredAt  *time.Time `json:"restored_at"`
	Version     int64      `json:"version"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

type jobFile struct {
	Kind        string    `json:"kind"`
	Filename    string    `json:"filename"`
	ContentType string    `json:"content_type"`
	Size        int64     `json:"size"`
	SHA256      digest    `json:"sha256"`
	UploadedAt  time.Time `json:"uploaded_at"`
	Entry       string    `json:"entry"` // the name of the file in the archive
}

type domain struct {
	ID                 uuid.UUID       `json:"id"`
	Host               string          `json:"host"`
	HTTPPorts          []int32         `json:"http_ports"`
	Scheme             string          `json:"scheme"`
	Origin             *string         `json:"origin"`
	OriginPort         *int32          `json:"origin_port"`
	CacheConfiguration json.RawMessage `json:"cache_configuration"`
	Redirection        json.RawMessage `json:"redirection"`
	SSLExpiresAt       *time.Time      `json:"ssl_expires_at"`
	TLSProtocol        *string         `json:"tls_protocol"`
	WAFConfiguration   json.RawMessage `json:"waf_configuration"`
	RestoredAt         *time.Time      `json:"restored_at"`
	Version            int64           `json:"version"`
	CreatedAt          time.Time       `json:"created_at"`
	UpdatedAt          time.Time       `json:"updated_at"`
}

type actor struct {
	Kind string     `json:"kind"`
	ID   *uuid.UUID `json:"id"`
	Name string     `json:"name"`
}

type note struct {
	ID         uuid.UUID  `json:"id"`
	Text       string     `json:"text"`
	Author     actor      `json:"author"`
	CreatedAt  time.Time  `json:"created_at"`
	RestoredAt *time.Time `json:"restored_at"`
}

type publishing struct {
	ID         uuid.UUID       `json:"id"`
	IdentityID *uuid.UUID      `json:"identity_id"` // null once the login is deleted
	OwnerHash  *digest         `json:"owner_hash"`  // by which the login finds it then, in the installation that it was deleted in
	Kind       string          `json:"kind"`
	Title      string          `json:"title"`
	Content    json.RawMessage `json:"content"`
	State      string          `json:"state"`
	Visibility string          `json:"visibility"`
	TemplateID *uuid.UUID      `json:"template_id"`
	RestoredAt *time.Time      `json:"restored_at"`
	Version    int64           `json:"version"`
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

type publishingAccess struct {
	ID           uuid.UUID `json:"id"`
	PublishingID uuid.UUID `json:"publishing_id"`
	Actor        actor     `json:"actor"`
	Via          string    `json:"via"`
	At           time.Time `json:"at"`
}

type termsAcceptance struct {
	ID             uuid.UUID  `json:"id"`
	TermsID        uuid.UUID  `json:"terms_id"`
	TermsVersion   int32      `json:"terms_version"`
	DocumentSHA256 digest     `json:"document_sha256"`
	Identity       acceptedBy `json:"identity"`
	AcceptedAt     time.Time  `json:"accepted_at"`
	RestoredAt     *time.Time `json:"restored_at"`
}

// acceptedBy is who accepted; all of it is null once the login is deleted.
type acceptedBy struct {
	ID    *uuid.UUID `json:"id"`
	Name  *string    `json:"name"`
	Email *string    `json:"email"`
}

type event struct {
	ID         uuid.UUID       `json:"id"`
	Type       string          `json:"type"`
	Resource   resource        `json:"resource"`
	Version    int64           `json:"version"`
	Actor      actor           `json:"actor"`
	RequestID  *string         `json:"request_id"`
	At         time.Time       `json:"at"`
	Data       json.RawMessage `json:"data"`
	RestoredAt *time.Time      `json:"restored_at"`
}

type resource struct {
	Kind string    `json:"kind"`
	ID   uuid.UUID `json:"id"`
}
