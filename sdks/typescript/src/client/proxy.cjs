/**
 * `HttpProxy`: sends requests of a Node server on to the sidecar, and its answers back.
 *
 * Nothing of a request is read before there is a connection for it, so whatever could not be sent can still be answered by somebody else.
 * Once the head of an answer has gone out a failure ends the connection: an answer is never complete that was not.
 */

"use strict";

const { pipeline } = require("node:stream");

const { connected, openAgent } = require("./agent.cjs");
const { startTimer } = require("./abort.cjs");
const { CircuitBreaker } = require("./breaker.cjs");
const { CircuitOpenError, isUnsent, late, lost, TimeoutError, unreachable } = require("./errors.cjs");
const { forwarded, passHead } = require("./headers.cjs");
const { httpPlace } = require("./places.cjs");
const { Retries } = require("./retry.cjs");

/** Forwards requests of `node:http`, and of the frameworks on top of it. */
class HttpProxy {
  #at;
  #agent;
  #options;
  #retries;
  #breaker;

  constructor({ url, token, tls, timeout = 30_000, headers = {}, retry = { attempts: 1 }, breaker, fallback, trustForwarded = false } = {}) {
    this.#at = httpPlace(url);
    this.#agent = openAgent(this.#at, tls);
    const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    this.#options = { timeout, headers: { ...authorization, ...headers }, fallback, trustForwarded };
    this.#retries = new Retries(retry);
    this.#breaker = breaker === undefined || breaker instanceof CircuitBreaker ? breaker : new CircuitBreaker(breaker);
  }

