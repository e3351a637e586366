package customers

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/jobstates"
	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	confirmationLifetime = 10 * time.Minute
	confirmationPurpose  = "deletion confirmations"
	confirmationPrefix   = "clc_"
)

// confirmation is what a token says: delete this customer in this version with this much that belongs to it, until then.
type confirmation struct {
	CustomerID  uuid.UUID `json:"c"`
	Version     int64     `json:"v"`
	Identities  int64     `json:"i"`
	Jobs        string    `json:"j"` // their numbers, in the order of their statuses
	Files       int64     `json:"f"`
	Bytes       int64     `json:"b"`
	Domains     int64     `json:"d"`
	Publishings int64     `json:"p"`
	Notes       int64     `json:"n"`
	APIClients  int64     `json:"a"`
	Expires     int64     `json:"e"` // Unix seconds
}

func (p DeletionPlan) confirmation(expires time.Time) confirmation {
	return confirmation{
		CustomerID: p.Customer.ID, Version: p.Customer.Version, Identities: p.Counts.Identities,
		Jobs: p.Counts.jobs(), Files: p.Counts.Files, Bytes: p.Counts.Bytes, Domains: p.Counts.Domains, Publishings: p.Counts.Publishings, Notes: p.Counts.Notes,
		APIClients: p.Counts.APIClients, Expires: expires.Unix(),
	}
}

// jobs gives the numbers of jobs as one text, by which two plans can be compared.
func (c Counts) jobs() string {
	var numbers []string
	for _, status := range jobstates.All() {
		numbers = append(numbers, strconv.FormatInt(c.Jobs[status], 10))
	}
	return strings.Join(numbers, ",")
}

// withToken gives the plan with the token that confirms it, unless something stands in the way.
func (p DeletionPlan) withToken(keyring *secrets.Keyring, now time.Time) DeletionPlan {
	if len(p.Blockers) == 0 {
		said := p.confirmation(now.Add(confirmationLifetime))
		p.Token = keyring.SignStatement(confirmationPurpose, confirmationPrefix, said)
	}
	return p
}

// confirmedBy tells whether the token was given for this very plan and has not expired.
func (p DeletionPlan) confirmedBy(keyring *secrets.Keyring, now time.Time, token string) bool {
	var said confirmation
	return keyring.ReadStatement(confirmationPurpose, confirmationPrefix, token, &said) && now.Unix() < said.Expires && said == p.confirmation(time.Unix(said.Expires, 0))
}
