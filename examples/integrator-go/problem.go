package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/clientele-api/clientele/gen/client"
)

// refusal is an answer that is not a success, as an error.
type refusal struct {
	status  int
	problem client.Problem // empty when something between here and the server answered
}

// Error gives the server's words, with each fault and the place where it is.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%d %s: %s", r.status, r.problem.Code, r.problem.Detail)
	for _, one := range r.faults() {
		text += fmt.Sprintf("\n  %s %s: %s", place(one), one.Code, one.Message)
	}
	return text
}

func (r *refusal) faults() []client.FieldError {
	if r.problem.Errors == nil {
		return nil
	}
	return *r.problem.Errors
}

// place says where a fault is: in the body, a parameter or a header.
func place(fault client.FieldError) string {
	for _, one := range []*string{fault.Pointer, fault.Parameter, fault.Header} {
		if one != nil {
			return *one
		}
	}
	return "the request"
}

// answered gives an error for an answer that is not a success. The generated client has one field for each status that
// the contract names; all of them hold the same document, so one place that reads it is enough.
func answered(response *http.Response, body []byte) error {
	if response.StatusCode < 300 {
		return nil
	}
	refused := &refusal{status: response.StatusCode}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/problem+json") {
		if err := json.Unmarshal(body, &refused.problem); err != nil {
			return fmt.Errorf("reading a problem: %w", err)
		}
	}
	return refused
}
