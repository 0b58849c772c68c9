/**
 * One call of a function, of whatever kind it is: plain, async, generator, async generator.
 *
 * Told apart by what the call gives back, so a wrapped function is treated as what it is.
 */

import { marked, marks } from "./errors.js";

/** The function's result; every item that a generator yields is reported as a partial one. */
export async function run(target, payload, context) {
  const { call } = target;
  const value = await call(payload, context);
  return isGenerator(value) ? drain(value, context) : value;
}

/** Takes the next item only when the last one has been written. */
async function drain(items, context) {
  try {
    for (;;) {
      const { done, value } = await items.next();
      const item = await value;
      if (done) {
        return item;
      }
      if (marked(item, marks.result)) {
        return item.value;
      }
      await context.partial(item);
    }
  } finally {
    await items.return?.();
  }
}

function isGenerator(value) {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof value.next === "function" &&
    (typeof value[Symbol.asyncIterator] === "function" || typeof value[Symbol.iterator] === "function")
  );
}
