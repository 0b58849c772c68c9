/**
 * The frames that answer a request: `ok` with its result, or `error` with what is known of it.
 *
 * An answer can always be written: what has no JSON becomes an error that says so.
 */

import { fileURLToPath } from "node:url";
import { inspect } from "node:util";

import { marked, marks } from "./errors.js";
import { encode, NotJson } from "./json.cjs";

const MAX_MESSAGE = 16 * 1024;
const MAX_TRACEBACK = 64 * 1024;
const MAX_CAUSES = 8;
const INTERNAL = /[( ]node:/;
/** Our folders, as addresses and as paths: a loader may have rewritten the stack. */
const HERE = ["../src/", "../bin/"].flatMap((name) => {
  const folder = new URL(name, import.meta.url);
  return [folder.href, fileURLToPath(folder)];
});

/** The final frame of a call that returned `result`; undefined and null are an empty result. */
export function ok(result, cap) {
  if (result === undefined || result === null) {
    return '{"status":"ok"}';
  }
  const one = marked(result, marks.one);
  let text;
  try {
    const body = encode(one ? result.value : result);
    text = one ? `{"status":"ok","result":[${body}]}` : `{"status":"ok","result":${body}}`;
  } catch (error) {
    if (!(error instanceof NotJson)) {
      throw error;
    }
    return refusal("invalid_result", `the handler's result cannot be sent: ${error.message}`);
  }
  const size = Buffer.byteLength(text);
  if (size > cap) {
    const message = `the handler's result makes a frame of ${size} bytes, more than the cap of ${cap}`;
    return refusal("result_too_large", message);
  }
  return text;
}

/** The final frame of a request that this runtime cannot serve, now or later. */
export function refusal(code, message) {
  return encode({ status: "error", error: code, message, retryable: false });
}

/** The final frame of a call that threw, be it an Error or anything else. */
export function failed(error) {
  const frame = { status: "error", message: clip(messageOf(error), MAX_MESSAGE) };
  if (isError(error)) {
    frame.type = typeOf(error);
    frame.traceback = clip(traceback(error), MAX_TRACEBACK);
  }
  const retry = marked(error, marks.retry);
  if (retry || marked(error, marks.fail)) {
    frame.retryable = retry;
    frame.error = error.code === undefined ? undefined : String(error.code);
    frame.retry_after = retry ? error.after : undefined;
    frame.details = detailsOf(error.details);
  }
  return encode(frame);
}

/** The stack as a person wants it: without the runtime's own lines, and with what caused it. */
export function traceback(error) {
  const parts = [];
  const seen = new Set();
  for (let at = error; at !== undefined && at !== null && parts.length < MAX_CAUSES && !seen.has(at); at = causeOf(at)) {
    seen.add(at);
    parts.push(isError(at) ? ownLinesOff(at) : inspect(at));
  }
  return parts.join("\nCaused by: ");
}

function ownLinesOff(error) {
  try {
    const lines = String(error.stack).split("\n");
    return lines.filter((line) => !(/^\s+at /.test(line) && isOurs(line))).join("\n");
  } catch {
    return typeOf(error); // its `stack` is the user's code too
  }
}

function isOurs(line) {
  return INTERNAL.test(line) || HERE.some((folder) => line.includes(folder));
}

function causeOf(error) {
  try {
    return error.cause;
  } catch {
    return undefined;
  }
}

function messageOf(error) {
  try {
    const text = isError(error) ? String(error.message) : typeof error === "string" ? error : inspect(error);
    if (text.trim() !== "") {
      return text;
    }
  } catch {
    // what it says of itself is the user's code too
  }
  return isError(error) ? typeOf(error) : "an empty text was thrown";
}

function typeOf(error) {
  try {
    const { name } = error;
    const own = typeof name === "string" && name !== "" && name !== "Error" ? name : error.constructor?.name;
    return typeof own === "string" && own !== "" ? own : "Error";
  } catch {
    return "Error";
  }
}

/** Errors of another realm too, such as a `vm` context or a worker. */
function isError(thing) {
  return thing instanceof Error || Object.prototype.toString.call(thing) === "[object Error]";
}

function detailsOf(details) {
  if (details === undefined || details === null) {
    return undefined;
  }
  try {
    encode(details);
    return details;
  } catch {
    return inspect(details);
  }
}

function clip(text, limit) {
  if (text.length <= limit) {
    return text;
  }
  const half = limit / 2;
  return `${text.slice(0, half)}\n... ${text.length - limit} characters left out ...\n${text.slice(-half)}`;
}
