// Drives the built portal in a headless Chromium against the real program: a server of its own on a free port, an empty data
// directory, and the page served from another origin, under a strict Content-Security-Policy. Staff's part is done over the
// API. CLIENTELE names the program, CHROMIUM the browser, SCREENSHOTS a folder to leave pictures in.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";

const password = "four words are better";
const dist = new URL("../dist/", import.meta.url);
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json" };

/** Serves the built page, with the address of the API that is found out later. */
async function servePage(api) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://page").pathname;
    const file = extname(path) === "" ? "index.html" : path.slice(1); // links in mails lead to paths of the page
    response.setHeader("Content-Security-Policy",
      `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ${api.url}; ` +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    response.setHeader("Content-Type", types[extname(file)] ?? "application/octet-stream");
    if (path === "/config.json") {
      return response.end(JSON.stringify({ api: api.url }));
    }
    try {
      response.end(await readFile(new URL(file, dist)));
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

/** Starts the program and waits until it is ready. */
async function startProgram(data, origin) {
  const program = spawn(process.env.CLIENTELE, ["serve", "--addr", "127.0.0.1:0", "--data-dir", data], {
    env: {
      ...process.env, CLIENTELE_CORS_ORIGINS: origin, CLIENTELE_PORTAL_URL: origin, CLIENTELE_TERMS_REQUIRED: "true",
      CLIENTELE_ADMIN_EMAIL: "admin@clientele.local", CLIENTELE_ADMIN_PASSWORD: password,
    },
  });
  let log = "";
  let late;
  const url = await new Promise((resolve, reject) => {
    const read = (chunk) => {
      log += chunk;
      const ready = /ready at (http:\/\/[^,\s]+),/.exec(log);
      if (ready !== null) {
        resolve(ready[1]);
      }
    };
    program.stdout.on("data", read);
    program.stderr.on("data", read);
    program.on("exit", (code) => reject(new Error(`the program ended with ${code}:\n${log}`)));
    program.on("error", reject);
    late = setTimeout(() => {
      program.kill("SIGTERM");
      reject(new Error(`the program is not ready after two minutes:\n${log}`));
    }, 120_000);
  }).finally(() => clearTimeout(late));
  return { program, url };
}

/** The staff's side, over the API. */
async function signInStaff(url) {
  const granted = await fetch(`${url}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "password", client_id: "staff", username: "admin@clientele.local", password }),
  });
  const { access_token: token } = await granted.json();
  const call = async (method, path, body, type = "application/json") => {
    const response = await fetch(url + path, {
      method, headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "Content-Type": type }) },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
  call.publishTerms = (title) => call("POST", `/v1/terms?title=${encodeURIComponent(title)}`, `# ${title}\n`, "text/markdown");
  return call;
}

/** What the steps work with. */
class Visit {
  constructor(page, staff, origin, api) {
    Object.assign(this, { page, staff, origin, api, pictures: 0 });
  }

  heading(text) {
    return this.page.getByRole("heading", { level: 1, name: text, exact: true }).waitFor();
  }

  says(text) {
    return this.page.getByText(text).waitFor();
  }

  field(label) {
    return this.page.getByLabel(label, { exact: true });
  }

  press(name) {
    return this.page.getByRole("button", { name, exact: true }).click();
  }

  async picture(name) {
    if (process.env.SCREENSHOTS) {
      await this.page.screenshot({ path: join(process.env.SCREENSHOTS, `${++this.pictures}-${name}.png`), fullPage: true });
    }
  }

  async signIn(email, secret = password) {
    await this.field("Email address").fill(email);
    await this.field("Password").fill(secret);
    await this.press("Sign in");
  }
}

const email = "martin@bolido.example";

async function activateFromLink(visit) {
  const { page, staff, origin } = visit;
  await staff.publishTerms("Terms of 2026");
  visit.customer = await staff("POST", "/v1/customers", { name: "Bólido Comidas preparadas", email });
  const request = await staff("POST", `/v1/customers/${visit.customer.id}/activation-requests`, {});
  assert.ok(request.link.startsWith(`${origin}/activate#token=`), request.link);
  await page.goto(request.link);
  await visit.heading("Activate your account");
  assert.equal(page.url(), `${origin}/activate`, "the token stays in the address");
  await visit.says(email);
  await visit.field("Your name").fill("Martín Sommer");
  await visit.field("Password").fill("short");
  await visit.field("Password again").fill("short");
  await visit.press("Activate");
  await visit.says("Please accept the terms and conditions.");
  await page.getByLabel("I accept the terms and conditions.").check();
  await visit.press("Activate");
  await page.locator("[aria-invalid=true]").first().waitFor();
  await visit.picture("activate");
  await visit.field("Password").fill(password);
  await visit.field("Password again").fill(password);
  await visit.press("Activate");
  await visit.heading("Profile");
  await visit.says("Your account is active.");
  await page.goto(request.link);
  await visit.heading("This link does not work");
  await visit.picture("link-used");
  await page.goto(origin);
  await visit.heading("Profile");
  [visit.identity] = (await staff("GET", `/v1/customers/${visit.customer.id}/identities`)).data;
  assert.equal((await staff("GET", `/v1/customers/${visit.customer.id}`)).terms.version, 1);
}

async function signOutAndIn(visit) {
  const { page } = visit;
  await visit.press("Sign out");
  await visit.heading("Sign in");
  await visit.says("You are signed out.");
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await visit.signIn(email, "not this one at all");
  await visit.says("The email address or the password is wrong.");
  await visit.picture("sign-in");
  await visit.signIn(email);
  await visit.heading("Profile");
}

async function sessionSurvives(visit) {
  const { page, origin } = visit;
  await page.reload();
  await visit.heading("Profile");
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  // A tab that was duplicated begins with the same refresh token.
  const token = await page.evaluate(() => sessionStorage.getItem("clientele.refresh_token"));
  const twin = await page.context().newPage();
  await twin.addInitScript((value) => {
    if (sessionStorage.length === 0) {
      sessionStorage.setItem("clientele.refresh_token", value);
    }
  }, token);
  await twin.goto(origin);
  await twin.getByRole("heading", { level: 1, name: "Profile" }).waitFor();
  for (let round = 0; round < 2; round++) {
    await Promise.all([page.reload(), twin.reload()]); // both at once
    await visit.heading("Profile");
    await twin.getByRole("heading", { level: 1, name: "Profile" }).waitFor();
    const [one, two] = await Promise.all([page, twin].map((tab) => tab.evaluate(() => sessionStorage.getItem("clientele.refresh_token"))));
    assert.equal(one, two, "the tabs hold different tokens of one session");
  }
  await twin.close();
}

async function editProfile(visit) {
  const { page, staff } = visit;
  const at = `/v1/customers/${visit.customer.id}`;
  await visit.field("Phone").fill("925 555 013");
  await visit.field("Address").fill("C/ Araquil, 67\n28023 Madrid");
  await visit.press("Save");
  await visit.says("Saved.");
  await visit.picture("profile");
  const saved = await staff("GET", at);
  assert.deepEqual([saved.phone, saved.address], ["925 555 013", "C/ Araquil, 67\n28023 Madrid"]);
  // Somebody else is faster.
  await staff("PATCH", at, { company: "Bólido S.A." });
  await visit.field("Phone").fill("1");
  await visit.press("Save");
  await visit.says("Somebody else changed this meanwhile.");
  await page.reload();
  await visit.heading("Profile");
  assert.equal(await visit.field("Company").inputValue(), "Bólido S.A.");
  await visit.field("Phone").fill("two\tparts");
  await visit.press("Save");
  await page.locator("[aria-invalid=true]").waitFor();
  await visit.field("Phone").fill("");
  await visit.press("Save");
  await visit.says("Saved.");
  assert.equal((await staff("GET", at)).phone, null);
}

async function acceptNewTerms(visit) {
  await visit.staff.publishTerms("Terms of 2027");
  await visit.page.reload();
  await visit.heading("New terms and conditions");
  await visit.picture("terms");
  await visit.press("I accept");
  await visit.heading("Profile");
  assert.equal((await visit.staff("GET", `/v1/customers/${visit.customer.id}`)).terms.version, 2);
}

async function manageCustomers(visit) {
  const { page, staff } = visit;
  const login = `/v1/customers/${visit.customer.id}/identities/${visit.identity.id}`;
  await staff("PATCH", login, { role: "manager" });
  await page.reload();
  await page.getByRole("link", { name: "Customers" }).click();
  await visit.heading("Customers");
  await page.getByText("Add a customer").click();
  for (const [name, address] of [["Bólido Toledo", "toledo@bolido.example"], ["Bólido Segovia", "segovia@bolido.example"]]) {
    await visit.field("Name").fill(name);
    await visit.field("Email address").fill(address);
    await visit.press("Add customer");
    await page.getByRole("rowheader", { name }).waitFor();
  }
  await page.getByLabel("Search").fill("TOLEDO");
  await visit.says("1 customer");
  await page.getByLabel("Phone of Bólido Toledo").fill("925 555 014");
  await visit.press("Save: Bólido Toledo");
  await visit.says("Saved.");
  await visit.press("Invite: Bólido Toledo");
  await visit.says("The invitation waits for the staff");
  const download = page.waitForEvent("download");
  await visit.press("Domains: Bólido Toledo");
  assert.equal((await download).suggestedFilename(), "Bólido Toledo domains.csv");
  await page.getByLabel("Search").fill("");
  await visit.says("2 customers");
  await visit.picture("customers");
  const [child] = (await staff("GET", "/v1/customers?q=toledo")).data;
  assert.deepEqual([child.parent_id, child.phone], [visit.customer.id, "925 555 014"]);
  const [draft] = (await staff("GET", `/v1/customers/${child.id}/activation-requests`)).data;
  assert.deepEqual([draft.state, draft.to], ["draft", "toledo@bolido.example"]);
  await staff("PATCH", login, { role: "member" });
  await page.reload();
  await visit.says("This is for logins with the role manager.");
}

async function publish(visit) {
  const { page, staff } = visit;
  await page.getByRole("link", { name: "Publishings" }).click();
  await visit.heading("Publishings");
  const write = async (kind, title, content) => {
    await visit.press("Write something");
    await visit.field("Kind").fill(kind);
    await visit.field("Title").fill(title);
    await visit.field("Content, as JSON").fill(content);
  };
  await write("template", "Opening hours", '{"closes_at": 14, "rooms": ["bar", "terrace"], "note": "as ever"}');
  await visit.press("Save");
  await page.getByRole("heading", { level: 2, name: "Opening hours draft" }).waitFor();
  await visit.says("Nobody of the staff has read it.");
  await write("request", "Opening hours in December", '{"closes_at": 13}');
  await visit.field("Start from a template").selectOption({ label: "Opening hours" });
  await visit.press("Save");
  await visit.says("Saved as a draft.");
  await page.getByRole("heading", { level: 2, name: "Opening hours in December draft" }).waitFor();
  await visit.field("Content, as JSON").fill('{"closes_at": 12, "rooms": ["bar"]}');
  await visit.press("Save");
  await visit.says("Saved.");
  await visit.press("Submit");
  await visit.says("Submitted.");
  const at = `/v1/customers/${visit.customer.id}/publishings`;
  const written = (await staff("GET", at)).data.find((one) => one.kind === "request");
  assert.deepEqual([written.state, written.title], ["submitted", "Opening hours in December"]);
  assert.deepEqual((await staff("GET", `${at}/${written.id}`)).content, { closes_at: 12, rooms: ["bar"] });
  await visit.press("Opening hours in December"); // again
  await visit.says("Read by the staff");
  await visit.picture("publishings");
  page.once("dialog", (dialog) => void dialog.accept());
  await visit.press("Delete");
  await visit.says("Deleted.");
  assert.deepEqual((await staff("GET", at)).data.map((one) => one.kind), ["template"]);
}

async function accessEnds(visit) {
  const { page, staff } = visit;
  await staff("POST", `/v1/customers/${visit.customer.id}/deactivate`);
  await page.reload();
  await visit.heading("Sign in");
  await visit.says("Your session has ended.");
  await visit.signIn(email);
  await visit.says("The email address or the password is wrong.");
}

async function otherOriginsStayOut(visit) {
  const stranger = await servePage({ url: visit.api });
  try {
    await visit.page.goto(stranger.origin);
    await visit.signIn(email);
    await visit.says("Failed to fetch");
  } finally {
    stranger.server.close();
  }
}

async function run(visit) {
  const contract = await (await fetch(`${visit.api}/openapi.json`)).json();
  const steps = {
    "activates from the link": activateFromLink,
    "signs out and in": signOutAndIn,
    "the session survives, in two tabs": sessionSurvives,
    "edits the profile": editProfile,
    "accepts new terms": acceptNewTerms,
    "manages customers": manageCustomers,
    ...("/v1/portal/publishings" in contract.paths ? { "publishes": publish } : {}),
    "access ends at once": accessEnds,
    "other origins stay out": otherOriginsStayOut,
  };
  for (const [name, step] of Object.entries(steps)) {
    const began = Date.now();
    try {
      await step(visit);
    } catch (failure) {
      await visit.picture("failed");
      console.error(`${name}: failed at ${visit.page.url()}, which says:\n${await visit.page.locator("body").innerText()}`);
      throw failure;
    }
    console.log(`${name}: ${Date.now() - began} ms`);
  }
}

async function main() {
  const api = { url: "" };
  const data = await mkdtemp(join(tmpdir(), "clientele-portal-"));
  const { server, origin } = await servePage(api);
  let program, browser;
  const wrong = [];
  try {
    const started = await startProgram(data, origin);
    ({ program, url: api.url } = started);
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true,
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-dev-shm-usage"],
    });
    const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1100, height: 800 } });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) {
        wrong.push(message.text());
      }
    });
    await run(new Visit(page, await signInStaff(api.url), origin, api.url));
    assert.deepEqual(wrong, [], "the page went wrong");
  } finally {
    await browser?.close();
    server.close();
    if (program !== undefined && program.exitCode === null) {
      program.kill("SIGTERM");
      await once(program, "exit");
    }
    await rm(data, { recursive: true, force: true });
  }
}

await main();
