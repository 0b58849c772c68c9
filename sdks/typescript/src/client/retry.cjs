/**
 * Whether a call is tried again, and when.
 *
 * A budget keeps many callers from making an outage worse: only a part of all calls may be tries that follow another.
 */

"use strict";

const { isPassing, isUnsent } = require("./errors.cjs");

/** Counts calls and retries of the last moments. */
class Budget {
  #calls = [];
  #retries = [];

  /** `share` of the calls within `window` milliseconds may be retries, and `least` of them always. */
  constructor({ share = 0.2, least = 3, window = 10_000 } = {}, now = () => performance.now()) {
    this.share = share;
    this.least = least;
    this.window = window;
    this.now = now;
  }

  /** A call is made. */
  called() {
    count(this.#calls, this.now(), this.window);
  }

  /** Takes a retry out of the budget; false where none is left. */
  take() {
    const [calls, retries] = [this.#calls, this.#retries].map((times) => total(times, this.now(), this.window));
    if (retries >= Math.max(this.least, calls * this.share)) {
      return false;
    }
    count(this.#retries, this.now(), this.window);
    return true;
  }
}

/** How often and when calls are tried. */
class Retries {
  /** `attempts` are all tries, the first one too; `backoff` is the longest first wait, which doubles. */
  constructor({ attempts = 3, backoff = 50, budget } = {}) {
    if (!(Number.isInteger(attempts) && attempts >= 1)) {
      throw new RangeError(`retry.attempts: ${attempts}: it counts every try, so it is 1 or more`);
    }
    this.attempts = attempts;
    this.backoff = backoff;
    this.budget = new Budget(budget);
  }

  /** How long to wait before the next try after try number `attempt` failed; null where there is none. */
  pause(error, attempt, isIdempotent) {
    const mayHelp = isUnsent(error) || (isIdempotent && isPassing(error));
    if (!mayHelp || attempt >= this.attempts || !this.budget.take()) {
      return null;
    }
    const told = error.retryAfter === undefined ? 0 : error.retryAfter * 1000;
    return told + Math.random() * this.backoff * 2 ** (attempt - 1);
  }
}

/** Counts in slices of the window, so that it costs the same whatever is counted. */
function count(slices, now, window) {
  const slice = Math.floor((now / window) * SLICES);
  const last = slices.at(-1);
  if (last?.slice === slice) {
    last.count += 1;
  } else {
    slices.push({ slice, count: 1 });
  }
}

function total(slices, now, window) {
  const oldest = Math.floor((now / window) * SLICES) - SLICES;
  while (slices.length > 0 && slices[0].slice <= oldest) {
    slices.shift();
  }
  return slices.reduce((sum, slice) => sum + slice.count, 0);
}

const SLICES = 10;

module.exports = { Budget, Retries };