  /** Sends a request on and answers it; settles when that has been done, or nobody waits for it any more. */
  async forward(request, response, options = {}) {
    if (request.method === "TRACE" || request.method === "CONNECT") {
      return refuse(response, 405, `${request.method} is not forwarded`);
    }
    const path = this.#at.base + target(options.path ?? request.originalUrl ?? request.url);
    const body = bodyOf(request, options.body);
    const headers = forwarded(request, {
      own: { ...this.#options.headers, ...options.headers },
      body,
      isTrusted: this.#options.trustForwarded || isTrusted(request),
    });
    const timeout = options.timeout ?? this.#options.timeout;
    try {
      await this.#tried({ request, response, path, headers, body, timeout });
    } catch (error) {
      const fallback = options.fallback ?? this.#options.fallback;
      if (fallback && isAway(error)) {
        return fallback(error, request, response);
      }
      answer(response, error);
    }
  }

  /** Closes the connections that nobody uses. */
  close() {
    this.#agent.destroy();
  }

  async #tried(exchange) {
    const isRepeatable = exchange.body.kind === "none" && IDEMPOTENT.test(exchange.request.method);
    this.#retries.budget.called();
    for (let attempt = 1, wasStale = false; ; attempt += 1) {
      const pass = this.#breaker?.admit();
      const { error, isStale, isLeft } = await this.#exchange(exchange);
      if (isLeft) {
        return pass?.left();
      }
      if (error === null) {
        return pass?.succeeded();
      }
      // A connection that was kept and had been closed says nothing of the sidecar.
      if (isStale && isRepeatable && !wasStale) {
        pass?.left();
        wasStale = true;
        attempt -= 1;
        continue;
      }
      pass?.failed(error);
      const wait = exchange.response.headersSent ? null : this.#retries.pause(error, attempt, isRepeatable);
      if (wait === null) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** One try; an error of null where it was answered, or its client has gone. */
  #exchange({ request, response, path, headers, body, timeout }) {
    return new Promise((resolve) => {
      if (response.destroyed) {
        return void resolve({ isLeft: true });
      }
      const what = `${request.method} ${path}`;
      const upstream = this.#agent.request({ method: request.method, path, headers });
      let isConnected = false;
      let reply = null;
      const timer = startTimer(timeout, () => {
        const error = late(this.#at.text, timeout);
        error.isUnsent = !isConnected;
        end(error);
      });
      const end = (error, isStale = false) => {
        clearTimeout(timer);
        response.removeListener("close", left);
        if (body.kind === "stream") {
          request.unpipe(upstream);
        }
        if (reply === null) {
          upstream.destroy();
        }
        resolve({ error, isStale });
      };
      const left = () => {
        if (reply?.errored || response.writableFinished) {
          return; // It is closed because its answer broke off, or is whole.
        }
        upstream.destroy();
        resolve({ isLeft: true });
        end(null);
      };
      response.once("close", left);
      upstream.on("error", (cause) => {
        if (reply !== null) {
          return; // What reads the answer is told of it.
        }
        const isStale = upstream.reusedSocket && (cause.code === "ECONNRESET" || cause.code === "EPIPE");
        end(isConnected ? lost(what, cause) : unreachable(this.#at.text, cause), isStale);
      });
      upstream.on("information", (info) => passHint(info, response));
      upstream.once("response", (answered) => {
        reply = answered;
        clearTimeout(timer);
        passHead(reply, response);
        if (!response.hasHeader("content-length")) {
          response.flushHeaders?.();
        }
        reply.once("end", () => passTrailers(reply, response));
        pipeline(reply, response, () => end(reply.complete ? null : lost(what, reply.errored)));
      });
      connected(upstream, () => {
        isConnected = true;
        if (body.kind === "stream") {
          send(request, upstream, timer);
        }
      });
      if (body.kind !== "stream") {
        upstream.end(body.bytes);
      }
    });
  }
}

/** Streams a request's body; as long as it comes the answer is not late. */
function send(request, upstream, timer) {
  upstream.flushHeaders();
  request.on("data", () => timer?.refresh());
  request.once("end", () => {
    const trailers = request.rawTrailers ?? [];
    if (trailers.length > 0) {
      upstream.addTrailers(pairs(trailers));
    }
  });
  request.pipe(upstream);
}

/** What is sent as the body: nothing, bytes, or the request itself. */
function bodyOf(request, given) {
  if (given !== undefined) {
    return { kind: "bytes", bytes: bytesOf(given, request) };
  }
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  const isFramed = coding !== undefined || (length !== undefined && length !== "0") || (request.httpVersionMajor === 2 && !request.stream?.endAfterHeaders);
  if (!isFramed) {
    return { kind: "none" };
  }
  if (!request.readableDidRead && !request.readableEnded) {
    return { kind: "stream" };
  }
  if (request.body === undefined) {
    throw new TypeError("the body of the request was read before the proxy got it: put the proxy before whatever reads bodies, or give it `body`");
  }
  return { kind: "bytes", bytes: bytesOf(request.body, request) };
}

function bytesOf(body, request) {
  if (typeof body === "string" || body instanceof Uint8Array) {
    return Buffer.from(body);
  }
  const kind = request.headers["content-type"] ?? "";
  if (/^application\/x-www-form-urlencoded\b/i.test(kind)) {
    return Buffer.from(new URLSearchParams(body).toString());
  }
  if (/^[^;]*\bjson\b/i.test(kind)) {
    return Buffer.from(JSON.stringify(body));
  }
  throw new TypeError(`a body of ${kind || "no Content-Type"} was read before the proxy got it: put the proxy before whatever reads bodies`);
}

/** The target of a request as it was received, without an origin. */
function target(text) {
  if (/^https?:\/\//i.test(text)) {
    const { pathname, search } = new URL(text);
    return pathname + search;
  }
  return text;
}

/** Whether Express has been told to trust whom the request came from. */
function isTrusted(request) {
  const trust = request.app?.get?.("trust proxy fn");
  return typeof trust === "function" && trust(request.socket?.remoteAddress, 0) === true;
}

function passHint(info, response) {
  if (info.statusCode === 103 && info.headers.link !== undefined && !response.headersSent) {
    response.writeEarlyHints?.({ link: info.headers.link });
  }
}

function passTrailers(reply, response) {
  if (reply.rawTrailers.length > 0) {
    response.addTrailers(pairs(reply.rawTrailers));
  }
}

function pairs(raw) {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at], raw[2 * at + 1]]);
}

/** Whether nothing of the request has been sent: somebody else can answer it. */
const isAway = (error) => isUnsent(error) || error instanceof CircuitOpenError || error.isUnsent === true;

/** Answers with what went wrong; cuts an answer short that has begun. */
function answer(response, error) {
  if (response.headersSent) {
    return void response.destroy();
  }
  if (error instanceof CircuitOpenError) {
    response.setHeader("Retry-After", String(error.retryAfter));
    refuse(response, 503, "Service temporarily unavailable");
  } else if (isUnsent(error)) {
    refuse(response, 503, "Sidecar unavailable");
  } else if (error instanceof TimeoutError) {
    refuse(response, 504, "Gateway timeout");
  } else if (error.code === "connection_lost") {
    refuse(response, 502, "Bad gateway");
  } else {
    refuse(response, 500, "Internal proxy error");
  }
}

function refuse(response, status, error) {
  const body = Buffer.from(`${JSON.stringify({ error })}\n`);
  response.statusCode = status;
  response.setHeader("Content-Type", "application/json");
  response.setHeader("Content-Length", String(body.length));
  response.end(body);
}

const IDEMPOTENT = /^(GET|HEAD|OPTIONS|PUT|DELETE)$/;

module.exports = { HttpProxy };
