/** Where the sidecar takes calls, from options, the environment and what is usual. Pure. */

"use strict";

const path = require("node:path");

const USUAL_URL = "http://127.0.0.1:8080";

/** The Unix socket for calls: as it is named, else in the user's folder for sockets, else under `.outrigger`. */
function socketPath(named, environment = process.env) {
  const told = named ?? environment.OUTRIGGER_CALLS_SOCKET;
  const place = told?.replace(/^ipc:(\/\/)?/, "");
  if (place) {
    return path.resolve(place);
  }
  const folder = environment.XDG_RUNTIME_DIR;
  return folder ? path.join(folder, "outrigger/calls.sock") : path.resolve(".outrigger/calls.sock");
}

/**
 * An address for HTTP, taken apart: `http://host:port`, `https://host:port`, `http+unix:///path.sock`. What stands behind the host is put
 * before every path.
 */
function httpPlace(named, environment = process.env) {
  const text = String(named ?? (environment.OUTRIGGER_CALLS_URL || USUAL_URL));
  if (text.startsWith("http+unix://")) {
    const socket = text.slice("http+unix://".length);
    if (socket === "") {
      throw new TypeError(`${text} names no socket, as in \`http+unix:///run/app.sock\``);
    }
    return { text, isEncrypted: false, target: { socketPath: socket }, authority: "localhost", base: "" };
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`${text} is no address of a sidecar: write it as in \`${USUAL_URL}\` or \`http+unix:///run/app.sock\``);
  }
  const isEncrypted = url.protocol === "https:";
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (isEncrypted ? 443 : 80) : Number(url.port);
  return { text: url.origin, isEncrypted, target: { hostname, port }, authority: url.host, base: url.pathname.replace(/\/+$/, "") };
}

/** In which order the ways are tried where neither is asked for: as the environment says, then what is left. */
function preferred(environment = process.env) {
  return environment.NODE_ENV === "development" ? ["ipc", "http"] : ["http", "ipc"];
}

module.exports = { httpPlace, preferred, socketPath };
