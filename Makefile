# Shortcuts for people. Nothing needs them: go run ./cmd/clientele and go test ./... do without.

.PHONY: run test generate lint bench ci

run:
	go run ./cmd/clientele

test:
	go test ./...

generate:
	go generate ./...

lint:
	go tool -modfile=lint.mod golangci-lint run ./...

bench:
	go test -run '^$$' -bench . ./internal/bench

ci:
	bash .ci/run
