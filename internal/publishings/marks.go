package publishings

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math/big"
	"slices"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/rawjson"
)

// Publishings are found by marks: hashes of the members of their content, together with the customer. So each customer's
// marks are apart, and a search walks through those of one customer, however many publishings there are. Marks are stored:
// another way to make them needs all of them made anew.

// maxMarkedText is how many characters a text has at most that content is found by.
const maxMarkedText = 1000

// marks gives the marks of a content: for each member of the object that it is, that of its value, or of each value
// in the list that that is.
func marks(customerID uuid.UUID, content json.RawMessage) []int64 {
	found := []int64{}
	var members map[string]json.RawMessage
	if len(content) == 0 || content[0] != '{' || json.Unmarshal(content, &members) != nil {
		return found
	}
	for name, value := range members {
		values := []json.RawMessage{value}
		if value[0] == '[' {
			values = nil
			_ = json.Unmarshal(value, &values) // known to be valid
		}
		for _, one := range values {
			if compared := form(one); compared != "" {
				found = append(found, mark(customerID, name, compared))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// form gives a value in the one form in which it is compared, which begins with what kind of value it is; "" for a value
// that nothing is found by: null, an object, a list in a list, a text that is too long.
func form(value json.RawMessage) string {
	switch c := value[0]; {
	case c == '"':
		var text string
		if json.Unmarshal(value, &text) != nil || utf8.RuneCountInString(text) > maxMarkedText {
			return ""
		}
		return "s" + text
	case c == 't' || c == 'f':
		return "b" + string(value)
	case c == '-' || c >= '0' && c <= '9':
		if number, ok := new(big.Rat).SetString(string(value)); ok {
			return "n" + number.RatString()
		}
	}
	return ""
}

// memberMarks gives the marks of which a content has one when it has the member: as a text and, where the value is written
// like one, as a number or a boolean.
func memberMarks(customerID uuid.UUID, name, value string) []int64 {
	found := []int64{mark(customerID, name, "s"+value)}
	if isScalar(value) {
		if compared := form(json.RawMessage(value)); compared != "" {
			found = append(found, mark(customerID, name, compared))
		}
	}
	return found
}

// isScalar tells whether the text is that of a value that is not a text, such as a number of a size that a content takes.
func isScalar(text string) bool {
	refused, err := rawjson.Check([]byte(text), 1)
	return err == nil && len(refused) == 0 && text[0] != '"'
}

// mark hashes a member's name and the form of its value. There is no NUL in a name to confuse one with another.
func mark(customerID uuid.UUID, name, form string) int64 {
	text := make([]byte, 0, len(customerID)+len(name)+1+len(form))
	text = append(text, customerID[:]...)
	text = append(text, name...)
	text = append(text, 0)
	text = append(text, form...)
	hash := sha256.Sum256(text)
	return int64(binary.BigEndian.Uint64(hash[:])) // any 64 bits do
}
