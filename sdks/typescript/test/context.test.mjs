/** A context in a unit test of a handler, and the times that it reads. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Canceled, Context, Fail, One, Result, Retry } from "outrigger";

import { parseTime } from "../src/context.js";

test("a context of a test keeps what it is told", async () => {
  const ctx = new Context({ attempt: 2, headers: { tenant: "x" } });
  await ctx.progress(50, "half");
  ctx.progress("more");
  ctx.partial([1]);
  ctx.heartbeat();
  assert.deepEqual(ctx.reported, [
    { status: "progress", percent: 50, message: "half" },
    { status: "progress", message: "more" },
    { status: "partial", data: [1] },
    { status: "heartbeat" },
  ]);
  assert.deepEqual([ctx.id, ctx.actor, ctx.attempt, ctx.headers.tenant, ctx.function], ["test", "", 2, "x", null]);
});

test("a context of a test can be canceled", () => {
  const ctx = new Context();
  let aborted = 0;
  ctx.signal.addEventListener("abort", () => aborted++);
  ctx.cancel();
  ctx.cancel();
  assert.deepEqual([ctx.canceled, ctx.signal.aborted, aborted], [true, true, 1]);
  assert.throws(() => ctx.progress(1), Canceled);
  const late = new Context();
  late.cancel();
  assert.ok(late.signal.aborted && late.signal.reason instanceof Canceled);
});

test("a report that says nothing, or has no JSON, is refused", () => {
  const ctx = new Context();
  assert.throws(() => ctx.progress(), /needs a percent, a message, or both/);
  assert.throws(() => ctx.progress(NaN), /NaN at \$\.percent is not JSON/);
  assert.throws(() => ctx.partial(1n), /bigint 1 at \$\.data is not JSON/);
  assert.deepEqual(ctx.reported, []);
});

test("what remains until the deadline is never below zero", () => {
  assert.equal(new Context().remaining, null);
  assert.equal(new Context({ deadline: new Date(0) }).remaining, 0);
  const left = new Context({ deadline: new Date(Date.now() + 60_000) }).remaining;
  assert.ok(left > 50 && left <= 60, String(left));
});

test("times are read as RFC 3339 has them, and as nothing else", () => {
  const read = {
    "2030-01-02T03:04:05Z": "2030-01-02T03:04:05.000Z",
    "2030-01-02t03:04:05.123456789z": "2030-01-02T03:04:05.123Z",
    "2030-01-02 03:04:05.5+01:30": "2030-01-02T01:34:05.500Z",
    "2030-01-02T03:04:05-00:00": "2030-01-02T03:04:05.000Z",
    "2016-12-31T23:59:60Z": "2017-01-01T00:00:00.000Z",
  };
  for (const [text, time] of Object.entries(read)) {
    assert.equal(parseTime(text)?.toISOString(), time, text);
  }
  const other = ["", "tomorrow", "2030-01-02", "2030-01-02T03:04Z", "2030-13-02T03:04:05Z", "2030-01-02T03:04:05", 5, null];
  for (const text of other) {
    assert.equal(parseTime(text), null, String(text));
  }
});

test("errors and values say what they are", () => {
  const fail = new Fail("bad_image", "not a png", { details: 1, cause: "c" });
  assert.deepEqual([fail.code, fail.message, fail.name], ["bad_image", "not a png", "Fail"]);
  assert.deepEqual([fail.details, fail.cause], [1, "c"]);
  const retry = new Retry("busy", { after: 1.5, code: "slow" });
  assert.deepEqual([retry.message, retry.after, retry.code, retry.name], ["busy", 1.5, "slow", "Retry"]);
  assert.ok(fail instanceof Error && retry instanceof Error);
  assert.throws(() => new Fail(""), TypeError);
  assert.throws(() => new Retry("", { after: NaN }), RangeError);
  assert.deepEqual([new One([1]).value, new Result("r").value], [[1], "r"]);
});
