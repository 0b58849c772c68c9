/**
 * Stops calling what does not answer.
 *
 * Closed, calls go through and failures in a row are counted; open, none does; after a time one may try, half-open, and all depends on it.
 * There is no timer behind it: it is half-open when somebody asks.
 */

"use strict";

const { EventEmitter } = require("node:events");

const { CircuitOpenError, isOutage } = require("./errors.cjs");

/** A circuit breaker for any asynchronous work. Emits `open`, `half-open`, `closed` and `rejected`. */
class CircuitBreaker extends EventEmitter {
  #state = "closed";
  #failures = 0;
  #until = 0;
  /** Calls that began in an earlier state say nothing of this one. */
  #turn = 0;
  #options;

  constructor({ failures = 5, open = 60_000, isFailure = isOutage, fallback } = {}) {
    super();
    if (!(Number.isInteger(failures) && failures >= 1)) {
      throw new RangeError(`failures: ${failures}: it is a whole number, 1 or more`);
    }
    if (!(open >= 0)) {
      throw new RangeError(`open: ${open}: it is a number of milliseconds, 0 or more`);
    }
    this.#options = { failures, open, isFailure, fallback };
  }

  /** `closed`, `open` or `half-open`. */
  get state() {
    return this.#state;
  }

  /** Does the work where that may be done now; else, or where it fails, what `fallback` gives in its place. */
  async execute(work, fallback = this.#options.fallback) {
    let pass;
    try {
      pass = this.admit();
    } catch (error) {
      if (fallback === undefined) {
        throw error;
      }
      return fallback(error);
    }
    let result;
    try {
      result = await work();
    } catch (error) {
      if (!pass.failed(error) || fallback === undefined) {
        throw error;
      }
      return fallback(error);
    }
    pass.succeeded();
    return result;
  }

  /** Leave for one call, whose end it has to be told; throws where there is none. */
  admit() {
    if (this.#state === "open" && performance.now() >= this.#until) {
      this.#become("half-open");
    } else if (this.#state !== "closed") {
      const wait = Math.max(1, Math.ceil((this.#until - performance.now()) / 1000));
      const error = new CircuitOpenError(`too many calls have failed: the next one may be made in ${wait} s`, {
        code: "circuit_open",
        retryAfter: wait,
      });
      this.emit("rejected", error);
      throw error;
    }
    const turn = this.#turn;
    const counts = () => turn === this.#turn;
    return {
      succeeded: () => counts() && this.#succeeded(),
      /** Whether it was a failure. */
      failed: (error) => {
        const isFailure = this.#options.isFailure(error);
        if (counts()) {
          if (isFailure) {
            this.#failed(error);
          } else if (error?.name === "AbortError") {
            this.#left();
          } else {
            this.#succeeded();
          }
        }
        return isFailure;
      },
      /** Its caller has gone: nothing is known. */
      left: () => counts() && this.#left(),
    };
  }

  #succeeded() {
    this.#failures = 0;
    if (this.#state !== "closed") {
      this.#become("closed");
    }
  }

  #failed(error) {
    this.#failures += 1;
    if (this.#state === "half-open" || this.#failures >= this.#options.failures) {
      this.#until = performance.now() + this.#options.open;
      this.#become("open", error);
    }
  }

  /** A probe that brought nothing leaves its place to the next. */
  #left() {
    if (this.#state === "half-open") {
      this.#state = "open";
      this.#turn += 1;
    }
  }

  #become(state, error) {
    this.#state = state;
    this.#failures = 0;
    this.#turn += 1;
    this.emit(state, error);
  }
}

module.exports = { CircuitBreaker };
