/**
 * `SidecarClient`: calls functions by their names.
 *
 * Chooses the way, keeps the limits of each call, tries again; the ways themselves are `ipc` and `http`, which are loaded with the first
 * client that is made: a handler's process that imports the package has none.
 */

"use strict";

const { follow, pause, startTimer, within } = require("./abort.cjs");
const { CircuitBreaker } = require("./breaker.cjs");
const { CallError, isUnsent, late, UnavailableError } = require("./errors.cjs");
const { encode } = require("../json.cjs");

/** Calls the functions of a sidecar. */
class SidecarClient {
  #http;
  #ipc;
  #mode;
  #timeout;
  #retries;
  #isIdempotent;
  #breaker;
  /** Which way answers, while that is known; for `auto`. */
  #chosen = null;
  #way;
  #inFlight = new Set();
  /** Of every stream whose reader has a piece and has not asked for the next one: what ends it. */
  #resting = new Set();
  #isClosed = false;

  constructor({ mode = "auto", url, socket, token, tls, timeout = 30_000, retry, idempotent = false, breaker } = {}) {
    if (!["auto", "http", "ipc"].includes(mode)) {
      throw new TypeError(`mode: ${mode}: it is "ipc", "http" or "auto"`);
    }
    const { Http } = require("./http.cjs");
    const { Ipc } = require("./ipc.cjs");
    const { socketPath } = require("./places.cjs");
    const { Retries } = require("./retry.cjs");
    this.#mode = mode;
    this.#http = new Http({ url, token, tls });
    this.#ipc = new Ipc(socketPath(socket));
    this.#timeout = timeout;
    this.#retries = new Retries(retry);
    this.#isIdempotent = idempotent;
    this.#breaker = breaker === undefined || breaker instanceof CircuitBreaker ? breaker : new CircuitBreaker(breaker);
    this.#way = mode === "auto" ? undefined : mode;
  }

  /** The way that is taken: `ipc`, `http`, or undefined before `auto` has found one. */
  get way() {
    return this.#way;
  }

  /** Calls `name`, or `package/name`, with a list of arguments; gives its result. */
  async call(name, args = [], options = {}) {
    const wish = this.#wished(name, args, options);
    const tried = (signal) => this.#tried(options, signal, (way) => way.call(wish, signal));
    return this.#tracked(() => this.#limited(wish.name, options, tried));
  }

  /** Calls a function that gives its result in pieces: iterate them; `result` is what it gives in the end. */
  stream(name, args = [], options = {}) {
    const wish = { ...this.#wished(name, args, options), isStreamed: true };
    let settle;
    const result = new Promise((resolve, reject) => (settle = { resolve, reject }));
    result.catch(() => {});
    const pieces = this.#pieces(wish, options, settle);
    const leave = pieces.return.bind(pieces);
    const end = async (value) => {
      const last = await leave(value);
      // A generator that is left before it begins runs none of its lines.
      settle.reject(left(wish.name));
      return last;
    };
    return Object.defineProperties(pieces, { result: { value: result }, return: { value: end } });
  }

  /** Sends a body of any size and kind to a function with `input: stream`; gives its result. A stream is closed in the end. */
  async upload(name, body, options = {}) {
    const source = require("./source.cjs");
    const { contentType = "application/octet-stream" } = options;
    const opened = source.open(body);
    try {
      const wish = this.#wished(name, [], options);
      const uploaded = async (signal) => {
        const path = options.path ?? (await this.#pathOf(wish, signal));
        // A body can be read once only, so there is one try.
        return this.#http.upload({ ...wish, path, body: opened, contentType }, signal);
      };
      return await this.#tracked(() => this.#limited(wish.name, options, uploaded));
    } finally {
      source.close(opened);
    }
  }

  /** What can be called. */
  async functions(options) {
    return (await this.#page("/functions", options)).result;
  }

  /** The functions as declarations in TypeScript. */
  async types(options) {
    return (await this.#page("/types", options)).output;
  }

  /** Which sidecar this is. */
  async version(options) {
    return (await this.#page("/version", options)).result;
  }

  /** How the sidecar is; rejects where it does not answer. */
  async health(options) {
    const { success: _, output, ...more } = await this.#page("/health", options);
    return { status: output, ...more };
  }

  /**
   * Takes no more calls, waits until all in flight are answered, and closes the connections. A stream whose reader asks for nothing more within
   * its timeout, or within 30 seconds where that is longer, is ended.
   */
  async close() {
    this.#isClosed = true;
    this.#resting.forEach((rest) => rest.hurry());
    await Promise.all(this.#inFlight);
    await this.#ipc.close();
    await this.#http.close();
  }

  async *#pieces(wish, options, settle) {
    let done;
    const tracked = this.#tracked(() => new Promise((resolve) => (done = resolve)));
    tracked.catch(settle.reject);
    const { signal, timeout = this.#timeout } = options;
    const limit = new AbortController();
    const unfollow = follow(signal, limit);
    let pieces;
    const next = async () => {
      signal?.throwIfAborted();
      limit.signal.throwIfAborted();
      const timer = startTimer(timeout, () => limit.abort(late(wish.name, timeout)));
      try {
        if (pieces !== undefined) {
          return await pieces.next();
        }
        if (done === undefined) {
          await tracked;
        }
        // A call that has begun to answer is not tried again.
        return await this.#tried(options, limit.signal, (way) => {
          pieces = way.stream(wish, limit.signal);
          return pieces.next();
        });
      } finally {
        clearTimeout(timer);
      }
    };
    let reason = left(wish.name);
    const end = () => {
      limit.abort(reason);
      settle.reject(reason);
      done();
    };
    try {
      for (;;) {
        const { done: isLast, value } = await next();
        if (isLast) {
          settle.resolve(value);
          return value;
        }
        const rest = this.#rest(timeout, end);
        try {
          yield value;
        } finally {
          rest.over();
        }
      }
    } catch (error) {
      reason = error;
      throw error;
    } finally {
      settle.reject(reason);
      unfollow();
      await pieces?.return();
      done?.();
    }
  }

  /** A stream's reader has a piece. When the client is closed it has to ask for the next one in time, or the stream is ended. */
  #rest(timeout, end) {
    let timer;
    const rest = {
      hurry: () => (timer ??= setTimeout(end, timeout > 0 ? Math.min(timeout, LONGEST_REST) : LONGEST_REST)),
      over: () => {
        clearTimeout(timer);
        this.#resting.delete(rest);
      },
    };
    this.#resting.add(rest);
    if (this.#isClosed) {
      rest.hurry();
    }
    return rest;
  }

  async #page(path, options = {}) {
    return this.#tracked(() => this.#limited(path, options, (signal) => this.#http.page(path, signal)));
  }

  async #pathOf(wish, signal) {
    const { result } = await this.#http.page("/functions", signal);
    const found = result.filter((it) => it.name === wish.name && (wish.pkg === undefined || it.package === wish.pkg));
    if (found.length !== 1 || found[0].path === undefined) {
      const why = found.length > 1 ? "stands in several packages: name one" : "is not there, or has no path";
      throw new CallError(`the function \`${wish.name}\` ${why}; \`functions()\` lists all`, { code: "not_found", status: 404 });
    }
    return found[0].path;
  }

  #wished(name, args, { package: pkg, timeout = this.#timeout }) {
    return { ...wished(name, args, pkg), timeout };
  }

