/** What a proxy answers by itself, in place of the sidecar. */

"use strict";

const { CircuitOpenError, isUnsent, TimeoutError } = require("./errors.cjs");

/** The status, the words and the further headers for a failure. */
function answerTo(error) {
  if (error instanceof CircuitOpenError) {
    return { status: 503, words: "Service temporarily unavailable", headers: { "Retry-After": String(error.retryAfter) } };
  }
  if (isUnsent(error)) {
    return { status: 503, words: "Sidecar unavailable" };
  }
  if (error instanceof TimeoutError) {
    return { status: 504, words: "Gateway timeout" };
  }
  if (error.code === "connection_lost") {
    return { status: 502, words: "Bad gateway" };
  }
  return { status: 500, words: "Internal proxy error" };
}

/** Answers with what went wrong; cuts an answer short that has begun. */
function answerFailure(response, error) {
  if (response.headersSent) {
    return void response.destroy();
  }
  answer(response, answerTo(error));
}

function answer(response, { status, words, headers = {} }) {
  const body = bodyOf(words);
  response.statusCode = status;
  // What was said before of another body.
  for (const name of ["Transfer-Encoding", "Trailer", "Content-Encoding"]) {
    response.removeHeader(name);
  }
  for (const [name, value] of Object.entries({ ...headers, "Content-Type": "application/json", "Content-Length": String(body.length) })) {
    response.setHeader(name, value);
  }
  response.end(body);
}

function bodyOf(words) {
  return Buffer.from(`${JSON.stringify({ error: words })}\n`);
}

module.exports = { answer, answerFailure, answerTo, bodyOf };
