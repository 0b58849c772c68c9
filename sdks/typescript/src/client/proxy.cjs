/**
 * `HttpProxy`: sends requests of a Node server on to the sidecar, and its answers back.
 *
 * Nothing of a request is read before there is a connection for it, so whatever could not be sent can still be answered by somebody else.
 * Once the head of an answer has gone out a failure ends the connection: an answer is never complete that was not. What does the work is
 * loaded with the first proxy that is made: a handler's process that imports the package has none.
 */

"use strict";

const { CircuitBreaker } = require("./breaker.cjs");
const { CircuitOpenError, isUnsent } = require("./errors.cjs");

/** Forwards requests of `node:http`, and of the frameworks on top of it. */
class HttpProxy {
  #at;
  #agent;
  #options;
  #retries;
  #breaker;

  constructor({ url, token, tls, timeout = 30_000, headers = {}, retry = { attempts: 1 }, breaker, fallback, trustForwarded = false } = {}) {
    const { openAgent } = require("./agent.cjs");
    const { httpPlace } = require("./places.cjs");
    const { Retries } = require("./retry.cjs");
    this.#at = httpPlace(url);
    this.#agent = openAgent(this.#at, tls);
    const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    this.#options = { timeout, headers: { ...authorization, ...headers }, fallback, trustForwarded };
    this.#retries = new Retries(retry);
    this.#breaker = breaker === undefined || breaker instanceof CircuitBreaker ? breaker : new CircuitBreaker(breaker);
  }

  /** Sends a request on and answers it; settles when that has been done, or nobody waits for it any more. */
  async forward(request, response, options = {}) {
    const { answer, answerFailure } = require("./answers.cjs");
    const { bodyOf, exchange } = require("./exchange.cjs");
    if (request.method === "TRACE" || request.method === "CONNECT") {
      return answer(response, { status: 405, words: `${request.method} is not forwarded` });
    }
    const path = target(options.path ?? request.originalUrl ?? request.url);
    if (path === null) {
      return answer(response, { status: 400, words: "the target of the request is no path" });
    }
    try {
      const body = bodyOf(request, options.body);
      const sent = { request, response, body, ...this.#sending(request, path, { ...options, body }) };
      const isRepeatable = body.kind === "none" && IDEMPOTENT.test(request.method);
      await this.#tried(isRepeatable, () => exchange(sent));
    } catch (error) {
      const fallback = options.fallback ?? this.#options.fallback;
      if (fallback && isAway(error)) {
        return fallback(error, request, response);
      }
      if (error instanceof TypeError) {
        process.emitWarning(error.message, "OutriggerWarning");
      }
      answerFailure(response, error);
    }
  }

  /**
   * Sends the first request of a WebSocket on, and then what both ends say. It takes what `node:http` gives with `upgrade`, and never rejects
   * but for what `fallback` throws: `server.on("upgrade", proxy.upgrade)`. Settles when both connections are closed.
   */
  upgrade = async (request, socket, head, options = {}) => {
    const { answerTo } = require("./answers.cjs");
    const { answerOn, handshake, refusal } = require("./upgrade.cjs");
    const ignore = () => {}; // Nobody else listens, and `close` tells of it.
    socket.on("error", ignore);
    const path = target(options.path ?? request.url);
    const refused = path === null ? { status: 400, words: "the target of the request is no path" } : refusal(request);
    if (refused !== undefined) {
      return answerOn(socket, refused);
    }
    try {
      const body = { kind: "none" };
      const sent = { request, socket, head, ...this.#sending(request, path, { ...options, body }) };
      sent.headers.push("Connection", "Upgrade", "Upgrade", "websocket");
      const { over } = await this.#tried(false, () => handshake(sent));
      await over;
    } catch (error) {
      if (options.fallback && isAway(error) && !socket.destroyed) {
        socket.off("error", ignore);
        return options.fallback(error, request, socket, head);
      }
      answerOn(socket, answerTo(error));
    }
  };

  /** Closes the connections that nobody uses. */
  close() {
    this.#agent.destroy();
  }

  /** What a request goes on with. */
  #sending(request, path, { body, headers, timeout = this.#options.timeout }) {
    const { forwarded } = require("./headers.cjs");
    const isTrusted = this.#options.trustForwarded || isTrustedBy(request);
    const own = { ...this.#options.headers, ...headers };
    return {
      agent: this.#agent,
      place: this.#at.text,
      path: this.#at.base + path,
      headers: forwarded(request, { own, body, isTrusted }),
      timeout,
    };
  }

  /** Tries until it is answered, or may not be tried again. */
  async #tried(isRepeatable, attempt) {
    this.#retries.budget.called();
    for (let number = 1, wasStale = false; ; number += 1) {
      const pass = this.#breaker?.admit();
      const { error, isStale, isLeft, hasBegun, over } = await attempt();
      if (isLeft) {
        pass?.left();
        return {};
      }
      if (error === null) {
        pass?.succeeded();
        return { over };
      }
      // A connection that was kept and had been closed says nothing of the sidecar.
      if (isStale && isRepeatable && !wasStale) {
        pass?.left();
        wasStale = true;
        number -= 1;
        continue;
      }
      pass?.failed(error);
      const wait = hasBegun ? null : this.#retries.pause(error, number, isRepeatable);
      if (wait === null) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/** The target of a request as it was received, without an origin; null where it is none. */
function target(text) {
  const path = text.replace(/^https?:\/\/[^/?]*/i, "");
  if (path.startsWith("?") || path === "") {
    return `/${path}`;
  }
  return path.startsWith("/") || path === "*" ? path : null;
}

/** Whether Express has been told to trust whom the request came from. */
function isTrustedBy(request) {
  const trust = request.app?.get?.("trust proxy fn");
  return typeof trust === "function" && trust(request.socket?.remoteAddress, 0) === true;
}

/** Whether nothing of the request has been sent: somebody else can answer it. */
const isAway = (error) => isUnsent(error) || error instanceof CircuitOpenError || error.isUnsent === true;

const IDEMPOTENT = /^(GET|HEAD|OPTIONS|PUT|DELETE)$/;

module.exports = { HttpProxy };
