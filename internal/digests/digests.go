// Package digests reads and writes the digests that travel with a file (RFC 9530).
package digests

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/dunglas/httpsfv"
)

// The algorithms that are known; RFC 9530 has no others that are safe.
const (
	sha256Name = "sha-256"
	sha512Name = "sha-512"
)

// Expected is what somebody says the digests of a file are. The zero value says nothing.
type Expected struct {
	sha256, sha512 []byte // nil when it is not said
}

// Parse reads a Repr-Digest header. Algorithms that are not known are passed over, but must be written as they should be.
func Parse(header string) (Expected, error) {
	said, err := httpsfv.UnmarshalDictionary([]string{header})
	if err != nil {
		return Expected{}, errors.New("must be digests such as sha-256=:…:, in base64 between colons")
	}
	var expected Expected
	for _, name := range said.Names() {
		member, _ := said.Get(name)
		item, isItem := member.(httpsfv.Item)
		digest, isBytes := item.Value.([]byte)
		if !isItem || !isBytes {
			return Expected{}, fmt.Errorf("must have the digest of %s in base64 between colons", name)
		}
		size := len(digest)
		switch name {
		case sha256Name:
			expected.sha256, size = digest, sha256.Size
		case sha512Name:
			expected.sha512, size = digest, sha512.Size
		}
		if len(digest) != size {
			return Expected{}, fmt.Errorf("must have %d bytes of %s, not %d", size, name, len(digest))
		}
	}
	return expected, nil
}

// Check tells what is wrong with a header, in words that follow its name.
func Check(header string) error {
	_, err := Parse(header)
	return err
}

// Verifier holds a file against what is said of it.
type Verifier struct {
	expected Expected
	long     hash.Hash // nil when it is not needed
}

// Verify gives a verifier, and the reader to read the file through. The SHA-256 is not worked out here: whoever stores a
// file does that anyway.
func (e Expected) Verify(content io.Reader) (*Verifier, io.Reader) {
	verifier := &Verifier{expected: e}
	if e.sha512 != nil {
		verifier.long = sha512.New()
		content = io.TeeReader(content, verifier.long)
	}
	return verifier, content
}

// Wrong gives the algorithm by which the file, read to its end, is not the one that was meant; "" when it is.
func (v *Verifier) Wrong(sha256 [sha256.Size]byte) string {
	if v.expected.sha256 != nil && !bytes.Equal(v.expected.sha256, sha256[:]) {
		return sha256Name
	}
	if v.long != nil && !bytes.Equal(v.expected.sha512, v.long.Sum(nil)) {
		return sha512Name
	}
	return ""
}

// Header gives the Repr-Digest header of a file with this SHA-256.
func Header(sha256 []byte) string {
	said := httpsfv.NewDictionary()
	said.Add(sha256Name, httpsfv.NewItem(sha256))
	header, err := httpsfv.Marshal(said)
	if err != nil {
		panic(fmt.Sprintf("digests: a digest that does not encode: %v", err)) // bytes always do
	}
	return header
}
