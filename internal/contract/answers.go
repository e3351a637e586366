package contract

// IsPublic tells whether anybody may call the operation.
func (o *Operation) IsPublic() bool { return len(o.Requirements) == 0 }

// HasAnswer tells whether the contract says that the operation may answer with the status.
func (o *Operation) HasAnswer(status int) bool { return o.operation.Responses.Status(status) != nil }
