/** Which headers pass a proxy, and what it says of itself. Pure. */

"use strict";

/** What belongs to one connection. `Upgrade` is among them: a WebSocket says it anew. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** What `Connection` cannot name away: a message would lose its end, or its address. */
const KEPT = new Set(["content-length", "host", "transfer-encoding", "x-forst-sidecar", "x-forwarded-by"]);

/** The headers of a message as pairs, in their order and case, without those of its connection. */
function endToEnd(raw) {
  const all = pairs(raw);
  const named = new Set();
  for (const [name, value] of all) {
    if (name.toLowerCase() === "connection") {
      value.split(",").forEach((word) => named.add(word.trim().toLowerCase()));
    }
  }
  return all.filter(([name, value]) => {
    const key = name.toLowerCase();
    if (key === "te" && /^\s*trailers\s*$/i.test(value) && !named.has("te")) {
      return true;
    }
    // Those with a colon in front are HTTP/2's own.
    return !key.startsWith(":") && !HOP_BY_HOP.has(key) && (!named.has(key) || KEPT.has(key));
  });
}

/** The headers that a request goes on with, as a flat list. `own` stand in place of those that came. */
function forwarded(request, { own = {}, body, isTrusted }) {
  const headers = request.headers;
  const peer = request.socket?.remoteAddress;
  const host = headers.host ?? headers[":authority"] ?? "";
  const isEncrypted = request.socket?.encrypted === true;
  const proto = (isTrusted && headers["x-forwarded-proto"]) || (isEncrypted ? "https" : "http");
  const publicHost = (isTrusted && headers["x-forwarded-host"]) || host;
  const set = {
    Host: host,
    "X-Forst-Sidecar": "true",
    "X-Forwarded-By": "forst-proxy",
    "X-Forwarded-For": appended(headers["x-forwarded-for"], peer ?? "unknown"),
    Forwarded: appended(headers.forwarded, `for=${node(peer)};host=${quoted(host)};proto=${isEncrypted ? "https" : "http"}`),
    "X-Forwarded-Proto": proto,
    "X-Forwarded-Host": publicHost,
    ...own,
  };
  if (body.kind === "bytes") {
    // It was read and decoded before us.
    Object.assign(set, { "Content-Length": body.bytes.length, "Content-Encoding": undefined });
  } else if (body.kind === "none" && !/^(GET|HEAD|DELETE|OPTIONS)$/.test(request.method)) {
    set["Content-Length"] = 0;
  } else if (body.kind === "stream" && headers["content-length"] === undefined) {
    set["Transfer-Encoding"] = "chunked";
  }
  if (set["Transfer-Encoding"] === undefined) {
    // Trailers come after the last chunk, and Node throws where they are announced without.
    set.Trailer = undefined;
  }
  // The server has told its client to go on already.
  set.Expect = undefined;
  const replaced = new Set(Object.keys(set).map((name) => name.toLowerCase()));
  const kept = endToEnd(request.rawHeaders)
    .filter(([name]) => !replaced.has(name.toLowerCase()))
    .map(([name, value]) => [name, body.isDecoded && name.toLowerCase() === "content-type" ? inUtf8(value) : value]);
  const added = Object.entries(set).filter(([, value]) => value !== undefined);
  return [...added, ...kept].flat().map(String);
}

/** A `Content-Type` whose charset, where it names one, is UTF-8. */
const inUtf8 = (type) => type.replace(/(;\s*charset\s*=\s*)("[^"]*"|[^;\s]*)/i, "$1utf-8");

/** Whether the head of an answer can be sent on: Node reads some that it throws at when they are to be written. */
function isSendable({ statusCode, statusMessage }, response) {
  const highest = response.stream ? 599 : 999; // A stream is HTTP/2's.
  return statusCode >= 200 && statusCode <= highest && /^[\t\x20-\x7e\x80-\xff]*$/.test(statusMessage);
}

/** Gives a reply's status and headers to whoever answers; what is set there already and not in the reply stays. */
function passHead(answer, response) {
  const values = new Map();
  for (const [name, value] of endToEnd(answer.rawHeaders)) {
    const key = name.toLowerCase();
    const known = values.get(key);
    if (known === undefined) {
      values.set(key, { name, all: [value] });
    } else {
      known.all.push(value);
    }
  }
  for (const { name, all } of values.values()) {
    response.setHeader(name, all.length === 1 ? all[0] : all);
  }
  // Whoever has set one of these did not know of the other: with both it would be no message, and with none it is sent in chunks.
  response.removeHeader(values.has("content-length") ? "transfer-encoding" : "content-length");
  response.statusCode = answer.statusCode;
  if (!isChunked(answer, response)) {
    response.removeHeader("trailer");
  }
  if (answer.httpVersionMajor === 1 && !(response.stream && response.req?.httpVersionMajor === 2)) {
    response.statusMessage = answer.statusMessage;
  }
}

/** Whether an answer will be sent in chunks, so that trailers may be announced. */
function isChunked(answer, { req: { method, httpVersion } = {} }) {
  const isEmpty = method === "HEAD" || answer.statusCode === 204 || answer.statusCode === 304;
  return !isEmpty && httpVersion !== "1.0" && answer.headers["content-length"] === undefined;
}

/** Gives the trailers of a message to whoever sends it on. */
function passTrailers({ rawTrailers = [] }, to) {
  const values = new Map();
  for (const [name, value] of pairs(rawTrailers)) {
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  if (values.size > 0) {
    to.addTrailers(Object.fromEntries(values));
  }
}

/** The links of a hint, each by itself. */
function linksOf(raw) {
  const lines = pairs(raw).filter(([name]) => name.toLowerCase() === "link");
  return lines.flatMap(([, value]) => value.split(/\s*,\s*(?=<)/));
}

/** A flat list of names and values as pairs. */
function pairs(raw) {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at], raw[2 * at + 1]]);
}

function appended(before, value) {
  const known = Array.isArray(before) ? before.join(", ") : before;
  return known ? `${known}, ${value}` : value;
}

/** A node as `Forwarded` spells it. */
function node(address) {
  if (address === undefined) {
    return "unknown";
  }
  return address.includes(":") ? `"[${address}]"` : address;
}

function quoted(text) {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

module.exports = { endToEnd, forwarded, isSendable, linksOf, passHead, passTrailers };
