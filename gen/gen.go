// Package gen is where generated code lives: the server and the client from openapi.yaml, the queries from db/. Nothing
// below it is written by hand, except what tells the generators and the compiler what to do.
package gen

//go:generate cp ../openapi.yaml openapi/openapi.yaml
//go:generate go run -modfile=../tools.mod order.go ../openapi.yaml openapi/ordered.yaml
//go:generate go tool -modfile=../tools.mod oapi-codegen -config openapi/config.yaml openapi/ordered.yaml
//go:generate go tool -modfile=../tools.mod oapi-codegen -config client/config.yaml ../openapi.yaml
//go:generate go tool -modfile=../tools.mod sqlc generate -f ../sqlc.yaml
