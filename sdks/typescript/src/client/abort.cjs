/** Limits of a call: its caller's signal, and its time. */

"use strict";

/** Runs `work` with a signal that is aborted when `signal` is, or with `late()` when the time is over; 0 is without limit. */
async function within({ signal, timeout, late }, work) {
  signal?.throwIfAborted();
  const limit = new AbortController();
  const abort = () => limit.abort(signal.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const timer = startTimer(timeout, () => limit.abort(late()));
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** A timer, or none where there is no limit. */
function startTimer(milliseconds, ring) {
  return milliseconds > 0 && milliseconds <= LONGEST ? setTimeout(ring, milliseconds) : undefined;
}

/** What `promise` brings, or the signal's reason where that comes first. */
function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) {
      abort();
    }
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Waits; rejects with the signal's reason where that comes first. */
function pause(milliseconds, signal) {
  let timer;
  const waited = new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)));
  return unlessAborted(waited, signal).finally(() => clearTimeout(timer));
}

/** The longest time that a timer has. */
const LONGEST = 2 ** 31 - 1;

module.exports = { pause, startTimer, unlessAborted, within };
