package openapi

import _ "embed"

// Spec is the contract, openapi.yaml, to the letter.
//
//go:embed openapi.yaml
var Spec []byte
