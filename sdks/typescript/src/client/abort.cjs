/** Limits of a call: its caller's signal, and its time. */

"use strict";

const events = require("node:events");

/** Runs `work` with a signal that is aborted when `signal` is, or with `late()` when the time is over; 0 is without limit. */
async function within({ signal, timeout, late }, work) {
  signal?.throwIfAborted();
  const limit = new AbortController();
  const unfollow = follow(signal, limit);
  const timer = startTimer(timeout, () => limit.abort(late()));
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    unfollow();
  }
}

/** Aborts `limit` when a caller's signal is aborted, where there is one; gives what ends that. */
function follow(signal, limit) {
  const abort = () => limit.abort(signal.reason);
  if (signal instanceof EventTarget) {
    // Any number of calls may share a signal, and each leaves it: Node warns of a leak from eleven on.
    events.setMaxListeners(Infinity, signal);
  }
  signal?.addEventListener("abort", abort, { once: true });
  return () => signal?.removeEventListener("abort", abort);
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

module.exports = { follow, pause, startTimer, unlessAborted, within };
