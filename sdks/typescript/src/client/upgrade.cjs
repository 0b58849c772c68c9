/**
 * A WebSocket through the proxy: its first request and the answer to that, and then bytes in both directions.
 *
 * There is no response object for such a request: what is answered is written to the client's connection itself. Until the other end has
 * agreed nothing is read from the client, so that somebody else can still answer it.
 */

"use strict";

const { STATUS_CODES } = require("node:http");
const { pipeline } = require("node:stream");

const { bodyOf } = require("./answers.cjs");
const { connected } = require("./agent.cjs");
const { startTimer } = require("./abort.cjs");
const { late, lost, unreachable } = require("./errors.cjs");
const { endToEnd } = require("./headers.cjs");

/** Why a request cannot go on as a WebSocket, as an answer; undefined where it can. */
function refusal({ method, headers }) {
  if (headers.upgrade?.toLowerCase() !== "websocket") {
    return { status: 501, words: `${headers.upgrade ?? "nothing"} is not upgraded to: only WebSockets go on` };
  }
  if (method !== "GET" || headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0) {
    return { status: 400, words: "a WebSocket begins with a GET without a body" };
  }
  return undefined;
}

/** One try; an error of null where it was answered, or its client has gone. `over` settles when all bytes have been carried. */
function handshake({ request, socket, head, agent, place, path, headers, timeout }) {
  return new Promise((resolve) => {
    if (socket.destroyed) {
      return void resolve({ isLeft: true });
    }
    const what = `${request.method} ${path}`;
    // A connection of its own, which nobody gets back.
    const upstream = agent.request({ method: "GET", path, headers, agent: false, allowHalfOpen: true });
    let isConnected = false;
    const end = (result) => {
      clearTimeout(timer);
      unwatch();
      resolve(result);
    };
    const fail = (error) => {
      end({ error });
      upstream.destroy();
    };
    const timer = startTimer(timeout, () => fail(Object.assign(late(place, timeout), { isUnsent: !isConnected })));
    const unwatch = watch(socket, () => {
      end({ isLeft: true });
      upstream.destroy();
    });
    connected(upstream, () => (isConnected = true));
    upstream.on("error", (cause) => end({ error: isConnected ? lost(what, cause) : unreachable(place, cause) }));
    upstream.once("upgrade", (reply, peer, early) => {
      if (reply.headers.upgrade?.toLowerCase() !== "websocket") {
        peer.destroy();
        return void end({ error: lost(what) });
      }
      end({ error: null, over: carry(socket, peer) });
      socket.write(headOf(reply, { Connection: "Upgrade", Upgrade: "websocket" }), "latin1");
      socket.write(early);
      peer.write(head);
    });
    upstream.once("response", (reply) => {
      clearTimeout(timer);
      passRefusal(reply, socket, () => end({ error: reply.complete ? null : lost(what, reply.errored), hasBegun: true }));
    });
    upstream.end();
  });
}

/** Tells when the client goes. What it has sent stays unread: the end of a connection is only told to who has asked for more. */
function watch(socket, gone) {
  const look = () => socket.readableLength === 0 && socket.read();
  socket.on("readable", look).once("end", gone).once("close", gone);
  return () => socket.off("readable", look).off("end", gone).off("close", gone);
}

/** Carries bytes both ways; settles when both connections are closed. The end of one direction is passed on, and the other goes on. */
function carry(one, other) {
  const closed = [
    [one, other],
    [other, one],
  ].map(([from, to]) => {
    from.setTimeout(0);
    from.setNoDelay(true);
    from.on("error", () => {}); // `close` tells of it.
    from.pipe(to);
    return new Promise((resolve) =>
      from.once("close", () => {
        if (!from.readableEnded || !from.writableFinished) {
          to.destroy();
        }
        resolve();
      }),
    );
  });
  return Promise.all(closed);
}

/** Passes on an answer that is none to a WebSocket; then the connection is closed. */
function passRefusal(reply, socket, then) {
  const isCounted = reply.headers["content-length"] !== undefined || reply.statusCode === 204 || reply.statusCode === 304;
  const own = isCounted ? { Connection: "close" } : { Connection: "close", "Transfer-Encoding": "chunked" };
  socket.write(headOf(reply, own), "latin1");
  const ended = (error) => {
    then();
    // Only what is whole ends; what broke off has destroyed the connection.
    if (!error) {
      leave(socket);
    }
  };
  if (isCounted) {
    pipeline(reply, socket, ended);
  } else {
    pipeline(reply, chunked, socket, ended);
  }
}

async function* chunked(body) {
  for await (const chunk of body) {
    yield `${chunk.length.toString(16)}\r\n`;
    yield chunk;
    yield "\r\n";
  }
  yield "0\r\n\r\n";
}

/** Answers on the connection itself, and closes it. */
function answerOn(socket, { status, words, headers = {} }) {
  if (!socket.writable) {
    return;
  }
  const body = bodyOf(words);
  const own = { ...headers, Connection: "close", "Content-Type": "application/json", "Content-Length": body.length };
  socket.write(headOf({ statusCode: status, statusMessage: STATUS_CODES[status], rawHeaders: [] }, own), "latin1");
  socket.write(body);
  leave(socket);
}

/** The head of an answer; `own` are headers of this connection. */
function headOf({ statusCode, statusMessage, rawHeaders }, own) {
  const lines = [...Object.entries(own), ...endToEnd(rawHeaders)].map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join("")}\r\n`;
}

/** Closes a connection when all is written; what still comes is not waited for. */
function leave(socket) {
  socket.resume();
  socket.destroySoon();
}

module.exports = { answerOn, handshake, refusal };
