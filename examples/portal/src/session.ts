// The session: an access token for ten minutes, in memory alone, and the refresh token that gets the next one. The refresh
// token is used once and answered with its successor, so two must never use the same one: calls of this tab share one
// refresh, and tabs that were duplicated, which begin with the same token, take turns and tell each other what came of it.

import type { components } from "./contract";

type Tokens = components["schemas"]["TokenResponse"];

/** What tabs tell each other: whose refresh token it was, and what it is now; null when the session has ended. */
interface News {
  before: string;
  tokens: Tokens | null;
}

const stored = "clientele.refresh_token";
const channel = new BroadcastChannel("clientele.session");
const early = 30_000; // milliseconds by which a token counts as expired before it is

let api = "";
let access: { token: string; until: number } | undefined;
let refreshing: Promise<boolean> | undefined;
let ended = (): void => {};

/** Says where the API is, and what to do when the session has ended. */
export function configure(url: string, whenEnded: () => void): void {
  api = url;
  ended = whenEnded;
}

/** Whether somebody is signed in, as far as is known. */
export function isOpen(): boolean {
  return sessionStorage.getItem(stored) !== null;
}

/** Signs in. Gives nothing on success, or what to tell the person. */
export async function signIn(username: string, password: string): Promise<string | undefined> {
  const response = await post("/oauth/token", { grant_type: "password", client_id: "portal", username, password });
  if (response.ok) {
    keep((await response.json()) as Tokens);
    return undefined;
  }
  if (response.status === 429) {
    return `Too many attempts. Please wait ${response.headers.get("Retry-After") ?? "a few"} seconds.`;
  }
  return response.status === 400 ? "The email address or the password is wrong." : "Signing in failed. Please try again later.";
}

/** Signs out, here and on the server. */
export async function signOut(): Promise<void> {
  const token = sessionStorage.getItem(stored);
  forget();
  if (token !== null) {
    channel.postMessage({ before: token, tokens: null } satisfies News);
    await post("/oauth/revoke", { token, client_id: "portal" }).catch(() => undefined); // it expires by itself
  }
}

/** Calls the API with a token, and once more with a new one where the first is not good any more. */
export async function authorizedFetch(request: Request): Promise<Response> {
  const again = request.clone(); // a body can be sent once
  const token = await current();
  const response = await fetch(withToken(request, token));
  if (response.status !== 401 || !(await refresh(token))) {
    return response;
  }
  return fetch(withToken(again, access?.token));
}

function withToken(request: Request, token: string | undefined): Request {
  if (token !== undefined) {
    request.headers.set("Authorization", `Bearer ${token}`);
  }
  return request;
}

async function current(): Promise<string | undefined> {
  if ((access === undefined || access.until < Date.now()) && isOpen()) {
    await refresh(access?.token);
  }
  return access?.token;
}

/** Gets a token after the one that is not good any more. However many ask for it, it is done once. */
function refresh(spent: string | undefined): Promise<boolean> {
  if (access !== undefined && access.token !== spent) {
    return Promise.resolve(true); // somebody was faster
  }
  refreshing ??= inTurn(refreshOnce).finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

async function refreshOnce(): Promise<boolean> {
  const before = access?.token;
  await new Promise((resolve) => setTimeout(resolve, 50)); // what the tab before told is on its way
  if (access !== undefined && access.token !== before) {
    return true;
  }
  const token = sessionStorage.getItem(stored);
  if (token === null) {
    return false;
  }
  const response = await post("/oauth/token", { grant_type: "refresh_token", client_id: "portal", refresh_token: token });
  if (response.ok) {
    const tokens = (await response.json()) as Tokens;
    keep(tokens);
    channel.postMessage({ before: token, tokens } satisfies News);
    return true;
  }
  if (response.status === 400) {
    forget();
    ended();
  }
  return false;
}

/** Lets one tab at a time do it. Browsers without locks, or pages without HTTPS, do it at once. */
async function inTurn(work: () => Promise<boolean>): Promise<boolean> {
  if (!("locks" in navigator)) {
    return work();
  }
  let done = false;
  await navigator.locks.request("clientele.refresh", async () => {
    done = await work();
  });
  return done;
}

channel.addEventListener("message", ({ data }: MessageEvent<News>) => {
  if (data.before !== sessionStorage.getItem(stored)) {
    return; // another session's
  }
  if (data.tokens === null) {
    forget();
    ended();
  } else {
    keep(data.tokens);
  }
});

function keep(tokens: Tokens): void {
  access = { token: tokens.access_token, until: Date.now() + tokens.expires_in * 1000 - early };
  sessionStorage.setItem(stored, tokens.refresh_token ?? ""); // programs get none, people always one
}

function forget(): void {
  access = undefined;
  sessionStorage.removeItem(stored);
}

function post(path: string, values: Record<string, string>): Promise<Response> {
  return fetch(api + path, { method: "POST", body: new URLSearchParams(values) });
}
