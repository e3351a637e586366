package contract

import (
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// IsPublic tells whether anybody may call the operation.
func (o *Operation) IsPublic() bool { return len(o.Requirements) == 0 }

// Streams tells whether the body is of any media type, and read by the handler as it comes in.
func (o *Operation) Streams() bool { return len(o.MediaTypes) == 1 && o.MediaTypes[0] == "*/*" }

// IsFile tells whether a file goes to the operation or comes from it, which takes as long as it takes.
func (o *Operation) IsFile() bool { return o.downloads || o.Streams() }

// IsExpensive tells whether a caller may have only some of these requests under way at once.
func (o *Operation) IsExpensive() bool { return o.operation.Extensions["x-expensive"] == true }

// keyHeader is where the key of a request is sent.
const keyHeader = "Idempotency-Key"

// TakesKey tells whether the operation happens once for a key that is sent with it.
func (o *Operation) TakesKey() bool {
	return slices.ContainsFunc(o.parameters, func(parameter *openapi3.Parameter) bool {
		return parameter.In == openapi3.ParameterInHeader && parameter.Name == keyHeader
	})
}

// IsBeforeTerms tells whether customers' people may call the operation before they have accepted the terms.
func (o *Operation) IsBeforeTerms() bool { return o.operation.Extensions["x-before-terms"] == true }

// IsForManagers tells whether of customers' people only those may call the operation who have the role manager.
func (o *Operation) IsForManagers() bool {
	return o.operation.Extensions["x-portal-role"] == portalManager
}

// portalManager is the one role that x-portal-role asks for.
const portalManager = "manager"

// HasAnswer tells whether the contract says that the operation may answer with the status.
func (o *Operation) HasAnswer(status int) bool { return o.operation.Responses.Status(status) != nil }
