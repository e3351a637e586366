package blobs

// RetireUnreferenced is one step of Sweep, for tests that do something in the middle of it.
var RetireUnreferenced = retireUnreferenced
