/** The handler by which this runtime shows that it conforms: every kind of reply, through the public API only. */

import { setTimeout as sleep } from "node:timers/promises";

import { Fail, One, Retry, serve, StartError } from "outrigger";

let seenCanceled = 0;

const functions = {
  echo: (payload) => payload,

  nothing: () => undefined,

  fan_out: ({ n }) => Array.from({ length: n }, (_, index) => index),

  one: (payload) => new One(payload),

  fail: ({ code, message, details }) => {
    throw new Fail(code, message, { details });
  },

  retry: ({ message, after }) => {
    throw new Retry(message, { after });
  },

  crash: () => {
    throw new Error("boom");
  },

  async steps(_payload, ctx) {
    await ctx.progress(50, "half");
    await ctx.partial({ n: 1 });
    await ctx.heartbeat();
    return { done: true };
  },

  *stream({ n }) {
    for (let index = 0; index < n; index++) {
      yield { n: index };
    }
    return { count: n };
  },

  context: (_payload, { id, actor, function: name, attempt, headers, deadline }) => ({
    id,
    actor,
    function: name,
    attempt,
    headers,
    deadline,
  }),

  async slow({ ms }) {
    await sleep(ms);
    return { slept: ms };
  },

  async wait(_payload, ctx) {
    try {
      for (;;) {
        await ctx.heartbeat();
        await sleep(10);
      }
    } finally {
      seenCanceled += ctx.canceled ? 1 : 0;
    }
  },

  cancellations: () => seenCanceled,

  bad_result: () => ({ value: NaN }),
};

try {
  await serve(functions);
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  console.error(`outrigger: ${error.message}`);
  process.exit(error.exitCode);
}
