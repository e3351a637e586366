// Package pdf tells by its first and last bytes whether a file is a whole PDF. It reads no further into one.
package pdf

import "bytes"

// Head is what a PDF begins with.
const Head = "%PDF-"

// What a PDF has within its last bytes, and how many these are.
var end = []byte("%%EOF")

const endSize = 1024

// Ending keeps the last bytes of a file that comes in parts. The zero value has seen none.
type Ending struct{ tail []byte }

// Add notes the next part.
func (e *Ending) Add(part []byte) {
	if len(part) >= endSize {
		e.tail = append(e.tail[:0], part[len(part)-endSize:]...)
		return
	}
	e.tail = append(e.tail, part...)
	e.tail = append(e.tail[:0], e.tail[max(0, len(e.tail)-endSize):]...)
}

// Found tells whether the parts so far end as a PDF does.
func (e *Ending) Found() bool { return bytes.Contains(e.tail, end) }
