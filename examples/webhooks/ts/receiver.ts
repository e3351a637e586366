// Receives webhooks: checks their signatures and prints what happened. See the README beside it.
import { createServer, type IncomingMessage } from "node:http";
import { Webhook } from "standardwebhooks";

interface Event {
  type: string;
  resource: { kind: string; id: string };
}

const secret = process.env.WEBHOOK_SECRET ?? "";
// The library takes any Base64, and "null" is some: a key that anybody knows.
const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
if (key.length < 24 || secret !== `whsec_${key.toString("base64")}`) {
  console.error("receiver: set WEBHOOK_SECRET to the secret of the endpoint, whsec_ and Base64");
  process.exit(1);
}
const hook = new Webhook(secret);
const seen = new Set<string>();

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > 1 << 20) throw new Error("too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

createServer(async (request, response) => {
  try {
    const header = (name: string) => String(request.headers[name] ?? "");
    const id = header("webhook-id");
    // Over the body as it came, before anything is made of it.
    const event = hook.verify(await bodyOf(request), {
      "webhook-id": id,
      "webhook-timestamp": header("webhook-timestamp"),
      "webhook-signature": header("webhook-signature"),
    }) as Event;
    if (!seen.has(id)) {
      seen.add(id); // it may come more than once
      console.log(event.type, event.resource.id);
    }
    response.writeHead(204).end();
  } catch (error) {
    console.error(`receiver: refused a request: ${error instanceof Error ? error.message : error}`);
    response.writeHead(400).end("not from Clientele");
  }
}).listen(Number(process.env.PORT), "127.0.0.1");
