/**
 * One request of a Node server, sent on, and its answer, sent back.
 *
 * Nothing of the request is read before there is a connection for it.
 */

"use strict";

const { pipeline } = require("node:stream");

const { connected } = require("./agent.cjs");
const { startTimer } = require("./abort.cjs");
const { late, lost, unreachable } = require("./errors.cjs");
const { formOf } = require("./form.cjs");
const { isSendable, linksOf, passHead, passTrailers } = require("./headers.cjs");

/** One try; an error of null where it was answered, or its client has gone. */
function exchange({ request, response, agent, place, path, headers, body, timeout }) {
  return new Promise((resolve) => {
    if (response.destroyed) {
      return void resolve({ isLeft: true });
    }
    const what = `${request.method} ${path}`;
    const upstream = agent.request({ method: request.method, path, headers });
    let isConnected = false;
    let reply = null;
    const timer = startTimer(timeout, () => end(Object.assign(late(place, timeout), { isUnsent: !isConnected })));
    let unsend = () => {};
    const end = (error, isStale = false) => {
      clearTimeout(timer);
      response.removeListener("close", left);
      unsend();
      // Whatever is unsent or unread here has nobody to wait for it any more.
      if (!reply?.readableEnded || !upstream.writableFinished) {
        upstream.destroy();
      }
      resolve({ error, isStale, hasBegun: response.headersSent });
    };
    const left = () => {
      if (reply?.errored || (reply !== null && response.writableFinished)) {
        return; // It is closed because its answer broke off, or is whole: then the pipeline ends.
      }
      resolve({ isLeft: true });
      end(null);
    };
    response.once("close", left);
    upstream.on("error", (cause) => {
      if (reply !== null) {
        return; // What reads the answer is told of it.
      }
      const isStale = upstream.reusedSocket && (cause.code === "ECONNRESET" || cause.code === "EPIPE");
      end(isConnected ? lost(what, cause) : unreachable(place, cause), isStale);
    });
    // A connection may end without an error, as where somebody answers 101 to what asked for no upgrade.
    upstream.once("close", () => reply === null && end(lost(what)));
    upstream.on("information", (info) => passHint(info, response));
    upstream.once("response", (answered) => {
      if (response.headersSent) {
        return left(); // Somebody else has answered meanwhile.
      }
      if (!isSendable(answered, response)) {
        return end(lost(what, new Error(`nobody can send its head on: ${answered.statusCode} ${JSON.stringify(answered.statusMessage)}`)));
      }
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
        unsend = send(request, upstream, timer);
      }
    });
    if (body.kind !== "stream") {
      upstream.end(body.bytes);
    }
  });
}

/** Streams a request's body; as long as it comes the answer is not late. Gives what ends that: the rest is read, and goes nowhere. */
function send(request, upstream, timer) {
  upstream.flushHeaders();
  const refresh = () => timer?.refresh();
  request.on("data", refresh);
  request.once("end", () => passTrailers(request, upstream));
  request.pipe(upstream);
  return () => {
    request.off("data", refresh).unpipe(upstream).resume();
  };
}

/** What is sent as the body: nothing, bytes, or the request itself. */
function bodyOf(request, given) {
  if (given !== undefined) {
    return written(given, request);
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
  return written(request.body, request);
}

/** A body that was read, as bytes again; what was decoded is a text in UTF-8 now, whatever it was before. */
function written(body, request) {
  if (body instanceof Uint8Array) {
    return { kind: "bytes", bytes: Buffer.from(body), isDecoded: false };
  }
  return { kind: "bytes", bytes: Buffer.from(textOf(body, request.headers["content-type"] ?? "")), isDecoded: true };
}

function textOf(body, kind) {
  if (/^[^;]*\bjson\b/i.test(kind)) {
    return typeof body === "string" && isJson(body) ? body : JSON.stringify(body);
  }
  if (typeof body === "string") {
    return body;
  }
  if (/^application\/x-www-form-urlencoded\b/i.test(kind)) {
    return formOf(body);
  }
  throw new TypeError(`a body of ${kind || "no Content-Type"} was read before the proxy got it: put the proxy before whatever reads bodies`);
}

/** Whether a text is JSON itself: then nobody has read it as such. */
function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Sends a hint on. Node takes fewer forms of it than there are: then the client does without. */
function passHint({ statusCode, rawHeaders }, response) {
  const links = linksOf(rawHeaders);
  if (statusCode !== 103 || links.length === 0 || response.headersSent) {
    return;
  }
  try {
    response.writeEarlyHints?.({ link: links });
  } catch {
    // The answer says all that is needed.
  }
}

module.exports = { bodyOf, exchange };
