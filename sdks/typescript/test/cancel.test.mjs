/** The sidecar closing its connection cancels the work. */

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";

import { Field, OPENED } from "./support.mjs";

/** A runtime whose handler has begun, and the peer that asked for it. */
async function begin(t, source, options) {
  const field = new Field(t);
  const runtime = await field.start(source, options);
  const peer = await field.connect(runtime);
  peer.request("work");
  assert.deepEqual(await peer.reply(), { status: "progress", message: "begun" });
  return { field, runtime, peer };
}

test("the signal of the context is aborted, with its reason", async (t) => {
  const source = `
    import { setTimeout as sleep } from "node:timers/promises";
    export async function process(payload, ctx) {
      if (payload === "next") return "served";
      ctx.progress("begun");
      try {
        await sleep(1000000, null, { signal: ctx.signal });
      } catch (error) {
        console.log(error.name, ctx.canceled, ctx.signal.reason.name);
        throw error;
      }
    }
  `;
  const { field, runtime, peer } = await begin(t, source);
  peer.close();
  assert.equal(await runtime.prints(), "AbortError true Canceled");
  assert.equal((await (await field.connect(runtime)).call("next")).result, "served");
});

test("a report throws Canceled, awaited or not", async (t) => {
  const source = `
    import { Canceled } from "outrigger";
    export async function process(payload, ctx) {
      ctx.progress("begun");
      try {
        for (;;) await ctx.heartbeat();
      } catch (error) {
        console.log("stopped", error instanceof Canceled);
      }
      try { ctx.progress(1); } catch (error) { console.log("again", error instanceof Canceled); }
    }
  `;
  const { runtime, peer } = await begin(t, source);
  peer.close();
  assert.equal(await runtime.prints(), "stopped true");
  assert.equal(await runtime.prints(), "again true");
});

for (const [kind, keyword] of [
  ["a generator", "function*"],
  ["an async generator", "async function*"],
]) {
  test(`${kind} is closed`, async (t) => {
    const source = `
      export ${keyword} process(payload, ctx) {
        ctx.progress("begun");
        try {
          for (;;) yield "x".repeat(1000);
        } finally {
          console.log("closed");
        }
      }
    `;
    const { runtime, peer } = await begin(t, source);
    peer.close();
    assert.equal(await runtime.prints(), "closed");
  });
}

test("a request that still waits for its turn is never begun", async (t) => {
  const source = `
    ${OPENED}
    const seen = [];
    export async function process(payload, ctx) {
      seen.push(payload);
      if (payload === "work") {
        ctx.progress("begun");
        await opened();
      }
      return seen;
    }
  `;
  const { field, runtime, peer } = await begin(t, source);
  const waiting = await field.connect(runtime);
  waiting.request("dropped");
  waiting.close();
  // Whoever is let in after an end is let in after that end was seen.
  await field.connect(runtime);
  fs.writeFileSync(field.gate(), "");
  assert.deepEqual((await peer.reply()).result, ["work"]);
  assert.deepEqual((await peer.call("next")).result, ["work", "next"]);
});

test("half a close is still answered", async (t) => {
  const source = `
    ${OPENED}
    export async function process(payload, ctx) {
      await ctx.progress("begun");
      await opened();
      return [payload, ctx.canceled];
    }
  `;
  const { field, peer } = await begin(t, source);
  peer.request("last");
  peer.socket.end();
  fs.writeFileSync(field.gate(), "");
  assert.deepEqual((await peer.reply()).result, ["work", false]);
  await peer.reply();
  assert.deepEqual((await peer.reply()).result, ["last", false]);
  await peer.ended();
});

test("half a close that becomes a whole one cancels", async (t) => {
  const source = `
    export async function process(payload, ctx) {
      await ctx.progress("begun");
      await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
      console.log("canceled");
    }
  `;
  const { field, runtime, peer } = await begin(t, source);
  await new Promise((resolve) => peer.socket.end(resolve));
  // Whoever is answered after the half of it is answered after it was seen.
  const other = await field.connect(runtime);
  other.control({ ping: 1 });
  assert.equal(await other.pong(), 1);
  peer.close();
  assert.equal(await runtime.prints(), "canceled");
});

test("work that goes on keeps its place, and pings wait while such work fills every place", async (t) => {
  const source = `
    ${OPENED}
    export async function process(payload, ctx) {
      if (payload !== "work") return payload;
      ctx.progress("begun");
      ctx.signal.addEventListener("abort", () => console.log("canceled"));
      await opened();
      console.log("ended");
    }
  `;
  const { field, runtime, peer } = await begin(t, source);
  const other = await field.connect(runtime);
  other.control({ ping: 1 });
  assert.equal(await other.pong(), 1, "a place that somebody waits for is one that serves");
  peer.close();
  assert.equal(await runtime.prints(), "canceled");
  other.control({ ping: 2 });
  other.request("next");
  // A hello is written at once, after the ping of the other connection was read.
  await field.connect(runtime);
  assert.ok(other.inbox.quiet);
  fs.writeFileSync(field.gate(), "");
  assert.equal(await other.pong(), 2);
  assert.equal((await other.reply()).result, "next");
  assert.equal(await runtime.prints(), "ended");
});
