/**
 * What a handler throws to say how its failure is to be treated, and what the runtime throws itself.
 *
 * Any other error is a plain handler error: whether that is tried again is the actor's configuration. Told apart by
 * marks and not by `instanceof`: the runner and a handler's own dependencies may each have loaded a copy of this.
 */

export const EX_USAGE = 64;
export const EX_CANTCREAT = 73;
export const EX_CONFIG = 78;

/** The marks of what may cross from one copy of the package to another. */
export const marks = {
  fail: Symbol.for("outrigger.Fail"),
  retry: Symbol.for("outrigger.Retry"),
  canceled: Symbol.for("outrigger.Canceled"),
  start: Symbol.for("outrigger.StartError"),
  one: Symbol.for("outrigger.One"),
  result: Symbol.for("outrigger.Result"),
};

/** Whether a value of any kind carries a mark. */
export function marked(value, mark) {
  return typeof value === "object" && value !== null && value[mark] === true;
}

/** Try this message again: what went wrong may pass. */
export class Retry extends Error {
  constructor(message = "", { after, code, details, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    if (after !== undefined && !(Number.isFinite(after) && after >= 0)) {
      throw new RangeError(`Retry with after: ${after}: a delay is a finite number of seconds, 0 or more`);
    }
    this.after = after;
    this.code = code;
    this.details = details;
  }
}

/** Give this message up: trying again would not help. It goes to the error-end under `code`. */
export class Fail extends Error {
  constructor(code, message = "", { details, cause } = {}) {
    super(message || String(code), cause === undefined ? undefined : { cause });
    if (typeof code !== "string" || code === "") {
      throw new TypeError(`Fail with the code ${code}: a code is a short word such as "bad_image"`);
    }
    this.code = code;
    this.details = details;
  }
}

/** Nobody waits for this call any more: the sidecar has closed its connection. */
export class Canceled extends Error {
  constructor(message = "the sidecar has closed the connection") {
    super(message);
  }
}

/** The runtime cannot start as it was asked to; `exitCode` is what the command leaves with. */
export class StartError extends Error {
  constructor(message, exitCode = EX_CONFIG) {
    super(message);
    this.exitCode = exitCode;
  }
}

for (const [kind, mark] of [
  [Retry, marks.retry],
  [Fail, marks.fail],
  [Canceled, marks.canceled],
  [StartError, marks.start],
]) {
  Object.defineProperty(kind.prototype, "name", { value: kind.name, configurable: true, writable: true });
  Object.defineProperty(kind.prototype, mark, { value: true });
}
