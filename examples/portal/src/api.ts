// The client of the API, typed by openapi.yaml: a path, a parameter or a member that is not in the contract does not compile.

import createClient, { type Client } from "openapi-fetch";

import type { paths } from "./contract";
import { authorizedFetch, configure } from "./session";

/** The client for those who are signed in. */
export let api: Client<paths>;

/** The client for what needs no token. */
export let open: Client<paths>;

/** Where the API is. */
export let apiURL = "";

/** Reads where the API is, from config.json beside the page. */
export async function connect(whenEnded: () => void): Promise<void> {
  const response = await fetch("/config.json");
  const config = (await response.json()) as { api: string };
  apiURL = config.api.replace(/\/+$/, "");
  configure(apiURL, whenEnded);
  api = createClient<paths>({ baseUrl: apiURL, fetch: authorizedFetch });
  open = createClient<paths>({ baseUrl: apiURL });
}
