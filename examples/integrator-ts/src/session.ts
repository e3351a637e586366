// What every request goes through: an access token that is good, and another try when the server asks for one.

import type { components } from "./contract.js";

type Tokens = components["schemas"]["TokenResponse"];
type Refused = components["schemas"]["OAuthError"];

const maxAttempts = 5;
const maxPause = 60; // seconds
const early = 30; // seconds by which a token counts as expired before it is

/**
 * Sends a request, and sends it again when the answer is 429 or 503: then nothing has happened, and Retry-After says when
 * to come back.
 */
export async function send(request: Request): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(request.clone()); // a body can be read once
    if ((response.status !== 429 && response.status !== 503) || attempt === maxAttempts) {
      return response;
    }
    await response.body?.cancel();
    await sleep(retryAfter(response.headers.get("Retry-After")));
  }
}

/** How long to wait, in seconds; the header holds seconds or a date (RFC 9110). */
export function retryAfter(header: string | null): number {
  const text = header?.trim() ?? "";
  const pause = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isNaN(pause) ? 1 : Math.min(Math.max(pause, 0), maxPause);
}

/** Waits for so many seconds. */
export function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** The refusal of the token endpoint to give a token (RFC 6749, 5.2). */
export class SignInRefused extends Error {
  constructor(code: string, description: string) {
    super(`signing in: ${description} (${code})`);
  }
}

/** Keeps a token of an API client that is good. Calls that need a new one at the same time share one request. */
export class Session {
  private granted: { token: string; until: number } | undefined;
  private granting: Promise<string> | undefined;

  constructor(
    private readonly url: string,
    private readonly clientId: string,
    private readonly secret: string,
  ) {}

  /**
   * What the client calls instead of fetch. A token may end before its time, as when somebody changes what the API client
   * may do: after a 401 the request is sent once more, with another token.
   */
  readonly fetch = async (request: Request): Promise<Response> => {
    if (request.method === "POST") {
      // With a key the server does it once, however often it is sent.
      request.headers.set("Idempotency-Key", crypto.randomUUID());
    }
    const token = await this.token();
    request.headers.set("Authorization", `Bearer ${token}`);
    const response = await send(request);
    if (response.status !== 401) {
      return response;
    }
    await response.body?.cancel();
    request.headers.set("Authorization", `Bearer ${await this.token(token)}`);
    return send(request);
  };

  /** Gives a token that is good for a while, and another one than the one that was refused. */
  private async token(refused?: string): Promise<string> {
    if (this.granted !== undefined && this.granted.token !== refused && Date.now() < this.granted.until) {
      return this.granted.token;
    }
    this.granting ??= this.grant().finally(() => {
      this.granting = undefined;
    });
    return this.granting;
  }

  /** Gets an access token (RFC 6749, 4.4). */
  private async grant(): Promise<string> {
    const asked = Date.now();
    const response = await send(
      new Request(`${this.url}/oauth/token`, {
        method: "POST",
        headers: { Authorization: `Basic ${btoa(`${this.clientId}:${this.secret}`)}` },
        body: new URLSearchParams({ grant_type: "client_credentials" }),
      }),
    );
    if (!response.ok) {
      const { error, error_description } = (await response.json().catch(() => ({}))) as Partial<Refused>;
      const none = response.status === 404 ? "there is no token at this address; CLIENTELE_URL may be wrong" : "there is no token";
      throw new SignInRefused(error ?? String(response.status), error_description ?? none);
    }
    const { access_token: token, expires_in } = (await response.json()) as Tokens;
    this.granted = { token, until: asked + (expires_in - early) * 1000 };
    return token;
  }
}
