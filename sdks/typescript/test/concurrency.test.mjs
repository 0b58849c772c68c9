/** How many calls run at once, and what one that computes does to the others. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ECHO, Field } from "./support.mjs";

/** One call on each of `count` connections at once; the results in order. */
async function callAll(field, runtime, count) {
  const peers = [];
  while (peers.length < count) {
    peers.push(await field.connect(runtime));
  }
  peers.forEach((peer, index) => peer.request(index));
  return Promise.all(peers.map(async (peer) => (await peer.reply()).result));
}

test("as many calls run at once as are allowed", async (t) => {
  const source = `
    let waiting = [];
    export const process = (payload) => new Promise((resolve) => {
      waiting.push(() => resolve(payload));
      if (waiting.length === 8) waiting.forEach((go) => go());
    });
  `;
  const field = new Field(t);
  const runtime = await field.start(source, { concurrency: 8 });
  assert.deepEqual(await callAll(field, runtime, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
});

test("never more run at once than are allowed, and all get their turn", async (t) => {
  const source = `
    let now = 0;
    let most = 0;
    let pair = null;
    export async function process(payload) {
      most = Math.max(most, ++now);
      // Two meet, so that both have been inside at once.
      if (pair === null) await new Promise((resolve) => (pair = resolve));
      else { pair(); pair = null; }
      now--;
      return most;
    }
  `;
  const field = new Field(t);
  const runtime = await field.start(source, { concurrency: 2 });
  assert.deepEqual(new Set(await callAll(field, runtime, 8)), new Set([2]));
});

test("the default is one at a time", async (t) => {
  const source = `
    let inside = 0;
    export async function process() {
      const alone = ++inside === 1;
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      inside--;
      return alone;
    }
  `;
  const field = new Field(t);
  const runtime = await field.start(source, { environment: { OUTRIGGER_HANDLER_CONCURRENCY: "" } });
  assert.deepEqual(await callAll(field, runtime, 6), Array(6).fill(true));
});

test("a ping is answered while a call waits on another connection", async (t) => {
  const field = new Field(t);
  const runtime = await field.start("export const process = (p, ctx) => (ctx.progress('begun'), new Promise(() => {}));");
  const busy = await field.connect(runtime);
  busy.request(1);
  await busy.reply();
  const other = await field.connect(runtime);
  other.control({ ping: 3 });
  assert.equal(await other.pong(), 3);
});

test("a generator that never waits lets the others have their turn", async (t) => {
  const source = "export function* process() { for (let n = 0; ; n++) yield n; }";
  const field = new Field(t);
  const runtime = await field.start(source, { concurrency: 2 });
  const busy = await field.connect(runtime);
  busy.request(1);
  await busy.reply();
  const other = await field.connect(runtime);
  other.control({ ping: 4 });
  assert.equal(await other.pong(), 4);
});

test("a class is made once and serves all connections", async (t) => {
  const source = `
    let made = 0;
    export class Model {
      constructor() { made++; this.name = "model"; }
      process(payload) { return { made, name: this.name }; }
    }
  `;
  const field = new Field(t);
  const runtime = await field.start(source, { concurrency: 4 });
  assert.deepEqual(await callAll(field, runtime, 4), Array(4).fill({ made: 1, name: "model" }));
});

test("hundreds of connections are served", async (t) => {
  const field = new Field(t);
  const runtime = await field.start(ECHO, { concurrency: 16 });
  const results = await callAll(field, runtime, 300);
  assert.deepEqual(results, [...Array(300).keys()]);
});
