// Runs a program against an installation that is busy now and then, and checks that it comes back when it was told to:
//
//   node busy.js URL COMMAND [ARGUMENT…]
//
// The program finds the address in CLIENTELE_URL. Some of its requests are answered with 429 or 503 and Retry-After; each has to
// come again, the same, and not before.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, request as send } from "node:http";

const [url, command, ...args] = process.argv.slice(2);
const turnedAway = new Map([[1, 503], [4, 429], [9, 503]]); // by the number of the request: a sign-in, and two of the first calls
const retryAfter = 1; // seconds
const faults = [];
let requests = 0;
let waiting; // the request that has to come again

function seen(request, body) {
  const { method, url: path, headers } = request;
  return JSON.stringify([method, path, headers["idempotency-key"], headers["content-type"], body.toString()]);
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (waiting !== undefined) {
    const { what, since } = waiting;
    if (what !== seen(request, body)) {
      faults.push(`${what} was turned away, and then came ${seen(request, body)}`);
    } else if (Date.now() - since < retryAfter * 1000 - 20) {
      faults.push(`${what} came again after ${Date.now() - since} ms`);
    }
    waiting = undefined;
  }
  const status = turnedAway.get(++requests);
  if (status !== undefined) {
    waiting = { what: seen(request, body), since: Date.now() };
    response.writeHead(status, { "Retry-After": String(retryAfter) }).end();
    return;
  }
  const { method, url: path, headers } = request;
  const onward = send(new URL(path, url), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  onward.end(body);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");

const environment = { ...process.env, CLIENTELE_URL: `http://127.0.0.1:${server.address().port}` };
const [code] = await once(spawn(command, args, { env: environment, stdio: "inherit" }), "exit");
server.close();
server.closeAllConnections();
if (waiting !== undefined || requests < Math.max(...turnedAway.keys())) {
  faults.push(`it ended after ${requests} requests`);
}
faults.forEach((fault) => console.error(fault));
process.exitCode = code === 0 && faults.length === 0 ? 0 : 1;
