/**
 * Calls over HTTP, and what the sidecar tells of itself there.
 *
 * `node:http` is loaded with the first request: a handler that makes no calls does not pay for it.
 */

"use strict";

const { CallError, lost, told, unreachable } = require("./errors.cjs");
const { Lines } = require("./lines.cjs");
const { connected, isAskedFor, openAgent, whenAskedFor } = require("./agent.cjs");
const { httpPlace } = require("./places.cjs");
const { failed, isWhole } = require("./source.cjs");

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
            // Whoever asks for nothing more may be gone, and the process with it. Where the answer is whole the connection may be another's.
            const socket = response.complete ? null : response.socket;
            socket?.unref();
            yield data;
            if (!response.complete) {
              socket?.ref();
            }
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

  /** Calls a function by its path with a body that is whole or a stream. */
  async upload({ name, path, body, contentType, timeout }, signal) {
    const headers = { "content-type": contentType };
    const response = await this.#send({ method: "POST", path, headers, body, what: name, timeout }, signal);
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

  #invoke({ name, pkg, args, isStreamed, timeout }, signal) {
    const named = pkg === undefined ? "" : `,"package":${JSON.stringify(pkg)}`;
    const streaming = isStreamed ? ',"streaming":true' : "";
    const body = `{"function":${JSON.stringify(name)}${named},"args":${args}${streaming}}`;
    const accept = isStreamed ? "application/x-ndjson" : "application/json";
    const headers = { "content-type": "application/json", accept };
    return this.#send({ method: "POST", path: "/invoke", headers, body, what: name, timeout }, signal);
  }

  /** Sends a request; gives its answer when the head of that is there. Both end when the signal is aborted. */
  async #send(wish, signal) {
    const { response, isUnread } = await this.#sent(wish, isAskedFor(wish.body), signal);
    if (response.statusCode !== UNASKABLE || !isUnread) {
      return response;
    }
    response.resume();
    return (await this.#sent(wish, false, signal)).response;
  }

  /** One try; also gives whether nothing of the body was read because the other end had not said that it takes it. */
  #sent({ method, path, headers = {}, body, what, timeout }, isAsking, signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        return void reject(signal.reason);
      }
      const auth = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
      const length = isWhole(body) && body !== undefined ? { "content-length": Buffer.byteLength(body) } : {};
      const all = { host: this.#at.authority, ...auth, ...headers, ...length, ...(isAsking ? { expect: "100-continue" } : {}) };
      const request = this.#agent.request({ method, path: this.#at.base + path, headers: all });
      const abort = () => request.destroy();
      signal.addEventListener("abort", abort, { once: true });
      request.once("close", () => signal.removeEventListener("abort", abort));
      let isSent = false;
      connected(request, () => (isSent = true));
      let isUnread = isAsking;
      let broken = null;
      request.once("response", (response) => resolve({ response, isUnread }));
      request.once("error", (error) => {
        if (signal.aborted) {
          reject(signal.reason);
        } else {
          reject(broken ?? (isSent ? lost(what, error) : unreachable(this.place, error)));
        }
      });
      // After the head its reader is told.
      request.on("error", () => {});
      if (!isWhole(body)) {
        failed(body, (error) => {
          broken = error;
          request.destroy(error);
        });
      }
      const pour = () => {
        isUnread = false;
        if (isWhole(body)) {
          request.end(body);
        } else {
          body.pipe(request);
        }
      };
      if (isAsking) {
        whenAskedFor(request, timeout, pour);
      } else {
        pour();
      }
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

/** The status of whoever does not want to be asked with `Expect`. */
const UNASKABLE = 417;
/** In every answer of the sidecar's own. */
const CONTRACT = "x-forst-contract-version";

module.exports = { Http };
