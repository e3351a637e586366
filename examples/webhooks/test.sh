#!/usr/bin/env bash
# Tries the receivers against the program, on a database of its own. Needs Go, PostgreSQL, Node 20.19 or newer and Python
# 3.9 or newer, and nothing that runs already.
set -euo pipefail
cd "$(dirname "$0")"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd ts && npm_config_cache="$scratch/npm" npm ci --no-audit --no-fund && npm run check)
(cd ../.. && go build -o "$scratch/clientele" ./cmd/clientele && go build -o "$scratch/receiver" ./examples/webhooks/go)
SCRATCH=$scratch node test.mjs
