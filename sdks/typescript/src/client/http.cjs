/**
 * Calls over HTTP, and what the sidecar tells of itself there.
 *
 * `node:http` is loaded with the first request: a handler that makes no calls does not pay for it.
 */

"use strict";

const { Readable } = require("node:stream");

const { CallError, lost, told, unreachable } = require("./errors.cjs");
const { Lines } = require("./lines.cjs");
const { connected, isAskedFor, openAgent, whenAskedFor } = require("./agent.cjs");
const { httpPlace } = require("./places.cjs");

/** The way over HTTP. */
class Http {
  #at;
  #token;
  #agent;

  constructor({ url, token, tls }) {
    this.#at = httpPlace(url);
    this.#token = token;
    this.#agent = openAgent(this.#at, tls);
    this.place = this.#at.text;
  }

  /** Rejects where no sidecar is there. */
  async probe(signal) {
    const response = await this.#send({ method: "GET", path: "/health" }, signal);
    await whole(response);
    if (response.headers[CONTRACT] === undefined) {
      throw this.#stranger(response);
    }
  }

  async call(wish, signal) {
    return this.#result(await this.#invoke(wish, signal), wish.name, signal);
  }

  async *stream(wish, signal) {
    const response = await this.#invoke(wish, signal);
    if (!/^application\/x-ndjson\b/.test(response.headers["content-type"] ?? "")) {
      return this.#result(response, wish.name, signal);
    }
    const lines = new Lines();
    let end = null;
    try {
      // To its end, so that the connection can be used again.
      for await (const chunk of response) {
        for (const line of lines.push(chunk)) {
          const { data, status, ...failure } = JSON.parse(line);
          if (status === "partial") {
            yield data;
          } else {
            end = { data, failure: status === "ok" ? null : failure };
          }
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      throw lost(wish.name, error);
    }
    signal.throwIfAborted();
    if (end === null) {
      throw lost(wish.name);
    }
    if (end.failure !== null) {
      throw told(end.failure, response.statusCode);
    }
    return end.data;
  }

  /** Calls a function by its path with a body of any kind. */
  async upload({ name, path, body, contentType }, signal) {
    const headers = { "content-type": contentType };
    const response = await this.#send({ method: "POST", path, headers, body, what: name }, signal);
    if (response.statusCode !== 200 || response.headers[CONTRACT] === undefined) {
      return this.#result(response, name, signal);
    }
    return JSON.parse(await this.#whole(response, name, signal));
  }

  /** One of the sidecar's own pages: the object that it is. */
  async page(path, signal) {
    const response = await this.#send({ method: "GET", path, what: path }, signal);
    return this.#answer(response, path, signal);
  }

  async close() {
    this.#agent.destroy();
  }

  #invoke({ name, pkg, args, isStreamed }, signal) {
    const named = pkg === undefined ? "" : `,"package":${JSON.stringify(pkg)}`;
    const streaming = isStreamed ? ',"streaming":true' : "";
    const body = `{"function":${JSON.stringify(name)}${named},"args":${args}${streaming}}`;
    const accept = isStreamed ? "application/x-ndjson" : "application/json";
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body), accept };
    return this.#send({ method: "POST", path: "/invoke", headers, body, what: name }, signal);
  }

  /** Sends a request; gives its answer when the head of that is there. Both end when the signal is aborted. */
  #send({ method, path, headers = {}, body, what }, signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        return void reject(signal.reason);
      }
      const auth = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
      const isWhole = body === undefined || typeof body === "string" || body instanceof Uint8Array;
      const isAsking = !isWhole || (body !== undefined && isAskedFor(Buffer.byteLength(body)));
      const all = { host: this.#at.authority, ...auth, ...headers, ...(isAsking ? { expect: "100-continue" } : {}) };
      const request = this.#agent.request({ method, path: this.#at.base + path, headers: all });
      const abort = () => request.destroy();
      signal.addEventListener("abort", abort, { once: true });
      request.once("close", () => signal.removeEventListener("abort", abort));
      let isSent = false;
      connected(request, () => (isSent = true));
      let broken = null;
      request.once("response", resolve);
      request.once("error", (error) => {
        if (signal.aborted) {
          reject(signal.reason);
        } else {
          reject(broken ?? (isSent ? lost(what, error) : unreachable(this.place, error)));
        }
      });
      // After the head its reader is told.
      request.on("error", () => {});
      if (isWhole) {
        return isAsking ? whenAskedFor(request, () => request.end(body)) : void request.end(body);
      }
      const source = Readable.from(body);
      source.once("error", (error) => {
        broken = error;
        request.destroy(error);
      });
      request.once("close", () => source.destroy());
      whenAskedFor(request, () => source.pipe(request));
    });
  }

  async #result(response, what, signal) {
    return (await this.#answer(response, what, signal)).result;
  }

  /** The object that an answer is; rejects with the error that it tells. */
  async #answer(response, what, signal) {
    const text = await this.#whole(response, what, signal);
    let answer = null;
    try {
      answer = JSON.parse(text);
    } catch {
      // It is no answer of a sidecar, which is told below.
    }
    if (typeof answer?.success !== "boolean") {
      throw this.#stranger(response);
    }
    if (!answer.success) {
      const wait = Number(response.headers["retry-after"]);
      throw told(answer, response.statusCode, Number.isFinite(wait) ? wait : undefined);
    }
    return answer;
  }

  async #whole(response, what, signal) {
    try {
      return await whole(response);
    } catch (error) {
      signal.throwIfAborted();
      throw lost(what, error);
    }
  }

  #stranger({ statusCode, headers }) {
    const kind = headers["content-type"] ?? "no Content-Type";
    const message = `${this.place} answers ${statusCode} with ${kind}, which no sidecar does: is it another server's address?`;
    return new CallError(message, { code: "bad_reply", status: statusCode });
  }
}

/** A body as text; rejects where it broke off. */
async function whole(response) {
  const chunks = [];
  for await (const chunk of response) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** In every answer of the sidecar's own. */
const CONTRACT = "x-forst-contract-version";

module.exports = { Http };
