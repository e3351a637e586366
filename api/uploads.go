package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/fault"
)

// pieceTime is how long the next piece of an upload or a download may take: however large it is, it may take as long as
// it moves. receivedPiece is how much of an upload that is.
const (
	pieceTime     = 30 * time.Second
	receivedPiece = 16 << 10
)

// upload gives the body of a request that streams, without the time that ordinary requests have for all of theirs. That it
// ends too early is its sender's fault, which no reader below can know.
func upload(ctx context.Context, body io.Reader) io.Reader {
	controller := requestOf(ctx).controller
	_ = controller.SetWriteDeadline(time.Time{}) // where there is none to lift, there is none
	return &uploadReader{from: body, controller: controller}
}

type uploadReader struct {
	from       io.Reader
	controller *http.ResponseController
	left       int // of the piece that comes in
}

func (u *uploadReader) Read(into []byte) (int, error) {
	if u.left <= 0 {
		u.left = receivedPiece
		_ = u.controller.SetReadDeadline(time.Now().Add(pieceTime))
	}
	n, err := u.from.Read(into)
	u.left -= n
	if err != nil {
		_ = u.controller.SetWriteDeadline(time.Now().Add(pieceTime)) // the answer has its own time
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fault.BodyIncomplete(err)
	}
	return n, err
}

// download is a stored file as an answer: whole, in ranges, or as nothing new (RFC 9110). Whatever it holds, a browser
// runs nothing of it: it has an origin of its own there.
type download struct {
	ctx         context.Context
	reader      *blobs.Reader
	contentType string
	fileName    string
	digest      string // which is its ETag
	reprDigest  string // as the header has it; "" for none
	attached    bool   // for keeping, not for showing in a browser
}

// What browsers may do with a document: show it, with its own styles and images, in an origin of its own. A PDF is shown
// by a program of the browser's that a sandbox, or a policy that has no word for it, keeps from starting.
const (
	documentPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
	pdfPolicy      = "script-src 'none'"
	attachedPolicy = "sandbox; default-src 'none'"
)

// disposition tells what browsers are to do with the file: the first word of Content-Disposition, and a policy.
func (d download) disposition() (word, policy string) {
	switch {
	case d.attached:
		return "attachment", attachedPolicy
	case d.contentType == "application/pdf":
		return "inline", pdfPolicy
	}
	return "inline", documentPolicy
}

func (d download) serve(w http.ResponseWriter) error {
	defer d.reader.Close()
	header := w.Header()
	before := header.Clone()
	header.Set("Content-Type", d.contentType)
	header.Set("ETag", `"`+d.digest+`"`)
	if d.reprDigest != "" {
		header.Set("Repr-Digest", d.reprDigest)
	}
	word, policy := d.disposition()
	header.Set("Content-Security-Policy", policy)
	header.Set("Content-Disposition", mime.FormatMediaType(word, map[string]string{"filename": d.fileName}))
	// The time for reading goes on while the answer is written, and would end it.
	_ = requestOf(d.ctx).controller.SetReadDeadline(time.Time{})
	content := &downloadReader{Reader: d.reader, controller: requestOf(d.ctx).controller}
	writer := &downloadWriter{ResponseWriter: w, content: content}
	http.ServeContent(writer, requestOf(d.ctx).http, "", time.Time{}, content)
	if writer.isRefused {
		refused := &fault.Error{Kind: fault.OutOfRange, Code: "range_not_satisfiable", Detail: "Range does not ask for bytes, as bytes=0-1023 does."}
		if header.Get("Content-Range") != "" {
			refused.Detail = fmt.Sprintf("The file has %d bytes, and Range asks for others.", d.reader.Size())
		}
		clear(header) // of what is about the file
		maps.Copy(header, before)
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", d.reader.Size()))
		return refused
	}
	if content.failed != nil {
		// Ended as if it were whole it would pass for the file.
		panic(fmt.Errorf("%w: %w", http.ErrAbortHandler, content.failed))
	}
	return nil
}

// downloadReader gives each piece its time and remembers what went wrong.
type downloadReader struct {
	*blobs.Reader
	controller *http.ResponseController
	failed     error
}

func (d *downloadReader) Read(into []byte) (int, error) {
	_ = d.controller.SetWriteDeadline(time.Now().Add(pieceTime))
	n, err := d.Reader.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		d.failed = err
	}
	return n, err
}

// sentPiece is how much of a file is sent at a time: what comes to it within the time of a piece is no stalled reader.
const sentPiece = 128 << 10

// downloadWriter has files go from the disk to the connection without passing through the program, where they can. That a
// range is refused it notes, and leaves the words to others.
type downloadWriter struct {
	http.ResponseWriter
	content   *downloadReader
	isRefused bool
}

// WriteHeader begins the answer.
func (d *downloadWriter) WriteHeader(status int) {
	if d.isRefused = status == http.StatusRequestedRangeNotSatisfiable; !d.isRefused {
		d.ResponseWriter.WriteHeader(status)
	}
}

// Write goes on with the answer.
func (d *downloadWriter) Write(part []byte) (int, error) {
	if d.isRefused {
		return len(part), nil
	}
	return d.ResponseWriter.Write(part)
}

// ReadFrom sends what http.ServeContent copies: a number of bytes of the content, from where it was set to.
func (d *downloadWriter) ReadFrom(from io.Reader) (int64, error) {
	limited, isLimited := from.(*io.LimitedReader)
	answer, isEcho := d.ResponseWriter.(*echo.Response)
	if !isLimited || limited.R != d.content || !isEcho {
		return io.Copy(d.ResponseWriter, from)
	}
	file, err := d.content.File()
	connection, direct := unwrapped(answer).(io.ReaderFrom)
	if err != nil || file == nil || !direct {
		return io.Copy(d.ResponseWriter, from)
	}
	var sent int64
	for limited.N > 0 {
		_ = d.content.controller.SetWriteDeadline(time.Now().Add(pieceTime))
		piece := min(limited.N, sentPiece)
		n, err := connection.ReadFrom(&io.LimitedReader{R: file, N: piece})
		d.content.Skip(n)
		limited.N -= n
		sent += n
		answer.Size += n
		if err == nil && n < piece {
			d.content.failed = fmt.Errorf("reading a file that is shorter than it was: %w", io.ErrUnexpectedEOF)
			err = d.content.failed
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// unwrapped gives the writer of net/http, below those that only look at what is written before a body.
func unwrapped(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, wraps := w.(interface{ Unwrap() http.ResponseWriter })
		if !wraps {
			return w
		}
		w = outer.Unwrap()
	}
}
