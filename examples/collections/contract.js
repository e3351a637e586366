const methods = ["get", "post", "put", "patch", "delete"];

/** The contract, as the collections go by it. */
export class Contract {
  constructor(doc) {
    this.doc = doc;
    /** @type {Map<string, object>} Operations by method and path, such as "GET /v1/customers/{customer_id}". */
    this.operations = new Map();
    for (const [path, item] of Object.entries(doc.paths)) {
      for (const method of methods.filter((name) => item[name] !== undefined)) {
        const operation = item[method];
        const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => this.resolve(one));
        this.operations.set(`${method.toUpperCase()} ${path}`, { ...operation, method, path, parameters });
      }
    }
  }

  resolve(node) {
    return node?.$ref === undefined
      ? node
      : this.resolve(node.$ref.slice(2).split("/").reduce((place, name) => place[name], this.doc));
  }

  /** The ids that paths name, with the examples that the contract has for them. */
  ids() {
    const found = new Map();
    for (const { parameters } of this.operations.values()) {
      for (const one of parameters.filter((parameter) => parameter.in === "path")) {
        found.set(one.name, one.example);
      }
    }
    return found;
  }

  /** The statuses that an operation answers with when it has done what it does. */
  successes(operation) {
    return Object.keys(operation.responses).map(Number).filter((status) => status < 300);
  }

  /** Whose token the operation asks for: "", "staff" or "identity". */
  caller(operation) {
    return Object.keys(operation.security?.[0] ?? {})[0] ?? "";
  }

  /** The example of an operation's body and its type; undefined where it has none. */
  body(operation) {
    const [type, media] = Object.entries(this.resolve(operation.requestBody)?.content ?? {})[0] ?? [];
    if (type === undefined) {
      return undefined;
    }
    const [example] = Object.values(media.examples ?? {});
    return { type, example: media.example ?? this.resolve(example)?.value };
  }

  /** Which id of a path an operation makes: that of what it answers with when it made something. */
  makes(operation) {
    const answer = this.resolve(operation.responses["201"] ?? operation.responses["202"]);
    const name = answer?.content?.["application/json"]?.schema.$ref?.split("/").at(-1);
    if (operation.method !== "post" || name === undefined) {
      return undefined;
    }
    const noun = name.replace(/[a-z](?=[A-Z])/g, "$&_").toLowerCase();
    const fits = [...this.ids().keys()].filter((id) => noun.startsWith(id.replace(/_id$/, "")));
    return fits.sort((a, b) => b.length - a.length)[0];
  }
}
