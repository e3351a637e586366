#!/usr/bin/env bash
# Builds the example portal and drives it in a headless Chromium against the program. Needs Go, Node 20.19 or newer and
# Chromium, and nothing that runs already.
set -euo pipefail
cd "$(dirname "$0")"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
npm_config_cache="$scratch/npm" npm ci --no-audit --no-fund
npm run build
(cd ../.. && go build -o "$scratch/clientele" ./cmd/clientele)
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)} \
  CLIENTELE="$scratch/clientele" npm test
