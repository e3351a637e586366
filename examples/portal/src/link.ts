let token: string | undefined;

/**
 * The token of the link that led here. It stands after the #, which browsers keep to themselves, and is taken out of the
 * address at once, so that it stays neither in the history nor on the screen.
 */
export function linkToken(): string {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) {
    token = given;
    history.replaceState(null, "", location.pathname);
  }
  return token ?? "";
}
