package publishings

import "github.com/clientele-api/clientele/internal/fault"

// The states of a publishing.
const (
	Draft     = "draft"     // being written: the only state in which it may be
	Submitted = "submitted" // handed in
	Archived  = "archived"  // put away
)

// moves is the one table of states: from each, where it may go. What is not in it is refused.
var moves = map[string][]string{
	Draft:     {Submitted, Archived},
	Submitted: {Draft, Archived},
	Archived:  {Draft},
}

// Refusal is what a refused change is about: the state that stands against it, and where the publishing may go from there.
type Refusal struct {
	State   string
	Allowed []string
}

// checkMove refuses a move that is not in the table; staying is none.
func checkMove(from, to string) error {
	if from == to {
		return nil
	}
	for _, allowed := range moves[from] {
		if allowed == to {
			return nil
		}
	}
	return refuse(from, " and cannot become "+to+".")
}

// refuse says of a publishing in the state what cannot be done with it.
func refuse(state, what string) error {
	return &fault.Error{
		Kind: fault.Conflict, Code: "publishing_state", Detail: "The publishing is " + state + what,
		About: Refusal{State: state, Allowed: moves[state]},
	}
}
