import type { components } from "./contract";

/** What the API says when it refuses something (RFC 9457). */
export type Problem = components["schemas"]["Problem"];

/** A refusal, or a failure of the connection, which has no problem. */
export class Refused extends Error {
  constructor(
    readonly problem: Partial<Problem>,
    readonly status: number,
  ) {
    super(problem.detail ?? "Something went wrong. Please try again.");
  }

  get code(): string {
    return this.problem.code ?? "";
  }
}

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** Gives the data of an answer, or throws the refusal. */
export async function must<Data>(answer: Promise<Answer<Data>>): Promise<{ data: Data; etag: string }> {
  const { data, error, response } = await answer;
  if (!response.ok) {
    throw new Refused((error ?? {}) as Partial<Problem>, response.status);
  }
  return { data: data as Data, etag: response.headers.get("ETag") ?? "" };
}
