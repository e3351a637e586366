import { form } from "./postman.js";
import { begin, end, otherwise, refused } from "./tour.js";

// Folders come in an order in which each finds what it works with: what ends logins comes last. Those that are not named
// stand between, in the order of the contract.
const first = ["System", "Sign-in", "Me", "Terms", "Publishings", "Portal"];
const last = ["Customers", "Activation", "Identities", "Staff"];

/** Arranges requests in folders: a beginning that makes what the others need, a folder for each tag, and an end that cleans up. */
export function arranged(contract, requests) {
  const folders = contract.doc.tags.map(({ name, description }) => ({
    name, description,
    item: [...requests.values()].filter(({ operation }) => operation.tags[0] === name).sort(byRank)
      .map((one) => item(contract, one, {
        ...answers(contract, one.operation), ...special(contract, one.operation),
      })),
  }));
  const place = ({ name }) =>
    first.includes(name) ? first.indexOf(name) : last.includes(name) ? 1000 + last.indexOf(name) : 100;
  const steps = (list) => list.map((step) => item(contract, requests.get(step.operation), step));
  return {
    info: {
      name: "Clientele", schema: "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
      description: "Made from openapi.yaml. Set the variables `email` and `password` to those of a staff account, and send *Sign in* "
        + "in the folder *Start here*: all other requests use the token that it keeps. Tokens are good for ten minutes.",
    },
    auth: { type: "bearer", bearer: [{ key: "token", value: "{{access_token}}", type: "string" }] },
    variable: variables(contract),
    item: [
      { name: "Start here", description: "Signs in, and makes what the other folders work with.", item: steps(begin) },
      ...folders.sort((a, b) => place(a) - place(b)),
      { name: "Clean up", description: "Deletes what was made, in two calls each.", item: steps(end) },
    ],
  };
}

function variables(contract) {
  const settings = { baseUrl: "http://127.0.0.1:8080", email: "admin@clientele.local", password: "", access_token: "", portal_token: "", activation_token: "" };
  return Object.entries({ ...settings, ...Object.fromEntries(contract.ids()), ...ownIds(contract) }).map(([key, value]) => ({ key, value: String(value) }));
}

/** The ids that no path names: those of the two customers beside the first. They begin as an example, as all of them do. */
function ownIds(contract) {
  return { child_id: contract.ids().get("customer_id"), example_id: contract.ids().get("customer_id") };
}

/** What an operation answers in a run: that it has done what it does or, where it cannot, why not. */
function answers(contract, operation) {
  const [status, why] = refused[operation.operationId] ?? [];
  return { expect: [...contract.successes(operation), ...(status === undefined ? [] : [status])], why };
}

/** Making comes before looking, looking before changing, changing before deleting. */
function byRank(a, b) {
  const rank = ({ operation }) =>
    operation.responses["201"] !== undefined ? (operation.method === "post" ? 0 : 0.5)
      : ["get", "patch", "put", "post", "delete"].indexOf(operation.method) + 1;
  // After what they undo, or leave nothing for; before what asks for what they make, or what leaves nothing for them.
  const later = { customerActivate: 0.5, identityDeleteAll: 0.5, webhookEndpointTest: -3.5, jobFileDelete: -0.5 };
  return rank(a) + (later[a.operation.operationId] ?? 0) - rank(b) - (later[b.operation.operationId] ?? 0);
}

/** What is kept of an answer: the id of what it made. The customer that everything is about is kept by the beginning alone. */
function saved(contract, operation) {
  const id = contract.makes(operation);
  return id === undefined ? {} : { [id === "customer_id" ? "example_id" : id]: "id" };
}

/** What an operation needs beside its example, and what is kept of its answer. */
function special(contract, operation) {
  const step = otherwise(operation, contract.body(operation)?.example);
  return { ...step, save: { ...saved(contract, operation), ...step.save } };
}

/** A request of the collection. A step may change what the contract's example says. */
function item(contract, { name, request }, step) {
  const made = structuredClone(request);
  if (step.body !== undefined) {
    made.body = made.body.mode === "urlencoded"
      ? { mode: "urlencoded", urlencoded: form(step.body) }
      : { ...made.body, raw: JSON.stringify(step.body, null, 2) };
  }
  if (made.body?.mode === "raw") {
    for (const [name, example] of contract.ids()) {
      made.body.raw = made.body.raw.replaceAll(`"${example}"`, `"{{${name}}}"`);
    }
  }
  if (step.file !== undefined) {
    made.body.raw = step.file;
  }
  for (const [key, value] of Object.entries(step.query ?? {})) {
    Object.assign(made.url.query.find((one) => one.key === key), { value, disabled: undefined });
  }
  for (const [key, value] of Object.entries(step.path ?? {})) {
    Object.assign(made.url.variable.find((one) => one.key === key), { value });
  }
  const query = made.url.query.filter((one) => !one.disabled).map(({ key, value }) => `${key}=${value}`).join("&");
  made.url.raw = [[...made.url.host, ...made.url.path].join("/"), query].filter((part) => part !== "").join("?");
  return {
    name: step.name ?? name,
    event: [
      ...(step.before === undefined ? [] : [event("prerequest", step.before)]),
      event("test", script(step)),
    ],
    request: made,
  };
}

function event(listen, exec) {
  return { listen, script: { type: "text/javascript", exec } };
}

/** The test of a request, and what it keeps of the answer: nothing of one that is not the right one. */
function script({ expect, why, save = {}, saveOn, needed }) {
  const statuses = [...new Set(expect)].join(", ");
  const name = `answers ${statuses.replace(/, (\d+)$/, " or $1")}` + (why === undefined ? "" : `: ${why}`);
  const lines = [
    `pm.test(${JSON.stringify(name)}, () => {`,
    `  pm.expect(pm.response.code, pm.response.text()).to.be.oneOf([${statuses}]);`,
    "});",
  ];
  const kept = Object.entries(save).map(
    ([name, place]) => `  pm.collectionVariables.set("${name}", pm.response.json().${place});`);
  if (kept.length > 0) {
    const made = saveOn ?? (expect.length === 1 ? expect[0] : undefined);
    lines.push(`if (pm.response.code ${made === undefined ? "< 300" : `=== ${made}`}) {`, ...kept);
    lines.push(...(needed ? ["} else {", "  pm.execution.setNextRequest(null); // a run ends here", "}"] : ["}"]));
  }
  return lines;
}
