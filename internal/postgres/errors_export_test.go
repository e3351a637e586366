package postgres

// ConstraintFaults is for the test that holds it against the schema.
var ConstraintFaults = constraintFaults
