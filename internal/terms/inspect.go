package terms

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/pdf"
)

// The types of documents.
const (
	pdfType  = "application/pdf"
	htmlType = "text/html"
	textType = "text/markdown"
)

// headLength is how much of a document is looked at to tell what it is.
const headLength = 1024

// inspector reads a document on and judges it on the way: text must be UTF-8 without NUL characters, and a PDF must be
// whole. What it refuses it refuses with an error of the reader, so that nothing of it is kept.
type inspector struct {
	from        io.Reader
	contentType string
	written     bool   // of text, whether there is more than white space
	carried     []byte // of text, the start of a character that has not come whole
	ending      pdf.Ending
}

// inspect tells what a document is by its first bytes, which must agree with what the caller says it is.
func inspect(declared string, content io.Reader) (*inspector, error) {
	buffered := bufio.NewReaderSize(content, headLength)
	head, err := buffered.Peek(headLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) == 0 {
		return nil, invalid("The document is empty.")
	}
	found := detect(head)
	media, parameters, err := mime.ParseMediaType(declared)
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, invalid("A document that is text has to be in UTF-8.")
	}
	if declared == "" {
		media, err = "application/octet-stream", nil
	}
	switch {
	case err == nil && (media == "application/octet-stream" || media == found):
	case err == nil && media == textType && found == htmlType: // Markdown may begin with a tag
		found = textType
	case err == nil && (media == pdfType || media == htmlType || media == textType):
		return nil, invalid("The document is not what Content-Type says it is.")
	default:
		return nil, &fault.Error{
			Kind: fault.UnsupportedMedia, Code: "unsupported_media_type",
			Detail: "The operation takes " + pdfType + ", " + htmlType + " or " + textType + ".",
		}
	}
	return &inspector{from: buffered, contentType: found}, nil
}

// detect tells what the first bytes of a document are of. What is neither a PDF nor begins with a tag is text.
func detect(head []byte) string {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte(pdf.Head)):
		return pdfType
	case len(text) > 1 && text[0] == '<' && (text[1] == '!' || text[1] == '?' || isLetter(text[1])):
		return htmlType
	}
	return textType
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// Read reads on.
func (i *inspector) Read(into []byte) (int, error) {
	n, err := i.from.Read(into)
	if fault := i.judge(into[:n]); fault != nil {
		return 0, fault
	}
	if errors.Is(err, io.EOF) {
		if fault := i.conclude(); fault != nil {
			return 0, fault
		}
	}
	return n, err
}

func (i *inspector) judge(part []byte) error {
	if i.contentType == pdfType {
		i.ending.Add(part)
		return nil
	}
	text := slices.Concat(i.carried, part)
	for len(text) > 0 {
		char, size := utf8.DecodeRune(text)
		if char == utf8.RuneError && size == 1 && !utf8.FullRune(text) {
			break // the rest of the character is still to come
		}
		if char == utf8.RuneError && size == 1 || char == 0 {
			return invalid("The document is not text in UTF-8.")
		}
		i.written = i.written || !unicode.IsSpace(char)
		text = text[size:]
	}
	i.carried = text
	return nil
}

// conclude judges a document that has come to its end.
func (i *inspector) conclude() error {
	if i.contentType == pdfType && !i.ending.Found() {
		return invalid("The document begins like a PDF and does not end like one.")
	}
	if len(i.carried) > 0 {
		return invalid("The document is not text in UTF-8.")
	}
	if i.contentType != pdfType && !i.written {
		return invalid("The document is empty.")
	}
	return nil
}

func invalid(detail string) error {
	return &fault.Error{Kind: fault.Invalid, Code: "document_invalid", Detail: detail}
}
