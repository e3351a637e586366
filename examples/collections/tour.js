// What the collections begin and end with. A step is an operation of the contract with a body, parameters and a name of its
// own, the one answer that is right, and what is kept of it in variables.

const login = "antonio-{{$guid}}@example.com";
const password = "correct horse battery"; // the one that the examples of the contract have

const signIn = {
  expect: [200], save: { access_token: "access_token" },
  body: { grant_type: "password", client_id: "staff", username: "{{email}}", password: "{{password}}" },
};

export const begin = [
  { operation: "tokenCreate", name: "Sign in", ...signIn },
  { operation: "meGet", expect: [200] },
  {
    operation: "customerCreate", name: "Create a customer with a login", expect: [201], save: { customer_id: "id" },
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
    save: { identity_id: "data[0].id", portal_email: "data[0].email" },
  },
  {
    operation: "tokenCreate", name: "Sign in to the portal", expect: [200], save: { portal_token: "access_token" },
    body: { grant_type: "password", client_id: "portal", username: "{{portal_email}}", password },
  },
  { operation: "portalProfileGet", expect: [200] },
  { operation: "portalPublishingCreate", expect: [201], save: { publishing_id: "id" } },
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

/** What an operation needs beside the example that the contract has for it. */
export function otherwise({ operationId, path, tags }, example) {
  const child = { path: { customer_id: "{{child_id}}" } };
  switch (true) {
    case operationId === "tokenCreate":
      return signIn;
    case operationId === "mePasswordUpdate":
      return { expect: [204, 422] }; // the present password is another one than in the example
    case operationId === "managedCustomerCreate":
      return { save: { child_id: "id" }, body: { ...example, email: login } }; // an address is not written to again and again
    case operationId.endsWith("obFilePut"):
      return { file: "%PDF-1.7\n%%EOF\n" }; // a whole one: what a file is, is seen by its content
    case path === "/v1/backups/restore":
      return { expect: [200, 201, 202, 422] }; // no text is a ZIP: choose a file that was downloaded
    case path.includes("{customer_id}") && (path.startsWith("/v1/portal/") || tags[0] === "Activation"):
      return child;
    default:
      return {};
  }
}
