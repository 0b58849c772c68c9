/** What an upload sends. */

"use strict";

const { finished, Readable } = require("node:stream");

/** Whether a body is there as a whole, or is none. */
const isWhole = (body) => body === undefined || typeof body === "string" || body instanceof Uint8Array;

/** A body as it can be sent: whole, or as a stream. From here on its failure ends no process, and has to be asked for with `failed`. */
function open(body) {
  if (isWhole(body)) {
    return body;
  }
  const source = typeof body.pipe === "function" ? body : Readable.from(body, { objectMode: false });
  return source.on("error", () => {});
}

/** Calls `then` with what a stream has failed with, or will fail with before its end. */
function failed(source, then) {
  finished(source, { writable: false }, (error) => error && then(error));
}

/** Closes what was opened, whether it has been read or not. */
function close(source) {
  if (!isWhole(source)) {
    source.destroy();
  }
}

module.exports = { close, failed, isWhole, open };
