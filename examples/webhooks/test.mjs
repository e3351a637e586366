// Starts the program and, one after another, each receiver, and sees to it that events arrive and nothing else does.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

const scratch = process.env.SCRATCH;
const receivers = {
  Go: [`${scratch}/receiver`],
  TypeScript: ["node", "--import", "tsx", "receiver.ts"],
  Python: ["python3", "py/receiver.py"],
};
const password = "four words are better";
const many = 40;

// start runs a command, whose lines can be asked for one by one. What it says on the side is kept.
function start([command, ...args], options) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let side = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => (side += text));
  return {
    line: async () => (await lines.next()).value,
    side: () => side,
    exit: once(child, "exit"),
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

async function until(condition) {
  for (let tries = 0; tries < 300; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("it takes too long");
}

// signed makes the headers of a message, as Clientele does.
function signed(secret, id, body) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}

async function call(method, url, body, headers = {}) {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: body && (typeof body === "string" ? body : JSON.stringify(body)),
  });
  return { status: response.status, body: await response.json().catch(() => null) };
}

const program = start([`${scratch}/clientele`], {
  stdio: ["ignore", "pipe", "inherit"],
  env: {
    ...process.env,
    CLIENTELE_ADDR: "127.0.0.1:0",
    CLIENTELE_DATA_DIR: `${scratch}/data`,
    CLIENTELE_ADMIN_EMAIL: "admin@example.com",
    CLIENTELE_ADMIN_PASSWORD: password,
    CLIENTELE_WEBHOOK_ALLOW: "127.0.0.0/8",
    CLIENTELE_LOG_LEVEL: "warn",
  },
});
try {
  const base = (await program.line()).match(/http:\/\/[^,]+/)[0];
  const form = new URLSearchParams({ grant_type: "password", client_id: "staff", username: "admin@example.com", password });
  const granted = await call("POST", `${base}/oauth/token`, form.toString(), { "content-type": "application/x-www-form-urlencoded" });
  const authorization = { authorization: `Bearer ${granted.body.access_token}` };

  for (const [name, command] of Object.entries(receivers)) {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/`;
    const endpoint = await call("POST", `${base}/v1/webhook-endpoints`, { url, event_types: ["customer.*"] }, authorization);
    assert.equal(endpoint.status, 201, JSON.stringify(endpoint.body));
    const { secret } = endpoint.body;
    const run = (env, options) =>
      start(command, { cwd: name === "TypeScript" ? "ts" : ".", env: { ...process.env, PORT: String(port), ...env }, ...options });
    // What is no secret of an endpoint, such as what jq makes of one that is not there.
    for (const wrong of ["", "null", "whsec_!!", "whsec_AAAA", secret.replace("whsec_", "")]) {
      const without = run({ WEBHOOK_SECRET: wrong }, { timeout: 30_000 }); // one that takes it would stay
      assert.deepEqual(await without.exit, [1, null], wrong);
      await until(() => without.side() !== "");
      assert.equal(without.side(), "receiver: set WEBHOOK_SECRET to the secret of the endpoint, whsec_ and Base64\n", wrong);
    }
    const receiver = run({ WEBHOOK_SECRET: secret });
    try {
      await until(() => fetch(url, { method: "POST", body: "{}" }).then((r) => r.status === 400, () => false));
      const customer = await call("POST", `${base}/v1/customers`, { name: "Zażółć Gęślą" }, authorization);
      assert.equal(await receiver.line(), `customer.created ${customer.body.id}`);
      const deleted = JSON.stringify({ type: "customer.deleted", resource: { kind: "customer", id: randomUUID() } });
      assert.equal((await call("POST", url, deleted, signed("whsec_AAAA", "1", deleted))).status, 400);
      await until(() => /^receiver: refused a request: .*signature.*\n$/m.test(receiver.side()));
      assert.doesNotMatch(receiver.side(), /customer\.deleted/);

      // Many at once, each of which comes twice.
      const bodies = Array.from({ length: many }, () => {
        const resource = { kind: "customer", id: randomUUID() };
        return [resource.id, JSON.stringify({ id: randomUUID(), type: "customer.updated", resource })];
      });
      const sent = await Promise.all([...bodies, ...bodies].map(([id, body]) => call("POST", url, body, signed(secret, id, body))));
      assert.deepEqual(new Set(sent.map(({ status }) => status)), new Set([204]));
      const printed = [];
      while (printed.length < many) printed.push(await receiver.line());
      assert.deepEqual(printed.sort(), bodies.map(([id]) => `customer.updated ${id}`).sort());
      console.log(`${name}: what is signed arrives, and nothing else does`);
    } finally {
      await receiver.end();
    }
    const deleted = await call("DELETE", `${base}/v1/webhook-endpoints/${endpoint.body.id}`, null, authorization);
    assert.equal(deleted.status, 204);
  }
} finally {
  await program.end();
}
