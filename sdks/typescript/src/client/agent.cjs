/** Connections to one address over HTTP, kept for the next request. */

"use strict";

const { isWhole } = require("./source.cjs");

/** What sends requests to this address. */
function openAgent({ isEncrypted, target }, tls = {}) {
  let agent = null;
  return {
    request(options) {
      const http = isEncrypted ? require("node:https") : require("node:http");
      agent ??= guarded(new http.Agent({ ...target, ...tls, keepAlive: true, timeout: IDLE }));
      const request = http.request({ agent, ...target, ...tls, ...options, setHost: false });
      // What has not been sent when the answer is over is not wanted any more, and nobody else can have the connection.
      request.once("response", (response) => response.once("end", () => request.writableFinished || request.destroy()));
      return request;
    },
    /** Closes all connections that nobody uses. */
    destroy() {
      agent?.destroy();
    },
  };
}

/**
 * An agent whose connections have a listener for errors as long as they live. Node has none at the moment when a request ends because its
 * last write has failed, and an error that nobody listens for ends the process.
 */
function guarded(agent) {
  const connect = agent.createConnection;
  agent.createConnection = (...words) => connect.apply(agent, words)?.on("error", () => {}); // The request tells of it.
  return agent;
}

/** Calls `then` when a request has its connection; before that nothing of it has been sent. */
function connected(request, then) {
  request.once("socket", (socket) => {
    if (socket.connecting) {
      socket.once(socket.encrypted ? "secureConnect" : "connect", then);
    } else {
      then();
    }
  });
}

/** Whether a body is sent only when the other end says that it takes it; the request's head has to ask with `Expect`. */
const isAskedFor = (body) => !isWhole(body) || (body !== undefined && Buffer.byteLength(body) > ASKED_FOR);

/**
 * Sends the body of a request that has asked whether to: `then` is called when it may go on, or when nothing is said for a while, as by
 * servers that do not know the question. What is refused is never sent, so that the refusal is read and no write fails before it.
 */
function whenAskedFor(request, timeout, then) {
  const goOn = () => {
    settle();
    then();
  };
  const answered = ({ statusCode }) => (statusCode < 300 ? goOn() : settle());
  const timer = setTimeout(goOn, timeout > 0 ? Math.min(UNASKED, timeout / 4) : UNASKED);
  const settle = () => {
    clearTimeout(timer);
    request.off("continue", goOn).off("response", answered).off("close", settle);
  };
  request.once("continue", goOn).once("response", answered).once("close", settle);
  request.flushHeaders();
}

/** A sidecar closes a connection that it has heard nothing on for 30 seconds: ours are closed before. */
const IDLE = 15_000;
/** In bytes: below, what it costs to ask is more than what it may save. */
const ASKED_FOR = 1024 * 1024;
/** In milliseconds; less where the whole has less than four times as long. */
const UNASKED = 1000;

module.exports = { connected, isAskedFor, openAgent, whenAskedFor };
