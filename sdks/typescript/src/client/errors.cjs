/**
 * Why a call has no result, as classes.
 *
 * Each has a `code`, which is what the sidecar calls it or one of ours, and a message that names the cure where there is one. A call that
 * its own caller has aborted rejects with the signal's reason instead, as `fetch` does.
 */

"use strict";

/** A call that has no result; the others are kinds of it. */
class CallError extends Error {
  constructor(message, { code = "internal", status, errorValue, errors = [], retryAfter, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.errorValue = errorValue;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }
}

/** The function says no, in its own words: `errorValue` has its tag, and what it tells. */
class DomainError extends CallError {}

/** The arguments do not fit the function's contract: `errors` names each place. */
class ArgumentsError extends CallError {}

/** There was no answer in time. */
class TimeoutError extends CallError {}

/** Nobody is there to do the work: no sidecar, no handler, or the connection was lost. */
class UnavailableError extends CallError {}

/** Too many calls have failed: none is made before `retryAfter` seconds have gone by. */
class CircuitOpenError extends UnavailableError {}

for (const kind of [CallError, DomainError, ArgumentsError, TimeoutError, UnavailableError, CircuitOpenError]) {
  Object.defineProperty(kind.prototype, "name", { value: kind.name, configurable: true, writable: true });
}

/** No sidecar answers at this place: nothing of the call has been sent. */
function unreachable(place, cause) {
  const why = cause?.code ?? cause?.message;
  const message = /CERT|SIGNATURE/.test(cause?.code)
    ? `${place} does not prove to be the sidecar (${why}): \`tls\` takes the certificate of its authority as \`ca\`, and another name of it as \`servername\``
    : `no sidecar answers at ${place}${why === undefined ? "" : ` (${why})`}: start one with \`outrigger up\`, and see that \`calls.listen\` of its configuration has this address`;
  return new UnavailableError(message, { code: UNREACHABLE, cause });
}

/** The connection ended before the answer: the work may have been done. */
function lost(what, cause) {
  const why = cause?.code === undefined ? "" : ` (${cause.code})`;
  const message = `the connection to the sidecar was lost before the answer${why}: ${what} may or may not have run; a call that may run twice can say \`idempotent: true\``;
  return new UnavailableError(message, { code: LOST, cause });
}

function late(what, milliseconds) {
  return new TimeoutError(`${what} did not answer within ${milliseconds} ms: give it more with \`timeout\``, { code: "timeout" });
}

/** The error that the sidecar's answer is. `answer` is the object that it sent, `status` that of HTTP. */
function told(answer, status, retryAfter) {
  const { error = "the sidecar gave no reason", code = "internal", errorValue, errors } = answer;
  const Kind = errorValue !== undefined ? DomainError : (KINDS[code] ?? CallError);
  const cure = CURES[code];
  const message = cure === undefined ? error : `${error}: ${cure}`;
  return new Kind(message, { code, status, errorValue, errors, retryAfter });
}

/** Whether an error says that nothing of the call has been sent. */
const isUnsent = (error) => error instanceof UnavailableError && error.code === UNREACHABLE;

/** Whether another try may end better; whether it may be made is another question. */
const isPassing = (error) => error instanceof UnavailableError && !(error instanceof CircuitOpenError);

/** Whether an error speaks of the sidecar or of a handler, rather than of the call. */
function isOutage(error) {
  if (error instanceof CallError) {
    return !(error instanceof CircuitOpenError) && (error instanceof UnavailableError || error instanceof TimeoutError || error.code === "bad_reply");
  }
  return error?.name !== "AbortError";
}

const UNREACHABLE = "sidecar_unavailable";
const LOST = "connection_lost";

const KINDS = {
  bad_arguments: ArgumentsError,
  timeout: TimeoutError,
  handler_unavailable: UnavailableError,
};

const CURES = {
  unauthorized: "give the client its `token`",
};

module.exports = {
  ArgumentsError,
  CallError,
  CircuitOpenError,
  DomainError,
  TimeoutError,
  UnavailableError,
  isOutage,
  isPassing,
  isUnsent,
  late,
  lost,
  told,
  unreachable,
};
