/** Many calls on one Unix socket: what is known of each when the connection breaks, and that none of them is stuck behind the others. */

import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { test } from "node:test";

import { SidecarClient, TimeoutError } from "outrigger";

import { Field, freePort, soon, until } from "./support.mjs";

/** More than the sidecar takes from one connection before it reads no further. */
const MANY = 300;

/** A client that is closed with its test. */
function open(t, options) {
  const client = new SidecarClient({ mode: "ipc", ...options });
  t.after(() => soon(client.close(), () => "it does not close"));
  return client;
}

/** A sidecar with the functions of the tests, and the client of it; the gate is closed. */
async function gated(t, options) {
  const field = new Field(t);
  await field.handlers();
  const { socket } = await field.sidecar();
  return { field, client: open(t, { socket, ...options }) };
}

const noted = (field, note) => field.notes().filter((it) => it === note).length;

/**
 * What stands in for a sidecar: notes what it runs, dies when it has got `calls` calls on its first connection and nothing is left to be read
 * there, and answers on all others.
 */
function mortal(field, calls) {
  const [ran, first] = [[], []];
  let connections = 0;
  const server = net.createServer((peer) => {
    const isFirst = (connections += 1) === 1;
    let text = "";
    peer.on("error", () => {});
    peer.on("data", (chunk) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop();
      for (const line of lines) {
        const { id, args } = JSON.parse(line);
        ran.push(args[0].n);
        if (isFirst) first.push(args[0].n);
        else peer.write(`{"id":${id},"success":true,"result":"done"}\n`);
      }
      // A piece that is not full was the last one.
      if (isFirst && first.length >= calls && chunk.length < 65_536) peer.destroy();
    });
  });
  server.listen(field.path("mortal.sock"));
  field.later(() => server.close());
  return { socket: field.path("mortal.sock"), ran, first };
}

for (const mode of ["ipc", "auto"]) {
  for (const size of [10, 20_000, 300_000]) {
    test(`a call of ${size} bytes that a sidecar has got before it dies is not made again over ${mode}`, async (t) => {
      const field = new Field(t);
      const { socket, ran, first } = mortal(field, 40);
      const client = open(t, { mode, socket, url: `http://127.0.0.1:${await freePort()}`, retry: { budget: { least: MANY } } });
      const call = (n) => client.call("pay", [{ n, pad: "x".repeat(size) }]).catch(({ code }) => code);
      const codes = await soon(Promise.all(Array.from({ length: 100 }, (_, n) => call(n))));
      assert.equal(ran.length, new Set(ran).size, "some have run twice");
      assert.deepEqual(first.map((n) => codes[n]), first.map(() => "connection_lost"));
      for (const [n, code] of codes.entries()) assert.ok(code === "connection_lost" || (code === "done" && ran.includes(n)), `${n}: ${code}`);
      if (size > 1000) assert.ok(codes.includes("done"), "what has not left the client is made again");
    });
  }
}

test("however many calls are made, the sidecar hears that they are taken back", async (t) => {
  const { field, client } = await gated(t);
  const controller = new AbortController();
  const calls = Array.from({ length: MANY }, (_, n) => client.call("gated", [n], { signal: controller.signal }));
  const all = Promise.allSettled(calls);
  await until(() => noted(field, "gated called") === 64);
  controller.abort();
  assert.ok((await soon(all)).every(({ reason }) => reason.name === "AbortError"));
  assert.equal(await soon(client.call("echo", [1])), 1);
  // One that has a turn meanwhile may begin before it is taken back as well.
  await until(() => noted(field, "gated canceled") === noted(field, "gated called"));
});

test("however many calls are made, each ends in its time, and later ones are answered", async (t) => {
  const { client } = await gated(t);
  const calls = Array.from({ length: MANY }, (_, n) => client.call("gated", [n], { timeout: 300 }));
  const ends = await soon(Promise.allSettled(calls));
  assert.ok(ends.every(({ reason }) => reason instanceof TimeoutError));
  assert.equal(await soon(client.call("echo", [1])), 1);
});

test("calls that wait for their turn are answered before the client is closed", async (t) => {
  const { field, client } = await gated(t);
  const calls = Promise.all(Array.from({ length: MANY }, (_, n) => client.call("gated", [n])));
  await until(() => noted(field, "gated called") === 64);
  const late = assert.rejects(client.call("gated", ["late"], { timeout: 300 }), TimeoutError);
  const closed = client.close();
  await late;
  fs.writeFileSync(field.path("gate"), "");
  assert.equal((await soon(calls)).length, MANY);
  await soon(closed);
});
