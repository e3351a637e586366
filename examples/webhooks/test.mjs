// Starts the program and, one after another, each receiver, and sees to it that events arrive and nothing else does.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
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

// start runs a command, whose lines can be asked for one by one.
function start([command, ...args], options) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], ...options });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    line: async () => (await lines.next()).value,
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

async function call(method, url, body, headers = {}) {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: body && (typeof body === "string" ? body : JSON.stringify(body)),
  });
  return { status: response.status, body: await response.json().catch(() => null) };
}

const program = start([`${scratch}/clientele`], {
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
    const receiver = start(command, {
      cwd: name === "TypeScript" ? "ts" : ".",
      env: { ...process.env, PORT: String(port), WEBHOOK_SECRET: endpoint.body.secret },
    });
    try {
      await until(() => fetch(url, { method: "POST", body: "{}" }).then((r) => r.status === 400, () => false));
      const customer = await call("POST", `${base}/v1/customers`, { name: "Zażółć Gęślą" }, authorization);
      assert.equal(await receiver.line(), `customer.created ${customer.body.id}`);
      const forged = { "webhook-id": "1", "webhook-timestamp": String(Math.floor(Date.now() / 1000)), "webhook-signature": "v1,AAAA" };
      assert.equal((await call("POST", url, { type: "customer.deleted" }, forged)).status, 400);
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
