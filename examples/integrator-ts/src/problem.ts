import type { components } from "./contract.js";

/** What the API says when it refuses something (RFC 9457). */
export type Problem = components["schemas"]["Problem"];

/** A refusal. The problem is empty when something between here and the server answered. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    const faults = (problem.errors ?? []).map(
      (fault) => `\n  ${fault.pointer ?? fault.parameter ?? fault.header ?? "the request"} ${fault.code}: ${fault.message}`,
    );
    super(`${status} ${problem.code ?? ""}: ${problem.detail ?? ""}${faults.join("")}`);
  }
}

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** Gives the data of an answer and its ETag, or throws the refusal. */
export async function must<Data>(answer: Promise<Answer<Data>>): Promise<{ data: Data; etag: string }> {
  const { data, error, response } = await answer;
  if (!response.ok) {
    throw new Refusal(response.status, (typeof error === "object" && error !== null ? error : {}) as Partial<Problem>);
  }
  return { data: data as Data, etag: response.headers.get("ETag") ?? "" };
}

/** Gives the refusal of a call that is expected to be refused. */
export async function refused(status: number, call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Refusal && error.status === status) {
      return error;
    }
    throw error;
  }
  throw new Error(`this should have been refused with ${status}`);
}
