/** Frames as bytes: large, split, joined, and broken in every way. */

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";

import { ECHO, Field, OPENED } from "./support.mjs";

function framed(...bodies) {
  return Buffer.concat(
    bodies.flatMap((body) => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(Buffer.byteLength(body));
      return [head, Buffer.from(body)];
    }),
  );
}

test("a frame may come byte by byte", async (t) => {
  const peer = await new Field(t).serve(ECHO);
  for (const byte of framed('{"k":[1,2]}')) {
    await new Promise((resolve) => peer.socket.write(Buffer.from([byte]), resolve));
  }
  assert.deepEqual((await peer.reply()).result, { k: [1, 2] });
});

test("many frames may come at once", async (t) => {
  const peer = await new Field(t).serve(ECHO);
  const sizes = [0, 1, 10, 20000, 40000, 65534, 65535, 70000, 3, 300000, 2];
  const bodies = sizes.map((size) => JSON.stringify("x".repeat(size)));
  peer.socket.write(framed(...bodies));
  for (const body of bodies) {
    const { control, body: reply } = await peer.frame();
    assert.equal(control, false);
    assert.equal(String(reply), `{"status":"ok","result":${body}}`);
  }
});

test("twenty megabytes go there and back", async (t) => {
  const peer = await new Field(t).serve(ECHO);
  const body = JSON.stringify({ data: "é".repeat(10_000_000) });
  assert.ok(Buffer.byteLength(body) > 20_000_000);
  peer.write(body);
  const { body: reply } = await peer.frame();
  assert.ok(reply.equals(Buffer.from(`{"status":"ok","result":${body}}`)));
});

test("what comes while a call runs waits for its turn and is not read without limit", async (t) => {
  const source = `
    ${OPENED}
    export async function process(payload, ctx) {
      ctx.progress("begun");
      await opened();
      return payload.length;
    }
  `;
  const field = new Field(t);
  const runtime = await field.start(source);
  const peer = await field.connect(runtime);
  const size = 8 * 1024 * 1024;
  const body = framed(JSON.stringify("x".repeat(size)));
  let taken = 0;
  (async () => {
    for (let count = 0; count < 8; count++) {
      await new Promise((resolve) => peer.socket.write(body, resolve));
      taken++;
    }
  })();
  assert.equal((await peer.reply()).message, "begun");
  const other = await field.connect(runtime);
  for (let turn = 0; turn < 2000; turn++) {
    other.control({ ping: turn });
    assert.equal(await other.pong(), turn);
  }
  assert.ok(taken <= 3, `${taken} requests were taken in, of which one is worked on`);
  fs.writeFileSync(field.gate(), "");
  const results = (await peer.replies(15)).filter((reply) => reply.status === "ok").map((reply) => reply.result);
  assert.deepEqual(results, Array(8).fill(size));
});

test("a large stream of parts is held back while the peer does not read, and a ping comes after it", async (t) => {
  const source = `
    let made = 0;
    export function* process() {
      for (made = 0; made < 200; made++) yield "x".repeat(300000);
    }
    export const count = () => made;
  `;
  const field = new Field(t);
  const runtime = await field.start(source, { spec: "handler.mjs:process,count", concurrency: 2 });
  const peer = await field.connect(runtime);
  peer.request(null, { function: "process" });
  await peer.reply();
  peer.socket.pause();
  const other = await field.connect(runtime);
  const counts = [];
  for (let round = 0; round < 50; round++) {
    counts.push((await other.call(null, { function: "count" })).result);
  }
  assert.ok(counts.at(-1) < 100, `${counts.at(-1)} parts were made ahead of the peer`);
  peer.socket.resume();
  const parts = await peer.replies(199);
  assert.deepEqual(new Set(parts.map((part) => part.data.length)), new Set([300000]));
  assert.deepEqual(await peer.reply(), { status: "ok" });
  peer.control({ ping: 2 });
  assert.equal(await peer.pong(), 2);
});

/** Sends a bad request; the connection must live on. */
async function refused(peer, body, code, fragment) {
  peer.write(body);
  const reply = await peer.reply();
  assert.deepEqual([reply.status, reply.error, reply.retryable], ["error", code, false]);
  assert.match(reply.message, fragment);
  assert.deepEqual(await peer.call("after"), { status: "ok", result: "after" });
}

test("a request that is not JSON is refused", async (t) => {
  const peer = await new Field(t).serve(ECHO);
  await refused(peer, "{oops", "invalid_request", /not JSON/);
  await refused(peer, "", "invalid_request", /it is empty/);
  await refused(peer, "NaN", "invalid_request", /not JSON/);
  await refused(peer, "[1] 2", "invalid_request", /not JSON/);
  await refused(peer, Buffer.from([34, 255, 34]), "invalid_request", /not UTF-8/);
  await refused(peer, "\ufeff1", "invalid_request", /not JSON/);
  await refused(peer, "[".repeat(60000), "invalid_request", /not JSON/);
});

test("a meta does not outlive the bad request it came with", async (t) => {
  const peer = await new Field(t).serve("export const process = (payload, ctx) => ctx.id;");
  peer.control({ meta: { id: "first" } });
  peer.write("oops");
  assert.equal((await peer.reply()).error, "invalid_request");
  assert.equal((await peer.call(null)).result, "");
});

test("a request over the cap is refused and passed over", async (t) => {
  const peer = await new Field(t).serve(ECHO, { words: ["--max-frame", "1000"] });
  await refused(peer, "x".repeat(1001), "frame_too_large", /1001 bytes is more than the cap of 1000/);
  await refused(peer, "x".repeat(5_000_000), "frame_too_large", /5000000 bytes/);
});

test("a result and a report over the cap are errors", async (t) => {
  const source = `
    export const process = (n) => "x".repeat(n);
    export const report = (n, ctx) => ctx.partial("x".repeat(n));
  `;
  const peer = await new Field(t).serve(source, { spec: "handler.mjs:process,report", words: ["--max-frame", "1000"] });
  const reply = await peer.call(1000, { function: "process" });
  assert.deepEqual([reply.error, reply.retryable], ["result_too_large", false]);
  assert.match(reply.message, /1027 bytes, more than the cap of 1000/);
  assert.equal((await peer.call(900, { function: "process" })).result.length, 900);
  assert.match((await peer.call(1000, { function: "report" })).message, /a report of 1030 bytes is more/);
});

test("a frame cut short ends its connection only", async (t) => {
  const field = new Field(t);
  const runtime = await field.start(ECHO);
  const broken = { "a length": [0, 0], "a body": [0, 0, 0, 9, 34], "a large body": [0, 255, 255, 255, 34] };
  for (const [what, bytes] of Object.entries(broken)) {
    const peer = await field.connect(runtime);
    peer.socket.end(Buffer.from(bytes));
    await peer.ended();
    await runtime.says("outrigger: a connection was given up: the connection ended");
    assert.equal((await (await field.connect(runtime)).call(what)).result, what);
  }
});

test("a control frame that makes no sense ends its connection only", async (t) => {
  const field = new Field(t);
  const runtime = await field.start(ECHO, { words: ["--max-frame", "1000"] });
  const broken = ["{oops", "[1]", '"ping"', '{"meta":1}', "", Buffer.from([255]), "x".repeat(1001)];
  for (const body of broken) {
    const peer = await field.connect(runtime);
    peer.write(body, true);
    await peer.ended();
    await runtime.says("outrigger: a connection was given up: ");
  }
  assert.equal((await (await field.connect(runtime)).call(1)).result, 1);
});
