import { postmanToBruno } from "@usebruno/converters";
import { stringifyCollection, stringifyEnvironment, stringifyFolder, stringifyRequest } from "@usebruno/filestore";

const format = { format: "bru" };

/** Makes the files of a Bruno collection, by their names, as Bruno imports one of Postman. */
export async function brunoFiles(postman) {
  const { collection, issues } = await postmanToBruno(postman);
  if (issues.length > 0) {
    throw new Error(`Bruno does not understand: ${JSON.stringify(issues)}`);
  }
  const config = { version: "1", name: collection.name, type: "collection", ignore: ["node_modules", ".git"] };
  const variables = collection.root.request.vars.req;
  collection.root.request.vars = {}; // they belong to the environment, where scripts change them
  const files = new Map([
    ["bruno.json", JSON.stringify(config, null, 2) + "\n"],
    ["collection.bru", stringifyCollection(collection.root, config, format)],
    ["environments/local.bru", stringifyEnvironment({ name: "local", variables: variables.map(setting) }, format)],
  ]);
  collection.items.forEach((folder, at) => {
    const place = fileName(folder.name);
    folder.root.meta.seq = at + 1;
    files.set(`${place}/folder.bru`, stringifyFolder(folder.root, format));
    for (const request of folder.items) {
      files.set(`${place}/${fileName(request.name)}.bru`, stringifyRequest(asBrunoHasIt(request), format));
    }
  });
  return files;
}

function setting({ name, value }) {
  return { name, value, enabled: true, secret: false, type: "text" };
}

/** Puts scripts where Bruno has a place for them. */
function asBrunoHasIt(item) {
  const { request } = item;
  // Bruno's import leaves tests in the script, where `bru` does not count them.
  const [test, ...rest] = request.script.res.split(/(?<=^\}\);)\n/m);
  request.tests = test;
  request.script.res = inEnvironment(rest.join(""));
  request.script.req = inEnvironment(request.script.req ?? "");
  return item;
}

/** Lets a script keep values for the time that the collection is open, and writes nothing into its files. */
function inEnvironment(script) {
  return script.replaceAll("bru.setCollectionVar(", "bru.setVar(").replaceAll("bru.getVar(", "bru.getEnvVar(");
}

function fileName(name) {
  return name.replaceAll(/[\\/:*?"<>|]/g, "-");
}
