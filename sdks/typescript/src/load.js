/**
 * From `handler.mjs:process` to the object that it names.
 *
 * Importing runs the user's code: what that throws is passed on as it is.
 */

import fs from "node:fs";
import { createRequire, register } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { StartError } from "./errors.js";
import { isHandlerClass } from "./functions.js";

const DEFAULT_NAME = "process";
/** Set while a user's file is imported, when it must not start to serve by itself. */
const IMPORTING = Symbol.for("outrigger.importing");

/** Whether a user's file is being imported now. */
export function isImporting() {
  return globalThis[IMPORTING] === true;
}

/** The handlers that `spec` names, each under its name. Several names are separated by commas. */
export async function load(spec) {
  const { place, names } = split(spec);
  const module = await importFile(place);
  const wanted = names.length > 0 ? names : [onlyHandler(module, place)];
  return Object.fromEntries(wanted.map((name) => [name, find(module, name, place)]));
}

function split(spec) {
  const colon = spec.lastIndexOf(":");
  const place = colon === -1 ? spec : spec.slice(0, colon);
  const names = colon === -1 ? [] : spec.slice(colon + 1).split(",").map((name) => name.trim());
  if (place === "" || names.includes("")) {
    throw new StartError(`\`${spec}\` is not a handler: write handler.mjs:function`);
  }
  return { place, names };
}

async function importFile(place) {
  const file = path.resolve(place);
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
    const near = [".mjs", ".js", ".cjs"].find((ending) => fs.existsSync(file + ending));
    const hint = near === undefined ? ` (looked in ${path.dirname(file)})` : `: did you mean ${place}${near}?`;
    // In npm's scripts this command stands before the sidecar's of the same name.
    const other = near === undefined && /^[a-z]+$/.test(place) ? `; \`outrigger ${place}\` of the sidecar is another program: start that by its path` : "";
    throw new StartError(`there is no file ${place}${hint}${other}`);
  }
  offerOurselves(file);
  globalThis[IMPORTING] = true;
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    if (error?.code === "ERR_UNKNOWN_FILE_EXTENSION") {
      const cure = /\.[cm]?tsx?$/.test(place) ? "; compile it, or start node with `--import tsx`" : "";
      throw new StartError(`${place} cannot be imported: ${error.message}${cure}`);
    }
    throw error;
  } finally {
    globalThis[IMPORTING] = false;
  }
}

/** Where a handler has not installed this package, `import "outrigger"` finds the one that runs it. */
function offerOurselves(file) {
  try {
    createRequire(file).resolve("outrigger");
  } catch {
    const ours = new URL("./index.js", import.meta.url).href;
    const hook = `export const resolve = (name, context, next) =>
      name === "outrigger" ? { url: ${JSON.stringify(ours)}, shortCircuit: true } : next(name, context);`;
    register(`data:text/javascript,${encodeURIComponent(hook)}`);
  }
}

/** What a name stands for; `Box.open` is a method, and called as one. */
function find(module, name, place) {
  let owner;
  let thing = rootOf(module, name.split(".")[0]);
  for (const part of name.split(".")) {
    owner = thing;
    thing = thing?.[part];
    if (thing === undefined) {
      throw new StartError(`${place} has no \`${name}\`${whatIsThere(module)}`);
    }
  }
  return name.includes(".") && typeof thing === "function" ? thing.bind(owner) : thing;
}

/** What a CommonJS file exports in ways that cannot be seen from its text stands in its default export. */
function rootOf(module, name) {
  return name in module || typeof module.default !== "object" || module.default === null ? module : module.default;
}

function onlyHandler(module, place) {
  const found = handlers(module);
  if (found.includes(DEFAULT_NAME)) {
    return DEFAULT_NAME;
  }
  if (found.includes("default")) {
    return "default";
  }
  if (found.length === 1) {
    return found[0];
  }
  if (found.length === 0) {
    throw new StartError(`${place} exports no function: write one, \`export function ${DEFAULT_NAME}(payload) {..}\``);
  }
  throw new StartError(
    `${place} has no \`${DEFAULT_NAME}\` but several others: say which, as in ${place}:${found[0]}${whatIsThere(module)}`,
  );
}

function whatIsThere(module) {
  const found = handlers(module);
  return found.length > 0 ? `; found ${found.join(", ")}` : "; it exports no function";
}

/** The functions and handler classes that the module exports, in the order of their names. */
function handlers(module) {
  const names = new Set(Object.keys(module));
  if (typeof module.default === "object" && module.default !== null) {
    Object.keys(module.default).forEach((name) => names.add(name));
  }
  return [...names].filter((name) => {
    const thing = rootOf(module, name)[name];
    return isHandlerClass(thing) || (typeof thing === "function" && !/^class\b/.test(String(thing)));
  });
}
