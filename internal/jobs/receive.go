package jobs

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"regexp"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/digests"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/filename"
	"github.com/clientele-api/clientele/internal/pdf"
)

// The kinds of a job's files.
const (
	Input    = "input"     // the PDF that is printed
	PDLModel = "pdl-model" // how it is printed
	Support  = "support"   // whatever else is needed
)

// kind is what there is to know of a kind of file.
type kind struct {
	maxSize     int64
	contentType string // "" for that of the sender
	name        string // for a file of which no name is said
	ending      string // that every name has; "" for any
}

var kinds = map[string]kind{
	Input:    {maxSize: 1 << 30, contentType: "application/pdf", name: "input", ending: ".pdf"},
	PDLModel: {maxSize: 16 << 20, contentType: "application/json", name: "pdl-model", ending: ".json"},
	Support:  {maxSize: 1 << 30, name: "support"},
}

// blobKind is what the bytes of jobs' files are kept under.
const blobKind = "jobs"

// MaxSize is how many bytes a file of the kind has at most.
func MaxSize(kind string) int64 { return kinds[kind].maxSize }

// Upload is a file as it arrives.
type Upload struct {
	Kind        string
	Content     io.Reader
	ContentType string // that the sender says; "" for none
	Disposition string // Content-Disposition; "" for none
	Digest      string // Repr-Digest; "" for none
}

// Received is a file that has arrived whole and is stored, but belongs to no job yet.
type Received struct {
	Kind        string
	Filename    string
	ContentType string
	Blob        blobs.Blob
}

// Receive stores a file, which is judged by its content. One that is refused, that is not what its digest says, or that does
// not arrive whole leaves nothing behind. It takes as long as the sender sends, so it comes before the transaction.
func Receive(ctx context.Context, store *blobs.Store, upload Upload) (Received, error) {
	received, expected, err := upload.read()
	if err != nil {
		return Received{}, err
	}
	verifier, content := expected.Verify(upload.Content)
	if upload.Kind == Input {
		content = &pdfReader{from: content}
	}
	received.Blob, err = store.WriteIf(ctx, blobKind, content, MaxSize(upload.Kind), func(blob blobs.Blob) error {
		if blob.Size == 0 {
			return invalid("The file is empty.")
		}
		if wrong := verifier.Wrong(blob.SHA256); wrong != "" {
			return &fault.Error{
				Kind: fault.Invalid, Code: "digest_mismatch", Detail: "The file has another " + wrong + " than Repr-Digest says.",
			}
		}
		return nil
	})
	if err == nil && upload.Kind == PDLModel {
		err = keepJSON(ctx, store, received.Blob.Key)
	}
	return received, err
}

// read reads what is said of a file beside it.
func (u Upload) read() (received Received, expected digests.Expected, err error) {
	received = Received{Kind: u.Kind, ContentType: kinds[u.Kind].contentType}
	if u.ContentType != "" && !IsMediaType(u.ContentType) {
		return received, expected, &fault.Error{
			Kind: fault.UnsupportedMedia, Code: "unsupported_media_type",
			Detail: "Content-Type is no media type. Send that of the file, such as application/pdf, or application/octet-stream.",
		}
	}
	media, parameters, err := mime.ParseMediaType(u.ContentType)
	if media == "multipart/form-data" {
		return received, expected, &fault.Error{
			Kind: fault.UnsupportedMedia, Code: "unsupported_media_type",
			Detail: "The body is a form. Send the file itself as the body.",
		}
	}
	if received.ContentType == "" {
		received.ContentType = "application/octet-stream"
		if err == nil {
			received.ContentType = cmp.Or(mime.FormatMediaType(media, parameters), received.ContentType)
		}
	}
	var name string
	if u.Disposition != "" {
		if name, err = filename.FromDisposition(u.Disposition); err != nil {
			return received, expected, invalidHeader("Content-Disposition", err)
		}
	}
	received.Filename = cmp.Or(filename.Clean(name), kinds[u.Kind].name)
	if ending := kinds[u.Kind].ending; ending != "" {
		received.Filename = filename.WithEnding(received.Filename, ending)
	}
	if u.Digest != "" {
		if expected, err = digests.Parse(u.Digest); err != nil {
			return received, expected, invalidHeader("Repr-Digest", err)
		}
	}
	return received, expected, nil
}

// mediaType is a type, a subtype and parameters (RFC 9110, 8.3.1). The parser of the standard library refuses some that are right.
var mediaType = func() *regexp.Regexp {
	const word = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	const parameter = word + `=(?:` + word + `|"(?:[^"\\]|\\.)*")`
	return regexp.MustCompile(`^(` + word + `)/(` + word + `)(?:[ \t]*;[ \t]*(?:` + parameter + `)?)*$`)
}()

// IsMediaType tells whether a text is the media type of something, which a wildcard is of nothing.
func IsMediaType(text string) bool {
	found := mediaType.FindStringSubmatch(text)
	return found != nil && found[1] != "*" && found[2] != "*"
}

func invalidHeader(name string, err error) error {
	return fault.InvalidRequest(fault.Field{Header: name, Code: "invalid_format", Message: err.Error()})
}

func invalid(detail string) error {
	return &fault.Error{Kind: fault.Invalid, Code: "file_invalid", Detail: detail}
}

// pdfReader passes on a PDF. What is none, or has not come to its end, it refuses with an error of the reader, so that
// nothing of it is kept.
type pdfReader struct {
	from   io.Reader
	head   []byte // as far as it has come
	ending pdf.Ending
}

// Read reads on.
func (p *pdfReader) Read(into []byte) (int, error) {
	n, err := p.from.Read(into)
	part := into[:n]
	if missing := len(pdf.Head) - len(p.head); missing > 0 {
		p.head = append(p.head, part[:min(missing, n)]...)
		if string(p.head) != pdf.Head[:len(p.head)] {
			return 0, invalid("The file does not begin like a PDF.")
		}
	}
	p.ending.Add(part)
	if errors.Is(err, io.EOF) && len(p.head) > 0 && !p.ending.Found() {
		return 0, invalid("The file begins like a PDF and does not end like one.")
	}
	return n, err
}

// keepJSON reads a stored file again and deletes it unless it is JSON. Read on its way it would have to be held in memory.
func keepJSON(ctx context.Context, store *blobs.Store, key string) error {
	reader, err := store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer reader.Close()
	err = checkJSON(bufio.NewReader(reader))
	if fault.IsKind(err, fault.Invalid) {
		store.Discard(ctx, key)
	}
	return err
}

// maxJSONDepth is how deep a PDL model may be nested.
const maxJSONDepth = 1000

// checkJSON refuses what is not one JSON value in UTF-8. It holds no more of it than its longest text.
func checkJSON(content io.Reader) error {
	decoder := json.NewDecoder(transform.NewReader(content, encoding.UTF8Validator))
	decoder.UseNumber() // which may be larger than any that Go has
	depth, values := 0, 0
	for {
		token, err := decoder.Token()
		var syntax *json.SyntaxError
		switch {
		case errors.Is(err, io.EOF) && depth == 0 && values == 1:
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax):
			return invalid("The file is not JSON.")
		case errors.Is(err, encoding.ErrInvalidUTF8):
			return invalid("The file is not in UTF-8.")
		case err != nil:
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > maxJSONDepth {
			return invalid("The file is nested more than 1000 levels deep.")
		}
		if depth == 0 {
			values++
		}
		if values > 1 {
			return invalid("The file has more than one JSON value.")
		}
	}
}
