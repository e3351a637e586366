"""Prints the contract of a running installation in a form that OpenAPI Generator 4.3 takes: it cannot generate from an enum
that has null among its values, which nullable says as well."""

import json
import os
import urllib.request


def without_null(node):
    if isinstance(node, dict):
        return {name: [one for one in value if one is not None] if name == "enum" and isinstance(value, list)
                else without_null(value) for name, value in node.items()}
    if isinstance(node, list):
        return [without_null(one) for one in node]
    return node


url = (os.environ.get("CLIENTELE_URL") or "http://127.0.0.1:8080").rstrip("/")
with urllib.request.urlopen(f"{url}/openapi.json") as answer:
    print(json.dumps(without_null(json.load(answer))))
