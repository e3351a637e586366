// What the collections begin and end with. A step is an operation of the contract with a body, parameters and a name of its
// own, the one answer that is right, and what is kept of it in variables.

const login = "antonio-{{$guid}}@example.com";
const password = "correct horse battery"; // the one that the examples of the contract have

const signIn = {
  expect: [200], save: { access_token: "access_token" }, needed: true,
  body: { grant_type: "password", client_id: "staff", username: "{{email}}", password: "{{password}}" },
};

// What a step keeps the next ones need: a run ends where it is not answered as it should be.

export const begin = [
  { operation: "tokenCreate", name: "Sign in", ...signIn },
  { operation: "meGet", expect: [200] },
  {
    operation: "customerCreate", name: "Create a customer with a login", expect: [201], save: { customer_id: "id" }, needed: true,
    body: {
      name: "Antonio Moreno Taquería", phone: "(5) 555-3932", properties: { country: "Mexico" },
      identity: { name: "Antonio Moreno", email: login, password, role: "manager" },
    },
  },
  { operation: "customerGet", expect: [200] },
  { operation: "customerList", expect: [200] },
  { operation: "customerUpdate", expect: [200] },
  {
    operation: "customerIdentityList", name: "Find the login", expect: [200],
    save: { identity_id: "data[0].id", portal_email: "data[0].email" }, needed: true,
  },
  {
    operation: "tokenCreate", name: "Sign in to the portal", expect: [200], save: { portal_token: "access_token" }, needed: true,
    body: { grant_type: "password", client_id: "portal", username: "{{portal_email}}", password },
  },
  { operation: "portalProfileGet", expect: [200] },
  { operation: "portalPublishingCreate", expect: [201], save: { publishing_id: "id" }, needed: true },
];

export const end = ["child_id", "example_id", "customer_id"].flatMap((id) => deletion(id, id === "customer_id"));

/** Deleting takes two calls. What is not there, since only single requests were sent, need not be deleted. */
function deletion(id, surely) {
  const path = { customer_id: `{{${id}}}` };
  const what = { child_id: "the managed customer", example_id: "the contract's example", customer_id: "the first customer" }[id];
  return [
    {
      operation: "customerDelete", name: `What deleting ${what} would do`, path, expect: surely ? [428] : [428, 404],
      save: { confirmation_token: "confirmation_token" }, saveOn: 428,
    },
    {
      operation: "customerDelete", name: `Delete ${what}`, path, expect: surely ? [204] : [204, 404],
      query: { confirm: "{{confirmation_token}}" },
    },
  ];
}

// What cannot succeed when the whole collection is run: the status it is refused with, and why.
export const refused = {
  portalSessionDelete: [404, "the id is an example: the only session there is, is the one that the run goes by"],
  jobFileDelete: [409, "the job has come in by then, and cannot do without its input"],
  operationCancel: [409, "the import, which is small, has ended by then"],
  backupRestore: [422, "no text is a ZIP: choose a file that was downloaded"],
  customerBulkDelete: [428, "deleting takes two calls, and this is the first, which only says what would go"],
  customerDelete: [409, "another customer is below it, and stands in the way"],
  activationRequestSend: [409, "no mail server is set"],
  activationRequestDelete: [409, "the link has been used by then"],
  passwordResetComplete: [404, "the token is an example: one that works is in a mail and nowhere else"],
};

/** What an operation needs beside the example that the contract has for it. */
export function otherwise({ operationId, path, tags }, example) {
  const child = { path: { customer_id: "{{child_id}}" } };
  switch (true) {
    case operationId === "tokenCreate":
      return signIn;
    case operationId === "mePasswordUpdate": // a run must not change it: the new one is the old one
      return {
        before: ['pm.variables.set("password_in_json", JSON.stringify(pm.variables.get("password")).slice(1, -1));'],
        body: { current_password: "{{password_in_json}}", password: "{{password_in_json}}", password_confirmation: "{{password_in_json}}" },
      };
    case operationId === "managedCustomerCreate":
      return { save: { child_id: "id" }, body: { ...example, email: login } }; // an address is not written to again and again
    case ["customerCreate", "identityCreate", "staffCreate", "domainCreate"].includes(operationId):
      return { body: anew(example) };
    case operationId === "activationRequestCreate":
      return { ...child, save: { activation_token: 'link.split("token=")[1]' } };
    case path.startsWith("/v1/activations"):
      return { body: { ...example, token: "{{activation_token}}" } };
    case operationId === "webhookEndpointTest":
      return { save: { delivery_id: "id" } };
    case operationId.endsWith("obFilePut"):
      return { file: "%PDF-1.7\n%%EOF\n" }; // a whole one: what a file is, is seen by its content
    case path.includes("{customer_id}") && (path.startsWith("/v1/portal/") || tags[0] === "Activation"):
      return child;
    default:
      return {};
  }
}

/** An example with names that nothing has yet: a run that was broken off leaves what it made. */
function anew(example) {
  const text = JSON.stringify(example)
    .replaceAll("@example.com", "-{{$guid}}@example.com")
    .replaceAll('"ANTON"', '"ANTON-{{$guid}}"')
    .replaceAll('"café.example.com"', '"café-{{$guid}}.example.com"');
  return JSON.parse(text);
}
