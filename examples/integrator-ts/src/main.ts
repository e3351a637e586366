// Goes through what a program does that works with Clientele: it signs in, creates customers, lists them page by page,
// changes one, reads what the server refuses, sends a file and fetches one, and deletes what it made. It is written to be
// copied from. What is called here and is not in openapi.yaml does not compile.

import createClient from "openapi-fetch";

import type { components, paths } from "./contract.js";
import { must, refused } from "./problem.js";
import { Session, sleep } from "./session.js";

const url = (process.env["CLIENTELE_URL"] || "http://127.0.0.1:8080").replace(/\/+$/, "");
if (!/^https?:/i.test(url) || !URL.canParse(url)) {
  console.error("integrator-ts: CLIENTELE_URL must be an address such as https://clientele.example.com");
  process.exit(1);
}
const { CLIENTELE_CLIENT_ID: id, CLIENTELE_CLIENT_SECRET: secret } = process.env;
if (!id || !secret) {
  console.error("integrator-ts: set CLIENTELE_CLIENT_ID and CLIENTELE_CLIENT_SECRET");
  process.exit(1);
}
const api = createClient<paths>({ baseUrl: url, fetch: new Session(url, id, secret).fetch });

const tag = crypto.randomUUID(); // that all customers of this trip have, to find them again
const ids: string[] = []; // of the customers that are there

/** Makes five customers. */
async function create(): Promise<void> {
  const { data: me } = await must(api.GET("/v1/me"));
  console.log(`signed in as ${me.name}`);
  for (let number = 1; number <= 5; number++) {
    const { data: customer } = await must(
      api.POST("/v1/customers", {
        body: {
          name: `Antonio Moreno Taquería ${number}`,
          phone: "(5) 555-3932",
          company: "Moreno S.A.",
          external_id: `${tag}-${number}`,
          properties: { trip: tag, country: "Mexico" },
          // With a login that has a password a customer is active, and may submit jobs.
          ...(number === 1 ? { identity: { email: `${tag}@example.com`, password: crypto.randomUUID() } } : {}),
        },
      }),
    );
    ids.push(customer.id);
  }
  console.log(`created ${ids.length} customers`);
}

/** Goes through all pages. The place of the next one stands in each page; the last one has none. */
async function list(): Promise<void> {
  const query = { properties: { trip: tag }, sort: "created_at" as const, limit: 2 };
  let [pages, found] = [0, 0];
  let cursor: string | null | undefined;
  do {
    const { data: page } = await must(
      api.GET("/v1/customers", { params: { query: cursor == null ? query : { ...query, cursor } } }),
    );
    pages++;
    found += page.data.length;
    cursor = page.next_cursor;
  } while (cursor !== null);
  console.log(`listed ${found} customers on ${pages} pages`);
}

/**
 * Sends a merge patch. A member that is not mentioned stays, null clears, a value is set: JSON has all three, and so has an
 * object here. Never say undefined where you mean null; it is not sent.
 */
async function change(id: string): Promise<void> {
  const path = { customer_id: id };
  const { etag } = await must(api.GET("/v1/customers/{customer_id}", { params: { path } }));
  const { data: now } = await must(
    api.PATCH("/v1/customers/{customer_id}", {
      // With If-Match the change is made only if nobody else has made one since.
      params: { path, header: { "If-Match": etag } },
      body: {
        phone: null, // cleared
        address: "Mataderos 2312", // set
        properties: { country: null, tier: "gold" }, // merged key by key, in the same way
        // company is not mentioned: it stays.
      },
    }),
  );
  console.log(
    `changed: phone ${now.phone}, address ${now.address}, company ${now.company}, properties ${JSON.stringify(now.properties)}`,
  );
}

/** Makes mistakes on purpose. Programs go by `code`, which is stable; `detail` and `message` are for people. */
async function refusals(id: string): Promise<void> {
  const taken = must(api.POST("/v1/customers", { body: { name: "Another Antonio", external_id: `${tag}-1` } }));
  console.log(`refused: ${(await refused(409, taken)).message}`);
  const wrong = must(api.POST("/v1/customers", { body: { name: "", email: "nobody" } }));
  console.log(`refused: ${(await refused(422, wrong)).message}`);
  const params = { path: { customer_id: id }, header: { "If-Match": '"1.0"' } };
  const stale = must(api.PATCH("/v1/customers/{customer_id}", { params, body: { name: "Antonio" } }));
  console.log(`refused: ${(await refused(412, stale)).message}`);
}