  #limited(what, { signal, timeout = this.#timeout }, work) {
    return within({ signal, timeout, late: () => late(what, timeout) }, work);
  }

  /** Tries until it works, or may not be tried again. */
  async #tried({ idempotent = this.#isIdempotent }, signal, work) {
    const pass = this.#breaker?.admit();
    this.#retries.budget.called();
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await this.#attempt(signal, work);
        pass?.succeeded();
        return result;
      } catch (error) {
        const wait = signal.aborted ? null : this.#retries.pause(error, attempt, idempotent);
        if (wait === null) {
          tell(pass, error, signal);
          throw error;
        }
        await pause(wait, signal).catch((reason) => {
          // What went wrong says more than that the time went by as well.
          const last = reason?.code === "timeout" ? error : reason;
          tell(pass, last, signal);
          throw last;
        });
      }
    }
  }

  async #attempt(signal, work) {
    const known = this.#chosen;
    try {
      return await work(await this.#transport(signal));
    } catch (error) {
      if (this.#mode !== "auto" || !isUnsent(error)) {
        throw error;
      }
      // What answered before does not any more: perhaps the other one does.
      this.#chosen = null;
      if (known === null) {
        throw error;
      }
      return work(await this.#transport(signal));
    }
  }

  async #transport(signal) {
    if (this.#mode !== "auto") {
      return this.#mode === "ipc" ? this.#ipc : this.#http;
    }
    return (this.#chosen ??= await this.#choose(signal));
  }

  /** The first way that a sidecar answers on. */
  async #choose(signal) {
    const { preferred } = require("./places.cjs");
    const ways = { http: this.#http, ipc: this.#ipc };
    const failures = [];
    for (const way of preferred()) {
      try {
        await within({ signal, timeout: PROBE, late: () => late(ways[way].place, PROBE) }, (limit) => ways[way].probe(limit));
        this.#way = way;
        return ways[way];
      } catch (error) {
        signal.throwIfAborted();
        failures.push(error);
      }
    }
    const places = failures.map((error) => error.message.split(": start one")[0]).join(", and ");
    const message = `${places}: start one with \`outrigger up\`, or say where it is with \`url\` or \`socket\``;
    throw new UnavailableError(message, { code: "sidecar_unavailable", cause: failures[0] });
  }

  /** Does work that `close` waits for. */
  async #tracked(work) {
    if (this.#isClosed) {
      throw new CallError("the client is closed", { code: "closed" });
    }
    let end;
    const ended = new Promise((resolve) => (end = resolve));
    this.#inFlight.add(ended);
    try {
      return await work();
    } finally {
      this.#inFlight.delete(ended);
      end();
    }
  }
}

if (Symbol.asyncDispose !== undefined) {
  SidecarClient.prototype[Symbol.asyncDispose] = SidecarClient.prototype.close;
}

/** What is asked for, its arguments as JSON. */
function wished(name, args, pkg) {
  if (typeof name !== "string" || name === "") {
    throw new TypeError("a function is called by its name: `call(\"priceOrder\", [order])`");
  }
  if (!Array.isArray(args)) {
    throw new TypeError(`the arguments of \`${name}\` have to be a list: \`call("${name}", [argument])\``);
  }
  const slash = name.indexOf("/");
  if (slash === -1) {
    return { name, pkg, args: encode(args) };
  }
  return { name: name.slice(slash + 1), pkg: name.slice(0, slash), args: encode(args) };
}

const left = (name) => new CallError(`the pieces of ${name} were left before their end`, { code: "canceled" });

function tell(pass, error, signal) {
  if (signal.aborted && error?.code !== "timeout") {
    pass?.left();
  } else {
    pass?.failed(error);
  }
}

/** How long a way may take to show that somebody answers on it. */
const PROBE = 1000;
/** How long a closed client waits for the reader of a stream. */
const LONGEST_REST = 30_000;

module.exports = { SidecarClient };
