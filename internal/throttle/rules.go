package throttle

import "time"

// rule says how often something may be tried. The first tries are free; then each is followed by a wait, at first the
// first wait, twice as long each time, at last the longest. What was counted is forgotten when nothing was for as long
// as memory.
type rule struct {
	name    string // part of what is hashed: a renamed rule counts anew
	login   bool   // counted for each login of a realm, or for all together
	address bool   // counted for each address, or for all together

	free           int
	knownFree      int           // of a login at an address from which it has signed in; 0 for as many
	first, longest time.Duration // whole seconds, no longer than memory

	exceptKnown bool // does not apply to a login at an address from which it has signed in
}

const (
	memory      = time.Hour
	knownMemory = 30 * 24 * time.Hour // how long an address stays known
)

// guesses are tries at a secret. The rule for a login at an address is the first: a success forgets what it counted.
//
// Who guesses at a login from many addresses must not keep its owner out, nor must who guesses at many logins from the
// network of an office keep out those who work there. So the wider two leave out known addresses, and there the first
// alone, which nobody can wear out from elsewhere, slows the guessing down.
var guesses = []rule{
	{
		name: "guess at a login from an address", login: true, address: true,
		// A try counts as failed until it has succeeded: programs that sign in many times at once need some room.
		free: 10, knownFree: 40, first: time.Second, longest: 5 * time.Minute,
	},
	{
		name: "guess from an address", address: true,
		// An office that comes to work signs in at once, from one address and for the first time.
		free: 100, first: time.Second, longest: 5 * time.Minute, exceptKnown: true,
	},
	{
		name: "guess at a login", login: true,
		free: 50, first: time.Second, longest: 30 * time.Second, exceptKnown: true,
	},
}

// resets are requests for a mail by which a password is set anew: one a minute and five an hour for a login, thirty an
// hour from an address.
var resets = []rule{
	{name: "reset of a login, each minute", login: true, free: 1, first: time.Minute, longest: time.Minute},
	{name: "reset of a login, each hour", login: true, free: 5, first: time.Hour, longest: time.Hour},
	{name: "reset from an address", address: true, free: 30, first: time.Hour, longest: time.Hour},
}

// invitations are mails that a manager has sent to a contact: one a minute and five an hour for an address.
var invitations = []rule{
	{name: "invitation, each minute", login: true, free: 1, first: time.Minute, longest: time.Minute},
	{name: "invitation, each hour", login: true, free: 5, first: time.Hour, longest: time.Hour},
}
