#!/usr/bin/env bash
# Generates clientele_client from the contract of the installation at CLIENTELE_URL. Needs Java 8 or newer and Python 3, and npm
# ci before it.
set -euo pipefail
cd "$(dirname "$0")"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" contract.py >"$scratch/openapi.json"
rm -rf clientele_client
node_modules/.bin/openapi-generator generate --generator-name python --package-name clientele_client \
  --input-spec "$scratch/openapi.json" --output "$scratch/client" \
  --global-property apiTests=false,modelTests=false,apiDocs=false,modelDocs=false >"$scratch/log" 2>&1 ||
  { cat "$scratch/log"; exit 1; }
mv "$scratch/client/clientele_client" .
