// Runs a program against an installation that is busy now and then, and checks that it comes back as it should:
//
//   node busy.js URL COMMAND [ARGUMENT…]
//
// The program finds the address in CLIENTELE_URL, with a slash at its end, as people copy it. Some of its requests are answered
// with 429 or 503 and Retry-After; each has to come again, the same, and not before. One is answered with 401, as if its token had
// ended; it has to come again, the same, with a new token.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, request as send } from "node:http";

const [url, command, ...args] = process.argv.slice(2);
// By the number of the request: a sign-in, a POST, another POST, which costs a sign-in, and a GET.
const turnedAway = new Map([[1, 503], [4, 429], [8, 401], [12, 503]]);
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
  const sent = seen(request, body);
  if (waiting?.token !== undefined && request.url === "/oauth/token") {
    waiting.renewed = true;
  } else if (waiting !== undefined) {
    const { what, since, token, renewed } = waiting;
    if (what !== sent) {
      faults.push(`${what} was turned away, and then came ${sent}`);
    } else if (token !== undefined && (!renewed || token === request.headers.authorization)) {
      faults.push(`${what} came again without a new token`);
    } else if (token === undefined && Date.now() - since < retryAfter * 1000 - 20) {
      faults.push(`${what} came again after ${Date.now() - since} ms`);
    }
    waiting = undefined;
  }
  const status = turnedAway.get(++requests);
  if (status === 401) {
    waiting = { what: sent, token: request.headers.authorization };
    response.writeHead(status).end();
    return;
  }
  if (status !== undefined) {
    waiting = { what: sent, since: Date.now() };
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

const environment = { ...process.env, CLIENTELE_URL: `http://127.0.0.1:${server.address().port}/` };
const [code] = await once(spawn(command, args, { env: environment, stdio: "inherit" }), "exit");
server.close();
server.closeAllConnections();
if (waiting !== undefined || requests < Math.max(...turnedAway.keys())) {
  faults.push(`it ended after ${requests} requests`);
}
faults.forEach((fault) => console.error(fault));
process.exitCode = code === 0 && faults.length === 0 ? 0 : 1;
