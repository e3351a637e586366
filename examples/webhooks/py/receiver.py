"""Receives webhooks: checks their signatures and prints what happened. See the README beside it.

It needs nothing but Python. The library `standardwebhooks` does the same as `verify`, which shows how little there is to it.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 1 << 20
TOLERANCE = 5 * 60  # seconds that a message may be old, so that nobody sends it once more later

secret, port = os.environ.get("WEBHOOK_SECRET", ""), os.environ.get("PORT")
try:
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)  # without validate it takes anything
except ValueError:
    key = b""
if not secret.startswith("whsec_") or len(key) < 24:
    sys.exit("receiver: set WEBHOOK_SECRET to the secret of the endpoint, whsec_ and Base64")
if not port:
    sys.exit("receiver: set PORT to the port to listen on")
lock = threading.Lock()  # each request has a thread of its own
seen = set()


def verify(body, headers):
    """Gives the event when one of the signatures is right, over the body as it came. Raises ValueError otherwise."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not message_id or not timestamp:
        raise ValueError("not signed")
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
        except ValueError as error:
            sys.stderr.write(f"receiver: refused a request: {error}\n")
            self.answer(400)
            return
        with lock:
            if self.headers["webhook-id"] not in seen:
                seen.add(self.headers["webhook-id"])  # it may come more than once
                sys.stdout.write(f"{event['type']} {event['resource']['id']}\n")
                sys.stdout.flush()
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        """Says nothing: what matters is printed."""


ThreadingHTTPServer.request_queue_size = 128  # many events may come at once
ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver).serve_forever()
