// Makes the collections in ../postman and ../bruno from openapi.yaml: the contract is imported into Postman's format as Postman
// itself does it, given an order in which it can be run and the tests that hold for every request, and Bruno's collection is
// made from that as Bruno imports one.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";

import yaml from "js-yaml";

import { brunoFiles } from "./bruno.js";
import { Contract } from "./contract.js";
import { imported, requestsOf } from "./postman.js";
import { arranged } from "./order.js";
import { refused } from "./tour.js";

const text = await readFile(new URL("../../openapi.yaml", import.meta.url), "utf8");
const contract = new Contract(yaml.load(text, { schema: yaml.JSON_SCHEMA }));
const requests = requestsOf(contract, await imported(text));
const collection = arranged(contract, requests);

const postman = new URL("../postman/clientele.postman_collection.json", import.meta.url);
await writeFile(postman, JSON.stringify(collection, null, 1) + "\n");

const bruno = new URL("../bruno/", import.meta.url);
const files = await brunoFiles(collection);
for (const folder of new Set([...files.keys()].map((name) => name.split("/")[0]).filter((name) => !name.includes(".")))) {
  await rm(new URL(encodeURI(folder), bruno), { recursive: true, force: true });
}
for (const [name, content] of files) {
  const file = new URL(encodeURI(name), bruno);
  await mkdir(new URL(".", file), { recursive: true });
  await writeFile(file, content);
}

// Both pages name what cannot succeed in a run.
const rows = Object.entries(refused).map(([operation, [status, why]]) => `| ${requests.get(operation).name} | ${status} | ${why} |\n`);
for (const folder of ["postman", "bruno"]) {
  const page = new URL(`../${folder}/README.md`, import.meta.url);
  const written = await readFile(page, "utf8");
  await writeFile(page, written.replace(/(?<=\| request \| is refused with \| since \|\n\|---\|---\|---\|\n)(\|.*\n)*/, rows.join("")));
}
