/**
 * What to send as a JSON Merge Patch (RFC 7396) to make one value of another: a member that is gone is sent as null, one that
 * has not changed is not sent, and whatever is no object is sent as it is.
 */
export function mergePatch(before: unknown, after: unknown): unknown {
  if (!isObject(before) || !isObject(after)) {
    return after;
  }
  const patch: Record<string, unknown> = {};
  for (const name of Object.keys(before)) {
    if (!(name in after)) {
      patch[name] = null;
    }
  }
  for (const [name, value] of Object.entries(after)) {
    if (JSON.stringify(before[name]) !== JSON.stringify(value)) {
      patch[name] = mergePatch(before[name], value);
    }
  }
  return patch;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
