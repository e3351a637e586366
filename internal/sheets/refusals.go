package sheets

// The columns that a file of refused rows has in front of the ones that it had. A file that has them can be imported as it
// is: they are passed over.
const (
	RefusedRow     = "refused_row"
	RefusedBecause = "refused_because"
)

// IsRefusalColumn tells whether a header is of one of them.
func IsRefusalColumn(header string) bool { return header == RefusedRow || header == RefusedBecause }
