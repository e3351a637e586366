package jobstates_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/jobstates"
)

// allowed is the life of a job as the documentation tells it, written a second time so that the two can disagree.
var allowed = map[string][]string{
	"new":        {"incoming"},
	"incoming":   {"processing"},
	"processing": {"completed", "incoming"},
	"completed":  {},
}

// TestMoves tries every move, from each status to each, with and without an input.
func TestMoves(t *testing.T) {
	t.Parallel()
	require.Len(t, allowed, len(jobstates.All()))
	for _, from := range jobstates.All() {
		for _, to := range jobstates.All() {
			for _, hasInput := range []bool{true, false} {
				state := jobstates.State{Status: from, HasInput: hasInput}
				what := fmt.Sprintf("%s to %s, input %t", from, to, hasInput)
				expected := allowed[from]
				code := "job_state"
				if from == "new" && !hasInput {
					expected = []string{}
					if to == "incoming" {
						code = "job_input_missing"
					}
				}
				require.Equal(t, expected, state.Allowed(), what)
				err := state.CheckMove(to)
				if from == to || slices.Contains(expected, to) {
					require.NoError(t, err, what)
					continue
				}
				var refused *fault.Error
				require.ErrorAs(t, err, &refused, what)
				require.Equal(t, fault.Conflict, refused.Kind, what)
				require.Equal(t, code, refused.Code, what)
				require.Equal(t, jobstates.Refusal{Status: from, Allowed: expected}, refused.About, what)
			}
		}
	}
	require.Error(t, jobstates.State{Status: "new", HasInput: true}.CheckMove("unheard of"))
}

// TestRights holds who may do what against what was promised.
func TestRights(t *testing.T) {
	t.Parallel()
	type key struct {
		side jobstates.Side
		act  jobstates.Act
	}
	promised := map[key][]string{
		{jobstates.Staff, jobstates.Edit}:        {"new", "incoming", "processing"},
		{jobstates.Staff, jobstates.PutFile}:     {"new", "incoming", "processing"},
		{jobstates.Staff, jobstates.DeleteFile}:  {"new", "incoming", "processing"},
		{jobstates.Staff, jobstates.DeleteInput}: {"new"},
		{jobstates.Staff, jobstates.Delete}:      {"new", "incoming", "completed"},
		{jobstates.People, jobstates.Edit}:       {"new"},
		{jobstates.People, jobstates.PutFile}:    {"new"},
		{jobstates.People, jobstates.Delete}:     {"new"},
	}
	acts := []jobstates.Act{
		jobstates.Edit, jobstates.PutFile, jobstates.DeleteFile, jobstates.DeleteInput, jobstates.Delete,
	}
	for _, side := range []jobstates.Side{jobstates.Staff, jobstates.People} {
		for _, act := range acts {
			for _, status := range append(jobstates.All(), "unheard of") {
				err := jobstates.State{Status: status}.Check(side, act)
				if slices.Contains(promised[key{side, act}], status) {
					require.NoError(t, err, "side %d, act %d, %s", side, act, status)
					continue
				}
				var refused *fault.Error
				require.ErrorAs(t, err, &refused, "side %d, act %d, %s", side, act, status)
				require.Equal(t, "job_state", refused.Code)
				require.Contains(t, refused.Detail, status)
			}
		}
	}
	require.Equal(t, []string{"new", "incoming", "completed"}, jobstates.Deletable())
}

// TestTheDrawing: the picture in the documentation has the moves of the table, and no others.
func TestTheDrawing(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/jobs.md")
	require.NoError(t, err)
	drawn := map[string][]string{}
	for _, arrow := range regexp.MustCompile(`(?m)^    ([a-z]+) --> ([a-z]+)`).FindAllStringSubmatch(string(page), -1) {
		drawn[arrow[1]] = append(drawn[arrow[1]], arrow[2])
	}
	for _, status := range jobstates.All() {
		require.ElementsMatch(t, jobstates.State{Status: status, HasInput: true}.Allowed(), drawn[status], status)
	}
}
