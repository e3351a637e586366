"""Says where the installation is: at CLIENTELE_URL, or on this machine."""

import os
import re
import sys


def address():
    url = (os.environ.get("CLIENTELE_URL") or "http://127.0.0.1:8080").rstrip("/")
    if not re.match("https?://[^/?#]", url, re.IGNORECASE):
        sys.exit("integrator-python: CLIENTELE_URL must be an address such as https://clientele.example.com")
    return url
