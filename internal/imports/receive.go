package imports

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"slices"
	"strings"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/csvfile"
	"github.com/clientele-api/clientele/internal/fault"
)

const (
	// MaxFile is how many bytes a file has at most, in UTF-8.
	MaxFile = 8 << 30

	blobKind = "imports"
)

// Source is a file that arrives.
type Source struct {
	Content     io.Reader
	ContentType string // text/csv or application/x-ndjson
	Encoding    string // of the text; "" to go by the charset of ContentType or, without one, by the text itself
}

// Received is a file that has arrived whole.
type Received struct {
	blobs.Blob
	Format Format
}

// mediaTypes are the types that each format is sent as.
var mediaTypes = map[string]Format{
	"text/csv": CSV, "application/csv": CSV, "application/vnd.ms-excel": CSV, // which is what some browsers call CSV
	"application/x-ndjson": Lines, "application/ndjson": Lines, "application/jsonl": Lines,
}

// Receive stores a file as UTF-8, in constant memory and whatever it holds, unless it is of a kind that is no text at all
// or has a line without end.
func Receive(ctx context.Context, store *blobs.Store, source Source) (Received, error) {
	media, parameters, err := mime.ParseMediaType(source.ContentType)
	format, known := mediaTypes[media]
	if err != nil || !known {
		return Received{}, unsupported("The operation takes text/csv or application/x-ndjson.")
	}
	encoding, err := encodingOf(format, source.Encoding, parameters["charset"])
	if err != nil {
		return Received{}, err
	}
	buffered := bufio.NewReader(source.Content)
	head, err := buffered.Peek(8)
	if err != nil && !errors.Is(err, io.EOF) {
		return Received{}, err
	}
	if len(head) == 0 {
		return Received{}, fault.InvalidBody(fault.Field{Code: "empty", Message: "must not be empty"})
	}
	for _, kind := range notText {
		if bytes.HasPrefix(head, []byte(kind)) {
			return Received{}, unsupported("The file is an archive or a workbook. Save the sheet as CSV and send that.")
		}
	}
	text := csvfile.NewLineLimiter(csvfile.NewDecoder(buffered, encoding), csvfile.MaxRecord)
	blob, err := store.Write(ctx, blobKind, text, MaxFile)
	return Received{Blob: blob, Format: format}, err
}

// notText is how files begin that are often taken for CSV: ZIP archives and the workbooks that are such, old workbooks,
// archives of gzip, PDFs.
var notText = []string{"PK\x03\x04", "PK\x05\x06", "\xd0\xcf\x11\xe0", "\x1f\x8b", "%PDF-"}

func unsupported(detail string) error {
	return &fault.Error{Kind: fault.UnsupportedMedia, Code: "unsupported_media_type", Detail: detail}
}

// encodingOf says how a file is encoded: as its sender says, in words of ours. JSON is UTF-8.
func encodingOf(format Format, said, charset string) (string, error) {
	if said == "" {
		said = strings.ToLower(charset)
	}
	switch {
	case format == Lines && said != "" && said != "utf-8":
		return "", unsupported("Lines of JSON have to be in UTF-8.")
	case format == Lines:
		return "utf-8", nil
	case said == "us-ascii":
		return "utf-8", nil
	case said != "" && !slices.Contains(csvfile.Encodings(), said):
		return "", unsupported("The charset has to be one of " + strings.Join(csvfile.Encodings(), ", ") + ".")
	}
	return said, nil
}
