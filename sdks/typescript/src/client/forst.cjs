/** The names and signatures of an earlier design of the client, as aliases: a program that was written for it only changes its imports. */

"use strict";

const client = require("./index.cjs");

/** `SidecarClient`, with `callFunction`. */
class ForstClient extends client.SidecarClient {
  constructor({ mode, sidecarUrl, http, ipc, ...options } = {}) {
    const url = sidecarUrl ?? (http?.port === undefined ? undefined : `http://127.0.0.1:${http.port}`);
    super({ url, socket: ipc?.socketPath ?? SOCKET, mode: MODES[mode] ?? mode, ...options });
  }

  callFunction(name, args) {
    return this.call(name, args);
  }
}

/** `HttpProxy`, with `proxyRequest`. */
class ForstHTTPProxy {
  #proxy;

  constructor(config = {}) {
    this.#proxy = new client.HttpProxy(translated(config));
  }

  /** Settles when the request has been answered, also where that was with an error. */
  proxyRequest(request, response, { timeout, headers } = {}) {
    // A route that was written into `url` is where it goes; `originalUrl` is from before that.
    return this.#proxy.forward(request, response, { path: request.url, timeout, headers });
  }

  close() {
    this.#proxy.close();
  }
}

/** `expressProxy`, with `registerRoute`, `getRoute`, `autoRegisterRoutes` and `middleware`. */
class ForstExpressProxy {
  #proxy;

  constructor(config = {}) {
    this.#proxy = client.expressProxy(translated(config));
  }

  registerRoute(nodeRoute, forstRoute) {
    this.#proxy.route(nodeRoute, forstRoute);
  }

  getRoute(path) {
    return this.#proxy.find(path);
  }

  /** Asks the sidecar, and again with the next requests where it is not there yet. Nobody has to wait for it, and it never rejects. */
  async autoRegisterRoutes() {
    await this.#proxy.discover().catch(() => {});
  }

  middleware() {
    return this.#proxy;
  }

  /** Sends a request to the route of its path, or to its path where that has none. */
  proxyRequest(request, response, { timeout, headers } = {}) {
    const [path, query = ""] = request.url.split(/(?=\?)/, 2);
    return this.#proxy.proxy.forward(request, response, { path: (this.getRoute(path) ?? path) + query, timeout, headers });
  }

  close() {
    this.#proxy.close();
  }
}

/** `CircuitBreaker`, with the names of its settings. */
class CircuitBreaker extends client.CircuitBreaker {
  constructor({ failureThreshold, timeout, ...options } = {}) {
    super({ failures: failureThreshold, open: timeout, ...options });
  }
}

function translated({ sidecarUrl, retries, circuitBreaker, ...config }) {
  const breaker = circuitBreaker === true ? {} : circuitBreaker || undefined;
  const retry = retries === undefined ? undefined : { attempts: retries + 1 };
  return { url: sidecarUrl, retry, breaker, ...config };
}

const MODES = { development: "ipc", production: "http" };
const SOCKET = "/tmp/forst.sock";

module.exports = { CircuitBreaker, ForstClient, ForstExpressProxy, ForstHTTPProxy };
