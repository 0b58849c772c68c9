/** Return values that plain JavaScript cannot spell. */

import { marks } from "./errors.js";

/**
 * Exactly one output, whatever the value is.
 *
 * A returned array is a fan-out, one output an item, and null is no output at all; `new One([1, 2])` sends the array
 * on as one value, `new One(null)` a null.
 */
export class One {
  constructor(value) {
    this.value = value;
  }
}

/** Yielded by a generator in place of its `return`: what it holds is the result, and the generator is closed. */
export class Result {
  constructor(value) {
    this.value = value;
  }
}

Object.defineProperty(One.prototype, marks.one, { value: true });
Object.defineProperty(Result.prototype, marks.result, { value: true });
