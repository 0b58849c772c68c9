/** Connections to one address over HTTP, kept for the next request. */

"use strict";

/** What sends requests to this address. */
function openAgent({ isEncrypted, target }, tls = {}) {
  let agent = null;
  return {
    request(options) {
      const http = isEncrypted ? require("node:https") : require("node:http");
      agent ??= new http.Agent({ ...target, ...tls, keepAlive: true, timeout: IDLE });
      return http.request({ agent, ...target, ...tls, ...options, setHost: false });
    },
    /** Closes all connections that nobody uses. */
    destroy() {
      agent?.destroy();
    },
  };
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

/** A sidecar closes a connection that it has heard nothing on for 30 seconds: ours are closed before. */
const IDLE = 15_000;

module.exports = { connected, openAgent };
