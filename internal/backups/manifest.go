package backups

import (
	"bufio"
	"encoding/json"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/events"
)

// The format of archives. A version that is not known is not restored: what it means is not known.
const (
	formatName    = "clientele-backup"
	formatVersion = 1
)

// manifest is what an archive says of itself, but for the entries, which there may be many of.
type manifest struct {
	Format         string      `json:"format"`
	FormatVersion  int         `json:"format_version"`
	ProductVersion string      `json:"product_version"`
	ID             uuid.UUID   `json:"id"` // in the history of the customer
	TakenAt        time.Time   `json:"taken_at"`
	TakenBy        string      `json:"taken_by"` // a kind of caller, and nobody's name
	Customer       named       `json:"customer"`
	Parts          []string    `json:"parts"`
	LeftOut        []leftOut   `json:"left_out"`
	Entries        []listEntry `json:"entries,omitempty"`
}

type named struct {
	ID   uuid.UUID `json:"id"`
	Name string    `json:"name"`
}

// leftOut is something that the archive does not have, and why.
type leftOut struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// listEntry is an entry of the archive, unpacked.
type listEntry struct {
	Name   string `json:"name"`
	Size   uint64 `json:"size"`
	SHA256 digest `json:"sha256"`
}

// The reasons for which something is left out.
const (
	neverIncluded = "never_included" // no backup has it
	missingScope  = "missing_scope"  // the token of whoever took it does not show it
	notForPortal  = "not_for_portal" // a customer's own people are not shown it
	ofColleagues  = "of_colleagues"  // it belongs to others of these people
	outOfReach    = "out_of_reach"   // it happened where whoever took it does not reach
)

// leftOutOf says what a backup does not have.
func leftOutOf(a audience) []leftOut {
	out := []leftOut{
		{"passwords", neverIncluded}, {"sessions", neverIncluded}, {"activation_requests", neverIncluded},
		{"terms_documents", neverIncluded},
	}
	if a.isPortal() {
		return append(out, leftOut{"comments", notForPortal}, leftOut{"properties", notForPortal}, leftOut{"parent_id", notForPortal},
			leftOut{"external_id", notForPortal}, leftOut{"invited_at", notForPortal}, leftOut{PartNotes, notForPortal},
			leftOut{PartIdentities, ofColleagues}, leftOut{PartPublished, ofColleagues}, leftOut{PartTerms, ofColleagues})
	}
	for _, one := range partScopes {
		if !a.parts[one.part] {
			out = append(out, leftOut{one.part, missingScope})
		}
	}
	if a.parts[PartEvents] && a.caller.Reach() != nil {
		out = append(out, leftOut{"events outside the reach", outOfReach})
	}
	if a.parts[PartEvents] {
		for _, kind := range eventKinds {
			if !a.caller.Has(events.ScopeOf(kind)) {
				out = append(out, leftOut{"events of the kind " + kind, missingScope})
			}
		}
	}
	return out
}

// eventKinds are the kinds of resource whose events a customer may have.
var eventKinds = []string{
	events.Customer, events.Identity, events.ActivationRequest, events.Job, events.Domain, events.Publishing, events.Terms, events.Note,
	events.Backup,
}

// writeManifest writes the manifest, one entry a line.
func writeManifest(to io.Writer, m manifest, sections []section, files *fileList) error {
	m.Entries = nil
	head, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(to, 64<<10)
	_, _ = out.Write(head[:len(head)-2]) // but for the end of the object
	_, _ = out.WriteString(",\n  \"entries\": [")
	separator := "\n    "
	add := func(entry listEntry) error {
		line, err := json.Marshal(entry)
		if err != nil {
			return err
		}
		_, _ = out.WriteString(separator)
		separator = ",\n    "
		_, err = out.Write(line)
		return err
	}
	for _, one := range sections {
		if err := add(listEntry{one.name, one.unpacked, one.sha256}); err != nil {
			return err
		}
	}
	err = files.each(func(file storedFile) error { return add(listEntry{file.Entry, uint64(file.Size), file.SHA256}) })
	if err != nil {
		return err
	}
	_, _ = out.WriteString("\n  ]\n}\n")
	return out.Flush() // which has the first of all errors
}
