package backups

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The kinds of a job's files, as the contract calls them.
const (
	inputFile   = "input"
	modelFile   = "pdl-model"
	supportFile = "support"
)

// packedKinds are those that become smaller by packing. A PDF is packed already.
var packedKinds = []string{modelFile}

// entryName is what a file of a job is called in the archive: it lies in a folder of the job's own.
func entryName(jobID uuid.UUID, kind, filename string) string {
	folder := jobID.String() + "/"
	switch kind {
	case inputFile:
		return folder + "input.pdf"
	case modelFile:
		return folder + "pdl-model.json"
	}
	return folder + kind + "-" + safeName(filename)
}

// maxFileName is how many bytes the name of a file has at most, so that it has room wherever it is unpacked.
const maxFileName = 150

// safeName makes a name that every system takes for that of a file, of any text.
func safeName(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`/\:*?"<>|`, r):
			return '-'
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, text)
	name = strings.Trim(name, " ")
	if len(name) > maxFileName {
		ending := path.Ext(name)
		if len(ending) > 20 {
			ending = ""
		}
		name = strings.ToValidUTF8(name[:maxFileName-len(ending)], "") + ending
	}
	name = strings.TrimRight(name, ". ")
	if name == "" {
		return "file"
	}
	return name
}
