// Package jobstates says what may be done with a job in which status, and by whom: a few tables, and the faults of what is
// not in them. It knows no database. Jobs go by it, and so does the deletion of the customers that have them.
package jobstates

import (
	"slices"

	"github.com/clientele-api/clientele/internal/fault"
)

// The statuses of a job.
const (
	New        = "new"        // submitted; its people may still change it
	Incoming   = "incoming"   // accepted
	Processing = "processing" // being printed
	Completed  = "completed"  // done
)

// All gives every status, in the order in which a job has them.
func All() []string { return []string{New, Incoming, Processing, Completed} }

// State is what decides on what may be done with a job.
type State struct {
	Status   string
	HasInput bool // whether there is a file to print
}

// move is one line of the table: a job may go from the one status to the other.
type move struct {
	from, to   string
	needsInput bool
}

// moves is the one table of the life of a job: what is not in it is refused.
var moves = []move{
	{from: New, to: Incoming, needsInput: true},
	{from: Incoming, to: Processing},
	{from: Processing, to: Completed},
	{from: Processing, to: Incoming},
}

// Allowed gives where the job may be moved.
func (s State) Allowed() []string {
	allowed := []string{}
	for _, m := range moves {
		if m.from == s.Status && (s.HasInput || !m.needsInput) {
			allowed = append(allowed, m.to)
		}
	}
	return allowed
}

// CheckMove refuses a move that is not in the table. Staying is none, and is not refused.
func (s State) CheckMove(to string) error {
	if to == s.Status || slices.Contains(s.Allowed(), to) {
		return nil
	}
	withInput := State{Status: s.Status, HasInput: true}
	if slices.Contains(withInput.Allowed(), to) {
		return &fault.Error{
			Kind: fault.Conflict, Code: "job_input_missing", About: s.refusal(),
			Detail: "The job has no input file yet. Upload one first.",
		}
	}
	return s.refuse(" and cannot become " + to + ".")
}

// Side is who does something with a job.
type Side int

// The sides.
const (
	Staff  Side = iota // who prints
	People             // who has it printed
)

// Act is something that is done with a job, other than moving it.
type Act int

// The acts.
const (
	Edit        Act = iota // change its fields
	PutFile                // add a file, or put another one in its place
	DeleteFile             // other than the input
	DeleteInput            // which it cannot do without later
	Delete                 // all of it
)

// rights is the one table of who may do what in which status. What is not in it is refused.
var rights = map[Side]map[Act][]string{
	Staff: {
		Edit:        {New, Incoming, Processing},
		PutFile:     {New, Incoming, Processing},
		DeleteFile:  {New, Incoming, Processing},
		DeleteInput: {New},
		Delete:      {New, Incoming, Completed},
	},
	People: {
		Edit:    {New},
		PutFile: {New},
		Delete:  {New},
	},
}

// refusals says of each act, after the status that stands against it, what that means.
var refusals = map[Act]string{
	Edit:        " and does not change any more.",
	PutFile:     "; its files do not change any more.",
	DeleteFile:  "; its files do not change any more.",
	DeleteInput: " and cannot do without its input.",
	Delete:      " and cannot be deleted.",
}

// Check refuses what the side may not do with the job.
func (s State) Check(by Side, act Act) error {
	if slices.Contains(rights[by][act], s.Status) {
		return nil
	}
	return s.refuse(refusals[act])
}

// Deletable gives the statuses of jobs that go with their customer when it is deleted: those in which staff may delete
// them. A job in another status keeps its customer.
func Deletable() []string { return slices.Clone(rights[Staff][Delete]) }

// Refusal is what a refusal is about: the status that stands against it, and where the job may be moved instead.
type Refusal struct {
	Status  string
	Allowed []string
}

func (s State) refusal() Refusal { return Refusal{Status: s.Status, Allowed: s.Allowed()} }

// refuse says of a job in the status what cannot be done with it.
func (s State) refuse(what string) error {
	return &fault.Error{
		Kind: fault.Conflict, Code: "job_state", Detail: "The job is " + s.Status + what, About: s.refusal(),
	}
}
