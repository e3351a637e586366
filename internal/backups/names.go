package backups

import (
	"cmp"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/filename"
	"github.com/clientele-api/clientele/internal/jobs"
)

// entryName is what a file of a job is called in the archive: it lies in a folder of the job's own.
func entryName(jobID uuid.UUID, kind, name string) string {
	folder := jobID.String() + "/"
	switch kind {
	case jobs.Input:
		return folder + "input.pdf"
	case jobs.PDLModel:
		return folder + "pdl-model.json"
	}
	return folder + kind + "-" + cmp.Or(filename.Clean(name), "file")
}

// isPacked tells whether a file of the kind becomes smaller by packing. A PDF is packed already.
func isPacked(kind string) bool { return kind == jobs.PDLModel }
