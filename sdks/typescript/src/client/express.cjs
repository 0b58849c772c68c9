/** `expressProxy`: a middleware that sends the routes that it is told of to the sidecar, and leaves all others alone. */

"use strict";

const { HttpProxy } = require("./proxy.cjs");

/** A middleware for Express, and for whatever else calls `(request, response, next)`. */
function expressProxy({ auto = false, fallback, strict = false, caseSensitive = false, ...options } = {}) {
  const { Discovered, Routes } = require("./routes.cjs");
  const proxy = new HttpProxy(options);
  const { url, token, tls } = options;
  const spelling = { isStrict: strict, isCaseSensitive: caseSensitive };
  const known = new Routes(spelling);
  const discovery = (wishes) => new Discovered({ url, token, tls }, { ...wishes, spelling });
  let discovered = auto === false ? null : discovery(auto === true ? {} : auto);

  const middleware = async (request, response, next) => {
    try {
      const [path, query] = parts(request);
      const to = known.find(path, request.method) ?? (await discovered?.find(path, request.method));
      if (to === undefined) {
        return void next();
      }
      const away = fallback === true ? () => next() : fallback && ((error) => fallback(error, request, response, next));
      await proxy.forward(request, response, { path: to + query, fallback: away || undefined });
    } catch (error) {
      next(error);
    }
  };

  /** The routes again, for what `node:http` gives with `upgrade`; their paths are whole there, as nothing is mounted. */
  const upgrade = async (request, socket, head, next) => {
    const [path, query] = parts(request);
    const to = known.find(path, "GET");
    if (to !== undefined) {
      return proxy.upgrade(request, socket, head, { path: to + query, fallback: fallback === true && next ? () => next() : undefined });
    }
    if (next !== undefined) {
      return next();
    }
    if (!(socket.server?.listenerCount("upgrade") > 1)) {
      const { answerOn } = require("./upgrade.cjs");
      // Nobody else is there to answer it.
      socket.on("error", () => {});
      answerOn(socket, { status: 404, words: "no WebSocket is here" });
    }
  };

  return Object.assign(middleware, {
    proxy,
    upgrade,
    route(from, to, options) {
      known.add(from, to, options);
      return middleware;
    },
    async discover(options) {
      discovered?.close();
      discovered = discovery(options);
      return discovered.ask();
    },
    find: (path, method) => known.find(path, method) ?? discovered?.routes.find(path, method),
    routes: () => [...known.list(), ...(discovered?.routes.list() ?? [])],
    close() {
      proxy.close();
      discovered?.close();
    },
  });
}

/** A request's path where the middleware stands, and its query with the question mark. */
function parts(request) {
  const text = /^https?:\/\//i.test(request.url) ? request.url.replace(/^https?:\/\/[^/?]*/i, "") : request.url;
  const at = text.indexOf("?");
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at)];
}

module.exports = { expressProxy };
