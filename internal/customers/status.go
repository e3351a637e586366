package customers

// Action is something that can be done with a customer, as allowed_actions names it.
type Action string

const (
	// Delete removes the customer for good, once it is confirmed.
	Delete Action = "delete"
)

// allowed is the one table of what may be done in which status.
var allowed = map[string][]Action{
	"unregistered": {Delete},
	"inactive":     {Delete},
	"active":       {Delete},
	"deactivated":  {Delete},
}

// AllowedActions gives what may be done with a customer in the status.
func AllowedActions(status string) []Action { return allowed[status] }
