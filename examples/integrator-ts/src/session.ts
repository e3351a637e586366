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

/** Keeps a token that is good. Calls that need a new one at the same time share one request. */
export class Session {
  private tokens: (Tokens & { until: number }) | undefined;
  private granting: Promise<string> | undefined;

  constructor(
    private readonly url: string,
    private readonly email: string,
    private readonly password: string,
  ) {}

  /** What the client calls instead of fetch. */
  readonly fetch = async (request: Request): Promise<Response> => {
    request.headers.set("Authorization", `Bearer ${await this.token()}`);
    if (request.method === "POST") {
      // With a key the server does it once, however often it is sent.
      request.headers.set("Idempotency-Key", crypto.randomUUID());
    }
    return send(request);
  };

  private async token(): Promise<string> {
    if (this.tokens !== undefined && Date.now() < this.tokens.until) {
      return this.tokens.access_token;
    }
    this.granting ??= this.renew().finally(() => {
      this.granting = undefined;
    });
    return this.granting;
  }

  private async renew(): Promise<string> {
    if (this.tokens !== undefined) {
      const spent = this.tokens.refresh_token;
      this.tokens = undefined;
      const refused = await this.grant({ grant_type: "refresh_token", refresh_token: spent });
      if (refused === undefined) {
        return this.token();
      }
      // The session has ended; a new one begins.
    }
    const refused = await this.grant({ grant_type: "password", username: this.email, password: this.password });
    if (refused !== undefined) {
      throw new Error(`signing in: ${refused}`);
    }
    return this.token();
  }

  /** Asks for tokens, and tells why there are none. */
  private async grant(form: Record<string, string>): Promise<string | undefined> {
    const asked = Date.now();
    const body = new URLSearchParams({ client_id: "staff", ...form });
    const response = await send(new Request(`${this.url}/oauth/token`, { method: "POST", body }));
    if (!response.ok) {
      const { error, error_description } = (await response.json().catch(() => ({}))) as Partial<Refused>;
      return `${error_description ?? "there is no token"} (${error ?? response.status})`;
    }
    const granted = (await response.json()) as Tokens;
    this.tokens = { ...granted, until: asked + (granted.expires_in - early) * 1000 };
    return undefined;
  }
}
