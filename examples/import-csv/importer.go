package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/clientele-api/clientele/gen/client"
)

// fault is one reason why a row was refused. The pointer leads into the customer that was sent; it is empty for the
// row as a whole.
type fault struct{ pointer, code, message string }

func (f fault) String() string {
	return strings.TrimSpace(f.pointer + " " + f.code + ": " + f.message)
}

// importer creates customers.
type importer struct {
	api     *client.Client
	calls   *caller
	session *session
	done    func() // is called once for each row that is dealt with
}

// run imports all rows, several at a time, and reports. After a fault that is not the row's own, such as a session
// that was ended, what is left is reported as not tried.
func (i *importer) run(ctx context.Context, from *source, workers int) report {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	rows := make(chan row)
	results := make(chan row)
	var working, collecting sync.WaitGroup
	for range workers {
		working.Go(func() {
			for one := range rows {
				results <- i.deal(ctx, stop, one)
			}
		})
	}
	outcome := report{header: from.header, delimiter: from.csv.Comma}
	collecting.Go(func() {
		for one := range results {
			outcome.add(one)
			i.done()
		}
	})
	for one := range from.rows() {
		rows <- one
	}
	close(rows)
	working.Wait()
	close(results)
	collecting.Wait()
	outcome.stopped = from.err
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		outcome.stopped = errors.New("interrupted")
	} else if cause != nil {
		outcome.stopped = cause
	}
	slices.SortFunc(outcome.refused, func(a, b row) int { return cmp.Compare(a.line, b.line) })
	return outcome
}

// deal creates the customer of a row, and gives the row back with the faults that are against it.
func (i *importer) deal(ctx context.Context, stop context.CancelCauseFunc, one row) row {
	if len(one.faults) > 0 {
		return one
	}
	if ctx.Err() != nil {
		one.faults = []fault{{code: "not_tried", message: "the import stopped before this row"}}
		return one
	}
	faults, err := i.create(ctx, one)
	switch {
	case errors.Is(err, errNoAnswer):
		one.faults = []fault{{code: "no_answer", message: "no answer came; import the file again, and nothing is done twice"}}
	case err != nil:
		stop(err)
		one.faults = []fault{{code: "not_tried", message: "the import stopped at this row"}}
	default:
		one.faults = faults
	}
	return one
}

// create sends one customer. Faults are the customer's; an error is one that the next customer would meet as well.
func (i *importer) create(ctx context.Context, one row) ([]fault, error) {
	key := keyOf(one)
	said, err := i.calls.do(ctx, true, func(ctx context.Context) (*http.Response, error) {
		token, err := i.session.token(ctx)
		if err != nil {
			return nil, fmt.Errorf("staying signed in: %v", err) //nolint:errorlint // that call's fault, not this one's
		}
		// What has been sent is waited for, whatever happens: half a call cannot be undone.
		return i.api.CustomerCreate(context.WithoutCancel(ctx), &client.CustomerCreateParams{IdempotencyKey: &key}, one.customer, bearer(token))
	})
	if err != nil {
		return nil, err
	}
	if said.status == http.StatusCreated {
		return nil, nil
	}
	problem := problemOf(said)
	if said.status == http.StatusUnauthorized || said.status == http.StatusForbidden {
		return nil, errors.New(problem.Detail)
	}
	return faultsOf(problem), nil
}

// keyOf gives a row its idempotency key: the same row of the same file has the same one, whenever it is imported. So a
// file that is imported twice within a day makes each customer once, and rows that look alike are still two.
func keyOf(one row) string {
	sent, _ := json.Marshal(one.customer) // texts
	return fmt.Sprintf("import-csv-%x", sha256.Sum256(fmt.Appendf(nil, "%d %s", one.line, sent)))
}

func bearer(token string) client.RequestEditorFn {
	return func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// problemOf reads a problem. Something between here and the server may have answered with anything else.
func problemOf(said answer) client.Problem {
	var problem client.Problem
	if err := json.Unmarshal(said.body, &problem); err != nil || problem.Code == "" {
		problem = client.Problem{
			Code: "http_" + strconv.Itoa(said.status), Detail: fmt.Sprintf("The server answered %d.", said.status),
		}
	}
	return problem
}

// faultsOf gives the faults of a problem: each one it lists, or else itself.
func faultsOf(problem client.Problem) []fault {
	if problem.Errors == nil || len(*problem.Errors) == 0 {
		return []fault{{code: problem.Code, message: problem.Detail}}
	}
	faults := make([]fault, len(*problem.Errors))
	for i, one := range *problem.Errors {
		faults[i] = fault{code: one.Code, message: one.Message}
		if one.Pointer != nil {
			faults[i].pointer = *one.Pointer
		}
	}
	return faults
}

// report says how it went.
type report struct {
	header    []string
	delimiter rune
	created   int
	refused   []row // in the order of the file
	stopped   error // why not all rows were tried
}

// The columns that refused rows have beside their own.
const (
	lineColumn   = "refused_line"
	reasonColumn = "refused_because"
)

// maxShown is how many faults are printed; the file has all of them.
const maxShown = 50

func (r *report) add(one row) {
	if len(one.faults) == 0 {
		r.created++
		return
	}
	r.refused = append(r.refused, one)
}

// write prints the report and puts the refused rows into a file.
func (r *report) write(stdout io.Writer, path string) error {
	fmt.Fprintf(stdout, "%d created, %d refused\n", r.created, len(r.refused))
	if r.stopped != nil {
		fmt.Fprintf(stdout, "stopped early: %v\n", r.stopped)
	}
	if len(r.refused) == 0 {
		return nil
	}
	shown := 0
	for _, one := range r.refused {
		for _, found := range one.faults {
			if shown++; shown <= maxShown {
				fmt.Fprintf(stdout, "line %d: %s\n", one.line, found)
			}
		}
	}
	if shown > maxShown {
		fmt.Fprintf(stdout, "… and %d more\n", shown-maxShown)
	}
	fmt.Fprintf(stdout, "the refused rows are in %s\n", path)
	return r.save(path)
}

// save writes the refused rows as they were, with the reasons in two more columns. The file can be corrected and
// imported.
func (r *report) save(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	writer := csv.NewWriter(file)
	writer.Comma = r.delimiter
	header := slices.DeleteFunc(slices.Clone(r.header), isReason)
	_ = writer.Write(append(header, lineColumn, reasonColumn)) // the writer keeps the error
	for _, one := range r.refused {
		_ = writer.Write(r.line(one))
	}
	writer.Flush()
	return errors.Join(writer.Error(), file.Close())
}

// line gives the cells of a refused row. One with too many or too few of them stays as it is, since nobody knows which
// column they belong to; it has the reasons at its end.
func (r *report) line(one row) []string {
	var cells []string
	if len(one.cells) == len(r.header) {
		for i, cell := range one.cells {
			if !isReason(r.header[i]) {
				cells = append(cells, cell)
			}
		}
	} else {
		cells = slices.Clone(one.cells)
		if last := len(r.header) - 1; isReason(r.header[last]) && len(cells) > 2 {
			cells = cells[:len(cells)-2] // the reasons of the time before
		}
	}
	reasons := make([]string, len(one.faults))
	for i, found := range one.faults {
		reasons[i] = found.String()
	}
	return append(cells, strconv.Itoa(one.line), strings.Join(reasons, "; "))
}

func isReason(column string) bool { return column == lineColumn || column == reasonColumn }
