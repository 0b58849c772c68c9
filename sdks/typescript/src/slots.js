/**
 * How many calls run at once, and whether there is room for one more.
 *
 * A call whose sidecar has gone keeps its place until it really ends: a function cannot be stopped from outside. While
 * such calls fill every place, a ping waits: the process is alive and yet cannot serve.
 */

import { calls } from "./context.js";

/** `limit` places for running calls, given in the order of asking. */
export class Slots {
  #limit;
  #running = new Set();
  #waiting = [];
  #pings = [];

  constructor(limit) {
    this.#limit = limit;
  }

  /** Waits for a place and takes it; false when the call was canceled meanwhile. */
  async enter(context) {
    if (context.canceled) {
      return false;
    }
    if (this.#running.size < this.#limit) {
      this.#running.add(context);
      return true;
    }
    return new Promise((resolve) => {
      calls.whenCanceled(context, () => resolve(false));
      this.#waiting.push({ context, resolve });
    });
  }

  /** Gives the place of a call that has ended back. */
  leave(context) {
    this.#running.delete(context);
    while (this.#waiting.length > 0 && this.#running.size < this.#limit) {
      const { context: next, resolve } = this.#waiting.shift();
      if (!next.canceled) {
        this.#running.add(next);
        resolve(true);
      }
    }
    this.wake();
  }

  /** Waits until a place is free or held by a call that somebody waits for, or until `givenUp`. */
  async serving(givenUp) {
    if (!this.#canServe() && !givenUp()) {
      await new Promise((resolve) => this.#pings.push({ givenUp, resolve }));
    }
  }

  /** Makes the pings that wait look again. */
  wake() {
    this.#pings = this.#pings.filter(({ givenUp, resolve }) => {
      const done = this.#canServe() || givenUp();
      if (done) {
        resolve();
      }
      return !done;
    });
  }

  #canServe() {
    let lost = 0;
    for (const context of this.#running) {
      lost += context.canceled ? 1 : 0;
    }
    return lost < this.#limit;
  }
}
