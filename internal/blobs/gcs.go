//go:build gs

package blobs

// Google's client brings gRPC and all it knows of Google: it makes the program half as large again and takes a quarter
// more of memory at rest, so a program that is built without asking for it does not have it.
import _ "gocloud.dev/blob/gcsblob" // gs://
