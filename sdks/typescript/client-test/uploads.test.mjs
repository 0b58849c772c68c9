/** Bodies that a client sends: when, how, and that their streams are closed whatever becomes of them. */

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import { test } from "node:test";
import { Readable } from "node:stream";

import { SidecarClient } from "outrigger";

import { Field, freePort, soon, until } from "./support.mjs";

const LARGE = Buffer.alloc(2_000_000);

/** What stands in for a sidecar: `asked` answers who asks whether to send. It notes all heads, and answers with how much it got. */
async function counter(field, asked) {
  const heads = [];
  const answer = (request, response) => {
    heads.push(request.headers);
    let size = 0;
    request.on("data", (chunk) => (size += chunk.length)).on("end", () => response.end(`{"success":true,"result":${size}}`));
    response.setHeader("content-type", "application/json");
  };
  const server = http.createServer(answer).on("checkContinue", (request, response) => asked(request, response, answer));
  return { url: await field.server(server), heads };
}

function open(t, options) {
  const client = new SidecarClient({ mode: "http", ...options });
  t.after(() => client.close());
  return client;
}

test("a stream that fails before it is read is what an upload rejects with", async (t) => {
  const field = new Field(t);
  for (const path of [undefined, "/f"]) {
    const body = fs.createReadStream(field.path("missing"));
    // Whoever asks, for the path or for whether to send, is kept until the stream has failed.
    const failed = async (_, response) => {
      await until(() => body.errored);
      response.setHeader("content-type", "application/json").end('{"success":true,"result":[{"name":"f","path":"/f"}]}');
    };
    const url = await field.server(http.createServer(failed).on("checkContinue", async (_, response) => {
      await until(() => body.errored);
      response.writeContinue();
    }));
    await assert.rejects(soon(open(t, { url }).upload("f", body, { path })), { code: "ENOENT" });
  }
});

test("a stream is closed also where it is not read", async (t) => {
  const field = new Field(t);
  await field.handlers();
  field.put("large", LARGE);
  const { url } = await field.sidecar();
  const closed = new SidecarClient({ mode: "http", url });
  await closed.close();
  for (const [client, name, status] of [
    [open(t, { url }), "echo", 415],
    [open(t, { url }), "nothing", 404],
    [open(t, { url: `http://127.0.0.1:${await freePort()}` }), "echo", undefined],
    [closed, "echo", undefined],
    [open(t, { url }), "", undefined],
  ]) {
    const body = fs.createReadStream(field.path("large"));
    await assert.rejects(client.upload(name, body), (error) => error.status === status);
    await until(() => body.closed, `the stream of ${name || "no name"} is open, after ${status}`);
  }
});

test("a piece that is neither bytes nor a text ends the upload, and no process", async (t) => {
  const { url } = await counter(new Field(t), (request, response, answer) => {
    response.writeContinue();
    answer(request, response);
  });
  await assert.rejects(soon(open(t, { url }).upload("f", ["a", 1], { path: "/f" })), { code: "ERR_INVALID_ARG_TYPE" });
});

test("a body that is whole has its length", async (t) => {
  const { url, heads } = await counter(new Field(t), (request, response, answer) => {
    response.writeContinue();
    answer(request, response);
  });
  const client = open(t, { url });
  for (const body of [LARGE, "ä".repeat(LARGE.length / 2), "ä", ""]) {
    const length = Buffer.byteLength(body);
    assert.equal(await client.upload("f", body, { path: "/f" }), length);
    const head = heads.at(-1);
    assert.deepEqual([head["content-length"], head["transfer-encoding"]], [String(length), undefined]);
  }
});

for (const [what, asked] of [
  ["answers before it has the body", (request, response, answer) => answer(request, response) ?? response.flushHeaders()],
  ["does not want to be asked", (_, response) => response.writeHead(417).end()],
  ["does not say whether it takes a body", (request, response, answer) => answer(request, response)],
]) {
  test(`a server that ${what} gets the body all the same, in time`, async (t) => {
    const { url } = await counter(new Field(t), asked);
    const client = open(t, { url, timeout: 1200 });
    const bodies = [LARGE, Readable.from([LARGE])];
    for (const body of bodies) assert.equal(await soon(client.upload("f", body, { path: "/f" })), LARGE.length);
    assert.ok((await soon(client.call("f", [String(LARGE)]))) > LARGE.length);
  });
}
