package queue

// What the tests of the log need from inside.
var Quiet = quiet
