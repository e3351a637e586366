"""Prints the contract of a running installation in a form that OpenAPI Generator 4.3 takes: it cannot generate from an enum
that has null among its values, which nullable says as well."""

import http.client
import json
import sys
import urllib.request

from address import address


def without_null(node):
    if isinstance(node, dict):
        return {name: [one for one in value if one is not None] if name == "enum" and isinstance(value, list)
                else without_null(value) for name, value in node.items()}
    if isinstance(node, list):
        return [without_null(one) for one in node]
    return node


url = f"{address()}/openapi.json"
try:
    with urllib.request.urlopen(url) as answer:
        contract = json.load(answer)
except (OSError, ValueError, http.client.HTTPException) as failure:
    sys.exit(f"integrator-python: there is no contract at {url}: {failure}")
print(json.dumps(without_null(contract)))
