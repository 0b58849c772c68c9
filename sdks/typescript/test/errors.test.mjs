/** What becomes of what a handler throws. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Field, PACKAGE } from "./support.mjs";

const SOURCE = `
import { Fail, Retry } from "outrigger";
class Mine extends Error {}
class Odd extends Error { get message() { throw new Error("no text"); } }
function boom() { throw new RangeError("no such thing"); }
export function process(p) {
  if (p === "value") boom();
  if (p === "bare") throw new TypeError();
  if (p === "mine") throw new Mine("my own");
  if (p === "odd") throw new Odd();
  if (p === "text") throw "just text";
  if (p === "object") throw { code: 5 };
  if (p === "nothing") throw undefined;
  if (p === "retry") throw new Retry("busy", { after: 5 });
  if (p === "again") throw new Retry("", { code: "slow", details: { n: 1 } });
  if (p === "fail") throw new Fail("bad_image", "not a png", { details: { size: 3 } });
  if (p === "code") throw new Fail("bad_image");
  if (p === "set") throw new Fail("odd", "", { details: new Set([1]) });
  if (p === "never") throw new Retry("", { after: -1 });
  if (p === "cause") {
    try { boom(); } catch (cause) { throw new Error("outer", { cause }); }
  }
  if (p === "long") throw new Error("x".repeat(100000));
  return p;
}
export const later = async (p) => { await null; return process(p); };
export async function background(p) { Promise.reject(new Error("left behind")); return p; }
`;

async function serve(t) {
  const field = new Field(t);
  const runtime = await field.start(SOURCE, { spec: "handler.mjs:process,later,background" });
  const peer = await field.connect(runtime);
  return { runtime, call: (payload, name = "process") => peer.call(payload, { function: name }) };
}

test("an error becomes type, message and the stack of the user's own lines", async (t) => {
  const { call } = await serve(t);
  for (const name of ["process", "later"]) {
    const error = await call("value", name);
    assert.deepEqual(Object.keys(error).sort(), ["message", "status", "traceback", "type"]);
    assert.deepEqual([error.status, error.type, error.message], ["error", "RangeError", "no such thing"]);
    const lines = error.traceback.split("\n");
    assert.equal(lines[0], "RangeError: no such thing");
    assert.match(lines[1], /at boom \(file:.*handler\.mjs:5:\d+\)/);
    assert.match(lines.at(-1), /handler\.mjs/);
    assert.ok(!error.traceback.includes(PACKAGE) && !error.traceback.includes("node:"), error.traceback);
  }
});

test("whatever is thrown has a message", async (t) => {
  const { call } = await serve(t);
  const expected = {
    bare: ["TypeError", "TypeError"],
    mine: ["Mine", "my own"],
    odd: ["Odd", "Odd"],
    text: [undefined, "just text"],
    object: [undefined, "{ code: 5 }"],
    nothing: [undefined, "undefined"],
  };
  for (const [asked, [type, message]] of Object.entries(expected)) {
    const error = await call(asked);
    assert.deepEqual([error.status, error.type, error.message], ["error", type, message], asked);
    assert.ok(!("retryable" in error));
  }
});

test("Retry may be tried again", async (t) => {
  const { call } = await serve(t);
  const busy = await call("retry");
  assert.deepEqual([busy.message, busy.retryable, busy.retry_after, busy.error], ["busy", true, 5, undefined]);
  const again = await call("again");
  assert.deepEqual([again.error, again.details, again.message], ["slow", { n: 1 }, "Retry"]);
  assert.ok(!("retry_after" in again));
  assert.match((await call("never")).message, /a finite number of seconds/);
});

test("Fail is terminal and names its code", async (t) => {
  const { call } = await serve(t);
  const error = await call("fail");
  assert.deepEqual([error.error, error.message, error.retryable], ["bad_image", "not a png", false]);
  assert.deepEqual(error.details, { size: 3 });
  assert.equal((await call("code")).message, "bad_image");
  assert.equal((await call("set")).details, "Set(1) { 1 }");
});

test("errors of another copy of the package are known too", async (t) => {
  const field = new Field(t);
  const { cpSync } = await import("node:fs");
  cpSync(`${PACKAGE}/src`, `${field.folder}/node_modules/outrigger/src`, { recursive: true });
  cpSync(`${PACKAGE}/package.json`, `${field.folder}/node_modules/outrigger/package.json`);
  const source = `
    import { Fail, One, Retry } from "outrigger";
    const where = import.meta.resolve("outrigger");
    export function process(p) {
      if (p === "fail") throw new Fail("no_good", where);
      if (p === "retry") throw new Retry();
      return new One([1]);
    }
  `;
  const peer = await field.serve(source);
  const failed = await peer.call("fail");
  assert.deepEqual([failed.error, failed.retryable], ["no_good", false]);
  assert.match(failed.message, /node_modules/);
  assert.equal((await peer.call("retry")).retryable, true);
  assert.deepEqual((await peer.call("one")).result, [[1]]);
});

test("a promise that nobody waits for harms no call", async (t) => {
  const { runtime, call } = await serve(t);
  assert.deepEqual(await call("x", "background"), { status: "ok", result: "x" });
  await runtime.says("outrigger: a promise that nobody waits for was rejected: Error: left behind");
  assert.deepEqual(await call("fine"), { status: "ok", result: "fine" });
});

test("a cause is shown too", async (t) => {
  const { call } = await serve(t);
  const { traceback } = await call("cause");
  assert.match(traceback, /^Error: outer\n/);
  assert.match(traceback, /\nCaused by: RangeError: no such thing\n/);
});

test("a huge message is cut in the middle", async (t) => {
  const { call } = await serve(t);
  const { message } = await call("long");
  assert.ok(message.length < 20000);
  assert.match(message, /83616 characters left out/);
});
