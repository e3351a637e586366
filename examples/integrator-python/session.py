"""What every call goes through: an access token that is good, and another try when the server asks for one."""

import json
import threading
import time
import uuid

import urllib3
from clientele_client import ApiClient, ApiException, Configuration, SignInApi

EARLY = 30  # seconds by which a token counts as expired before it is


def configuration(url):
    """Says where the server is, and that 429 and 503 are waited for: then nothing has happened, and Retry-After says when to
    come back. A call that got no answer is not made again: it may have happened."""
    settings = Configuration(host=url)
    settings.retries = urllib3.Retry(
        total=5, read=False, status_forcelist=(429, 503), allowed_methods=None, backoff_factor=1, raise_on_status=False)
    return settings


class SignInRefused(Exception):
    """The server gives no token. It is no ApiException: the generated client would take that for the answer to the call that
    needed the token, and decode its body, which is decoded already."""

    def __init__(self, refusal):
        try:
            told = json.loads(refusal.body)
            code, words = told["error"], told["error_description"]
        except (KeyError, TypeError, ValueError):  # something on the way answered
            code, words = refusal.status, "there is no token"
            if refusal.status == 404:
                words += " at this address; CLIENTELE_URL may be wrong"
        super().__init__(f"signing in: {words} ({code})")


class Tokens:
    """Keeps an access token of an API client that is good. All that the program calls through share one of these."""

    def __init__(self, settings, client_id, secret):
        self.sign_in = SignInApi(ApiClient(settings))
        self.client_id, self.secret = client_id, secret
        self.lock = threading.Lock()
        self.token, self.ends = None, 0.0

    def access_token(self, refused=None):
        """Gives a token that is good for a while, and another one than the one that was refused."""
        with self.lock:
            if self.token in (None, refused) or time.monotonic() > self.ends:
                asked = time.monotonic()
                try:
                    granted = self.sign_in.token_create(
                        "client_credentials", client_id=self.client_id, client_secret=self.secret)
                except ApiException as refusal:
                    raise SignInRefused(refusal) from None
                self.token, self.ends = granted.access_token, asked + granted.expires_in - EARLY
            return self.token


class Session(ApiClient):
    """The generated client, with a token for every request."""

    def __init__(self, settings, tokens, header_name=None, header_value=None):
        super().__init__(settings, header_name, header_value)
        self.tokens = tokens

    def with_header(self, name, value):
        """Gives a client with a header of its own, such as the type of the files that it sends or asks for."""
        return Session(self.configuration, self.tokens, name, value)

    def request(self, method, url, query_params=None, headers=None, **rest):
        """Sends a request. A token may end before its time, as when somebody changes what the API client may do: after a 401
        the request is sent once more, with another token."""
        headers = dict(headers or {})
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())  # with a key the server does it once, however often it is sent
        rest["query_params"] = list(written(query_params or []))
        token = self.tokens.access_token()
        try:
            return super().request(method, url, headers=dict(headers, Authorization="Bearer " + token), **rest)
        except ApiException as refused:
            if refused.status != 401:
                raise
        token = self.tokens.access_token(refused=token)
        return super().request(method, url, headers=dict(headers, Authorization="Bearer " + token), **rest)

    def deserialize(self, response, response_type):
        # This version of the generator expects the first body that the contract names, also where there is none.
        return None if response.status == 204 else super().deserialize(response, response_type)


def written(parameters):
    """Writes query parameters as the contract has them. This version of the generator writes booleans as Python does, and
    does not know of objects such as properties[country]=Mexico."""
    for name, value in parameters:
        if isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield f"{name}[{key}]", inner
        else:
            yield name, value
