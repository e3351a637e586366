import converter from "openapi-to-postmanv2";

/** Imports the contract as Postman does it. */
export function imported(text) {
  const options = {
    folderStrategy: "Tags", parametersResolution: "Example", enableOptionalParameters: false, includeAuthInfoInExample: false,
  };
  return new Promise((resolve, reject) => {
    converter.convertV2({ type: "string", data: text }, options, (error, answer) => {
      if (error || !answer.result) {
        reject(error ?? new Error(answer.reason));
      } else {
        resolve(answer.output[0].data);
      }
    });
  });
}

/** Gives the requests of an imported collection by their operationId. An operation that was not imported is an error. */
export function requestsOf(contract, collection) {
  const requests = new Map();
  const walk = (item) => {
    if (item.item !== undefined) {
      item.item.forEach(walk);
      return;
    }
    const path = "/" + item.request.url.path.map((part) => part.replace(/^:(.+)$/, "{$1}")).join("/");
    const operation = contract.operations.get(`${item.request.method} ${path}`);
    requests.set(operation.operationId, tidy(contract, operation, item));
  };
  walk(collection);
  for (const { operationId } of contract.operations.values()) {
    if (!requests.has(operationId)) {
      throw new Error(`${operationId} was not imported`);
    }
  }
  return requests;
}

/** Leaves of an imported request what is of use, and what is the same each time. */
function tidy(contract, operation, { name, request }) {
  const exact = (one) => sample(contract, operation, plain(one));
  const url = {
    host: request.url.host, path: request.url.path,
    query: request.url.query.map(exact),
    variable: request.url.variable.map((one) => ({ ...plain(one), value: `{{${one.key}}}` })),
  };
  const body = contract.body(operation);
  const header = request.header.map(exact);
  return {
    operation, name,
    request: {
      method: request.method, description: (operation.description ?? "").trim(), auth: auth(contract.caller(operation)),
      header: header.map((one) => (one.key === "Content-Type" && one.value === "*/*" ? { ...one, value: fileType(body) } : one)),
      url, ...(body === undefined ? {} : { body: written(body) }),
    },
  };
}

/** Gives a parameter the value that the contract has for it. Where there is none, the import made up another one each time. */
function sample(contract, operation, one) {
  const parameter = operation.parameters.find(({ name }) => name === one.key);
  if (parameter === undefined) {
    return one;
  }
  const schema = contract.resolve(parameter.schema);
  return { ...one, value: String(parameter.example ?? schema.example ?? schema.default ?? schema.enum?.[0] ?? "") };
}

function plain({ key, value, description, disabled }) {
  const about = typeof description === "string" ? description : (description?.content ?? "");
  return { key, value: String(value), ...(about === "" ? {} : { description: about.trim() }), ...(disabled ? { disabled } : {}) };
}

/** Whose token a request is sent with. That of the collection is the staff's. */
function auth(caller) {
  if (caller === "staff") {
    return undefined;
  }
  return caller === ""
    ? { type: "noauth" }
    : { type: "bearer", bearer: [{ key: "token", value: "{{portal_token}}", type: "string" }] };
}

/** The type of a file: the contract takes several, and has one example. */
function fileType({ example }) {
  const types = { "#": "text/markdown", "%PDF": "application/pdf", PK: "application/zip" };
  const [begins] = Object.keys(types).filter((start) => example.startsWith(start));
  return types[begins] ?? "text/csv";
}

function written({ type, example }) {
  if (type === "application/x-www-form-urlencoded") {
    return { mode: "urlencoded", urlencoded: form(example) };
  }
  const json = type.includes("json");
  const raw = json ? JSON.stringify(example, null, 2) : example;
  return { mode: "raw", raw, options: { raw: { language: json ? "json" : "text" } } };
}

/** A form with these values. */
export function form(values) {
  return Object.entries(values).map(([key, value]) => ({ key, value: String(value) }));
}
