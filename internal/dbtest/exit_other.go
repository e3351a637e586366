//go:build !unix

package dbtest

func removeAtExit(string, string) error { return nil }