/** A body that is a file goes out as it is, with its own type. The contract has no better word for it than a string. */
function file(content: Blob, type: string) {
  return { body: content as unknown as string, bodySerializer: () => content, headers: { "Content-Type": type } };
}

/**
 * Sends customers as a file, follows the work that it sets off, and fetches customers as a file. The import is a dry run: it
 * says what would become of the rows and writes none.
 */
async function rows(): Promise<void> {
  const csv = new Blob([
    "external_id,name,email\n",
    `${tag}-6,Königlich Essen,koeniglich@example.com\n`,
    `${tag}-7,Nobody,not an address\n`,
  ]);
  const { data: begun } = await must(
    api.POST("/v1/customers/import", { params: { query: { dry_run: true } }, ...file(csv, "text/csv") }),
  );
  const done = await follow(begun.id);
  console.log(`imported, as a trial: ${done.state}, ${done.progress.refused} of ${done.progress.read} rows refused`);

  const query = { properties: { trip: tag } };
  const exported = await must(api.GET("/v1/customers.csv", { params: { query }, parseAs: "blob" }));
  const lines = (await exported.data.text()).split("\n").length - 1;
  console.log(`downloaded ${lines} lines of CSV`);
}

/**
 * Submits a job, gives it its file, and fetches the file. The body of the request is the file itself; what it is called goes
 * along in Content-Disposition.
 */
async function jobFile(customerId: string): Promise<void> {
  const { data: job } = await must(
    api.POST("/v1/customers/{customer_id}/jobs", {
      params: { path: { customer_id: customerId } },
      body: { name: "Menus for December" },
    }),
  );
  const input = "%PDF-1.7\n%%EOF\n";
  const path = { job_id: job.id, kind: "input" as const };
  const { data: uploaded } = await must(
    api.PUT("/v1/jobs/{job_id}/files/{kind}", {
      params: { path, header: { "Content-Disposition": "attachment; filename=menus.pdf" } },
      ...file(new Blob([input]), "application/pdf"),
    }),
  );
  const { data: fetched } = await must(api.GET("/v1/jobs/{job_id}/files/{kind}", { params: { path }, parseAs: "blob" }));
  if ((await fetched.text()) !== input) {
    throw new Error("the file came back as another one");
  }
  console.log(`uploaded ${uploaded.filename} and fetched its ${fetched.size} bytes again`);
}

/** Waits for an operation to end. */
async function follow(operationId: string): Promise<components["schemas"]["Operation"]> {
  for (;;) {
    const path = { operation_id: operationId };
    const { data: operation } = await must(api.GET("/v1/operations/{operation_id}", { params: { path } }));
    if (operation.finished_at !== null) {
      return operation;
    }
    await sleep(0.2);
  }
}

/** Deletes what was created. It takes two calls: the first one is answered with what would go, and with a token. */
async function remove(): Promise<void> {
  if (ids.length === 0) {
    return;
  }
  for (const id of ids) {
    const path = { customer_id: id };
    const planned = await refused(428, must(api.DELETE("/v1/customers/{customer_id}", { params: { path } })));
    const confirm = planned.problem.confirmation_token ?? "";
    await must(api.DELETE("/v1/customers/{customer_id}", { params: { path, query: { confirm } } }));
  }
  console.log(`deleted ${ids.length} customers`);
}

/** Says what went wrong, in the server's words where it has refused something. */
function failed(error: unknown): void {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  console.error(`integrator-ts: ${message}${cause instanceof Error ? `: ${cause.message}` : ""}`);
  process.exitCode = 1;
}

try {
  await create();
  await list();
  await change(ids[0]!);
  await refusals(ids[0]!);
  await rows();
  await jobFile(ids[0]!);
} catch (error) {
  failed(error);
} finally {
  await remove().catch(failed);
}
