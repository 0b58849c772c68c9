/**
 * What may be served: functions, objects with a `process`, classes that load once.
 *
 * Decided once, at the start; a call itself looks at nothing.
 */

import { StartError } from "./errors.js";

/** A handler under the name that the sidecar asks for it by. */
export class Target {
  constructor(name, { call, streaming }) {
    this.name = name;
    this.call = call;
    this.streaming = streaming;
  }

  /** This function's entry in the hello frame. */
  announcement() {
    const entry = { name: this.name, args: [{ name: "payload" }] };
    return this.streaming ? { ...entry, streaming: true } : entry;
  }
}

/** All that one process serves. A single function serves every request, whatever name it asks for. */
export class Targets {
  #byName;

  constructor(targets) {
    this.all = targets;
    this.#byName = new Map(targets.map((target) => [target.name, target]));
    if (targets.length === 0) {
      throw new StartError("there is nothing to serve: pass at least one function");
    }
    if (this.#byName.size < targets.length) {
      const names = this.names().sort().join(", ");
      throw new StartError(`two of the functions have the same name (${names}): pass an object of names`);
    }
  }

  /** The function for a request; undefined where the name fits none of several. */
  select(name) {
    return this.all.length === 1 ? this.all[0] : this.#byName.get(name);
  }

  /** The names, in the order in which they were given. */
  names() {
    return this.all.map((target) => target.name);
  }
}

/** The functions behind what `serve` was given: a handler, an array of them, or an object of names and handlers. */
export function collect(handlers, name) {
  let named;
  if (Array.isArray(handlers)) {
    named = handlers.map((handler) => [nameOf(handler), handler]);
  } else if (isMapping(handlers)) {
    named = Object.entries(handlers);
  } else {
    named = [[nameOf(handlers), handlers]];
  }
  if (name !== undefined) {
    if (named.length !== 1) {
      throw new StartError("`name` is for a single function: pass an object of names for several");
    }
    named = [[name, named[0][1]]];
  }
  return new Targets(named.map(([key, handler]) => new Target(key, resolve(key, handler))));
}

/** A class whose instances have a `process`. */
export function isHandlerClass(thing) {
  return isClass(thing) && typeof thing.prototype.process === "function";
}

/** Any class, as far as its source says so. */
export function isClass(thing) {
  return typeof thing === "function" && /^class\b/.test(Function.prototype.toString.call(thing));
}

/** How a handler is called; a class is made an instance, which loads what it has to load. */
function resolve(name, handler) {
  if (isClass(handler)) {
    if (!isHandlerClass(handler)) {
      throw new StartError(`class \`${name}\` has no \`process\`: its instances cannot be called`);
    }
    if (handler.length > 0) {
      throw new StartError(`class \`${name}\` needs arguments to be made: serve an instance of it instead`);
    }
    handler = new handler();
  }
  if (typeof handler === "function") {
    return { call: handler, streaming: isGeneratorFunction(handler) };
  }
  if (typeof handler?.process === "function") {
    const call = (payload, context) => handler.process(payload, context);
    return { call, streaming: isGeneratorFunction(handler.process) };
  }
  throw new StartError(`\`${name}\` is ${describe(handler)}, not something to call`);
}

function isMapping(thing) {
  if (typeof thing !== "object" || thing === null) {
    return false;
  }
  const prototype = Object.getPrototypeOf(thing);
  return prototype === Object.prototype || prototype === null || thing[Symbol.toStringTag] === "Module";
}

function nameOf(handler) {
  const name = typeof handler === "function" ? handler.name.replace(/^bound /, "") : handler?.constructor?.name;
  return name || "process";
}

function isGeneratorFunction(thing) {
  return /^(Async)?GeneratorFunction$/.test(thing.constructor?.name ?? "");
}

function describe(thing) {
  return thing === null || thing === undefined ? String(thing) : `of type ${typeof thing}`;
}
