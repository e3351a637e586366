package customers

// Action is something that can be done with a customer, as allowed_actions names it.
type Action string

const (
	// ActionDelete removes the customer for good, once it is confirmed.
	ActionDelete Action = "delete"
)

// allowed is the one table of what may be done in which status.
var allowed = map[string][]Action{
	"unregistered": {ActionDelete},
	"inactive":     {ActionDelete},
	"active":       {ActionDelete},
	"deactivated":  {ActionDelete},
}

// AllowedActions gives what may be done with a customer in the status.
func AllowedActions(status string) []Action { return allowed[status] }
