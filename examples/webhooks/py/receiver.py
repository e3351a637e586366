"""Receives webhooks: checks their signatures and prints what happened. See the README beside it.

It needs nothing but Python. The library `standardwebhooks` does the same as `verify`, which shows how little there is to it.
"""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 1 << 20
TOLERANCE = 5 * 60  # seconds that a message may be old, so that nobody sends it once more later

key = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
seen = set()


def verify(body, headers):
    """Gives the event when one of the signatures is right, over the body as it came. Raises ValueError otherwise."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        raise ValueError("too old, or too new")
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    for signature in headers.get("webhook-signature", "").split():
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(value.encode(), expected):
            return json.loads(body)
    raise ValueError("no signature is right")


class Receiver(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        try:
            size = int(self.headers.get("content-length", "0"))
            if not 0 <= size <= MAX_BODY:
                raise ValueError("too large")
            event = verify(self.rfile.read(size), self.headers)
        except ValueError:
            self.answer(400)
            return
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])  # it may come more than once
            print(event["type"], event["resource"]["id"], flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        """Says nothing: what matters is printed."""


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
