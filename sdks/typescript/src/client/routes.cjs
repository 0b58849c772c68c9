/** Which paths go to the sidecar, and to which of its paths. */

"use strict";

const { Http } = require("./http.cjs");
const { late } = require("./errors.cjs");
const { within } = require("./abort.cjs");

/** Routes that were registered by hand: exact ones, and prefixes that end in `/*`. Pure. */
class Routes {
  /** By what all spellings of a path have in common. */
  #exact = new Map();
  /** The longest first. */
  #prefixes = [];
  #isStrict;
  #isCaseSensitive;

  /** As in Express a path may be in any case and have a slash at its end, unless these say no. */
  constructor({ isStrict = false, isCaseSensitive = false } = {}) {
    this.#isStrict = isStrict;
    this.#isCaseSensitive = isCaseSensitive;
  }

  /** Sends `from` to `to`, which is the same path by default; both end in `/*` where one does. */
  add(from, to = from, { methods } = {}) {
    for (const path of [from, to]) {
      if (typeof path !== "string" || !path.startsWith("/")) {
        throw new TypeError(`${path} is no path: it begins with a slash`);
      }
    }
    if (from.endsWith("/*") !== to.endsWith("/*")) {
      throw new TypeError(`${from} to ${to}: either both end in /* or none does`);
    }
    const allowed = methods === undefined ? null : new Set(methods.map((method) => method.toUpperCase()));
    if (allowed?.has("GET")) {
      allowed.add("HEAD"); // As for routes of Express.
    }
    const route = { from, to, allowed };
    const added = (routes = []) => routes.filter((it) => it.from !== from).concat(route);
    if (from.endsWith("/*")) {
      this.#prefixes = added(this.#prefixes).sort((a, b) => b.from.length - a.from.length);
    } else {
      this.#exact.set(common(from), added(this.#exact.get(common(from))));
    }
  }

  /** The sidecar's path for a request; undefined where it is not for the sidecar. The spelling of the route itself goes first. */
  find(path, method) {
    const allows = ({ allowed }) => allowed === null || method === undefined || allowed.has(method);
    const cased = this.#isCaseSensitive ? (text) => text : (text) => text.toLowerCase();
    const spelt = this.#isStrict ? cased : (text) => cased(unslashed(text));
    const resolved = resolve(path);
    const alike = (this.#exact.get(common(resolved)) ?? []).filter(allows);
    const exact = alike.find(({ from }) => from === resolved) ?? alike.find(({ from }) => spelt(from) === spelt(resolved));
    if (exact !== undefined) {
      return exact.to;
    }
    for (const route of this.#prefixes) {
      const prefix = route.from.slice(0, -2);
      const rest = resolved.slice(prefix.length);
      if (allows(route) && (rest === "" || rest.startsWith("/")) && cased(resolved).startsWith(cased(prefix))) {
        return route.to.slice(0, -2) + rest || "/";
      }
    }
    return undefined;
  }

  /** All of them, from and to. */
  list() {
    return [...[...this.#exact.values()].flat(), ...this.#prefixes].map(({ from, to }) => [from, to]);
  }
}

/** Routes for the functions that a sidecar lists: `POST` to the path of each, under a prefix. */
class Discovered {
  #http;
  #prefix;
  #refresh;
  #spelling;
  #routes;
  #isKnown = false;
  #at = -Infinity;
  #asking = null;

  constructor(connection, { prefix = "", refresh = 10_000, spelling } = {}) {
    this.#http = new Http(connection);
    this.#prefix = prefix.replace(/\/+$/, "");
    this.#refresh = refresh;
    this.#spelling = spelling;
    this.#routes = new Routes(spelling);
  }

  /** As of `Routes`. Asks the sidecar where it has not answered yet; what it said before is asked for anew meanwhile. */
  async find(path, method) {
    if (!this.#isKnown && performance.now() - this.#at > AGAIN) {
      await this.ask().catch(() => {});
    } else if (performance.now() - this.#at > this.#refresh) {
      this.ask().catch(() => {});
    }
    return this.#routes.find(path, method);
  }

  /** Asks for the functions; gives the routes. What was known stays where there is no answer. */
  ask() {
    this.#at = performance.now();
    this.#asking ??= this.#ask().finally(() => (this.#asking = null));
    return this.#asking;
  }

  /** What is known. */
  get routes() {
    return this.#routes;
  }

  close() {
    this.#http.close();
  }

  async #ask() {
    const limit = { timeout: PATIENCE, late: () => late("/functions", PATIENCE) };
    const { result } = await within(limit, (signal) => this.#http.page("/functions", signal));
    const routes = new Routes(this.#spelling);
    for (const { path } of result) {
      if (path !== undefined) {
        routes.add(this.#prefix + path, path, { methods: ["POST"] });
      }
    }
    this.#routes = routes;
    this.#isKnown = true;
    return routes.list();
  }
}

/** A path without dot segments, as the sidecar resolves it: `/a/../b` is matched as `/b`. */
function resolve(path) {
  return URL.canParse(`http://h${path}`) ? new URL(`http://h${path}`).pathname : path;
}

const unslashed = (path) => path.replace(/(?<=.)\/$/, "");

const common = (path) => unslashed(path).toLowerCase();

/** How long the list of functions may take. */
const PATIENCE = 2000;
/** A sidecar that did not answer is not asked again before. */
const AGAIN = 1000;

module.exports = { Discovered, Routes };
