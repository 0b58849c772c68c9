/** Calls by name, in both ways, against the real sidecar. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import fs from "node:fs";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { ArgumentsError, CallError, DomainError, SidecarClient, TimeoutError, UnavailableError } from "outrigger";

import { collect, Field, freePort, soon, until } from "./support.mjs";

const ORDER = { items: [{ price: 4.5, count: 2 }] };
const field = new Field();
let sidecar;
before(async () => {
  const sink = await field.server((request, response) => {
    let size = 0;
    request.on("data", (chunk) => (size += chunk.length));
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ size, type: request.headers["content-type"] }));
    });
  });
  await field.handlers();
  sidecar = await field.sidecar({ functions: `    - { name: takeAll, handler: { http: "${sink}" }, input: stream }` });
});
after(() => field.end());

/** A client that is closed with its test. */
function open(t, options) {
  const client = new SidecarClient({ url: sidecar.url, socket: sidecar.socket, ...options });
  t.after(() => soon(client.close(), () => "it does not close"));
  return client;
}

for (const mode of ["ipc", "http"]) {
  describe(`over ${mode}`, () => {
    test("a call gives its function's result", async (t) => {
      const client = open(t, { mode });
      assert.deepEqual(await client.call("shop/priceOrder", [ORDER]), { total: 9, lines: 1 });
      assert.deepEqual(await client.call("priceOrder", [ORDER], { package: "shop" }), { total: 9, lines: 1 });
      for (const value of [null, [1, [2]], "ä\n\u2028", 0, { "": false }]) {
        assert.deepEqual(await client.call("echo", [value]), value);
      }
      assert.equal(client.way, mode);
    });

    test("a large value comes back as it went", async (t) => {
      const client = open(t, { mode });
      const value = "ü€".repeat(400_000);
      assert.ok((await client.call("echo", [value])) === value);
    });

    test("many calls are in flight at once, and each gets its own answer", async (t) => {
      const client = open(t, { mode });
      const all = Array.from({ length: 600 }, (_, n) => n);
      assert.deepEqual(await Promise.all(all.map((n) => client.call("echo", [n]))), all);
    });

    test("arguments that do not fit are named one by one", async (t) => {
      const client = open(t, { mode });
      const error = await client.call("shop/priceOrder", [{ items: [{ price: "1" }] }]).catch((it) => it);
      assert.ok(error instanceof ArgumentsError && error instanceof CallError);
      assert.equal(error.code, "bad_arguments");
      assert.deepEqual(error.errors.map((it) => it.path).sort(), ["args[0].items[0].count", "args[0].items[0].price"]);
      assert.equal(error.status, mode === "http" ? 400 : undefined);
    });

    test("a function's own error is told as it tells it", async (t) => {
      const client = open(t, { mode });
      const error = await client.call("shop/priceOrder", [{ items: [{ price: 1e6, count: 1 }] }]).catch((it) => it);
      assert.ok(error instanceof DomainError, error);
      assert.deepEqual(
        [error.name, error.code, error.message, error.errorValue],
        ["DomainError", "too_much", "nobody pays that much here", { tag: "shop/Fail", payload: { total: 1e6 }, message: "nobody pays that much here" }],
      );
    });

    test("a function that is not there is not found", async (t) => {
      await assert.rejects(open(t, { mode }).call("nothing"), (error) => error.code === "not_found");
    });

    test("what is not JSON, and arguments that are no list, are refused before anything is sent", async (t) => {
      const client = open(t, { mode });
      await assert.rejects(client.call("echo", [Number.NaN]), /NaN at \$\[0\] is not JSON/);
      await assert.rejects(client.call("echo", { a: 1 }), /`call\("echo", \[argument\]\)`/);
      await assert.rejects(client.call(""), TypeError);
      assert.throws(() => client.stream("echo", 1), TypeError);
    });

    test("pieces come one by one, and the result in the end", async (t) => {
      const client = open(t, { mode });
      const stream = client.stream("count", [3]);
      assert.deepEqual(await collect(stream), [1, 2, 3]);
      assert.deepEqual(await stream.result, { counted: 3 });
      const plain = client.stream("echo", ["whole"]);
      assert.deepEqual(await collect(plain), []);
      assert.equal(await plain.result, "whole");
    });

    test("a stream that fails half-way throws after its pieces", async (t) => {
      const stream = open(t, { mode }).stream("stumble", [null]);
      assert.deepEqual(await stream.next(), { value: 1, done: false });
      await assert.rejects(stream.next(), (error) => error instanceof CallError && /half-way/.test(error.message));
      await assert.rejects(stream.result, /half-way/);
    });

    test("leaving the loop ends the call", async (t) => {
      const client = open(t, { mode });
      fs.rmSync(field.path("notes"), { force: true });
      for await (const piece of client.stream("stall", [2])) {
        if (piece === 2) break;
      }
      await until(() => field.notes().includes("stall canceled"));
      assert.equal(await client.call("echo", [1]), 1);
    });

    test("an abort rejects with its reason, and the sidecar is told", async (t) => {
      const client = open(t, { mode });
      fs.rmSync(field.path("notes"), { force: true });
      const controller = new AbortController();
      const call = client.call("gated", [1], { signal: controller.signal });
      await until(() => field.notes().includes("gated called"));
      const reason = new Error("no more");
      controller.abort(reason);
      await assert.rejects(call, (error) => error === reason);
      await until(() => field.notes().includes("gated canceled"));
      await assert.rejects(client.call("echo", [1], { signal: controller.signal }), (error) => error === reason);
      assert.equal(await client.call("echo", [1]), 1);
    });

    test("an abort ends a stream that nothing comes from", async (t) => {
      const client = open(t, { mode });
      const controller = new AbortController();
      const stream = client.stream("stall", [1], { signal: controller.signal });
      await stream.next();
      const next = stream.next();
      controller.abort();
      await assert.rejects(next, { name: "AbortError" });
    });

    test("a call that takes too long is given up", async (t) => {
      const client = open(t, { mode, timeout: 200 });
      fs.rmSync(field.path("notes"), { force: true });
      await assert.rejects(client.call("gated", [1]), (error) => error instanceof TimeoutError && /within 200 ms/.test(error.message));
      await until(() => field.notes().includes("gated canceled"));
      const stream = client.stream("stall", [1]);
      await stream.next();
      await assert.rejects(stream.next(), TimeoutError);
    });

    test("any number of calls may share a signal", async (t) => {
      const client = open(t, { mode });
      const warnings = [];
      const warned = (warning) => warnings.push(warning.message);
      process.on("warning", warned);
      t.after(() => process.off("warning", warned));
      const { signal } = new AbortController();
      const calls = Array.from({ length: 30 }, (_, n) => client.call("echo", [n], { signal }));
      const streams = Array.from({ length: 30 }, () => collect(client.stream("count", [1], { signal })));
      await Promise.all([...calls, ...streams]);
      assert.deepEqual([warnings, getEventListeners(signal, "abort")], [[], []]);
    });

    test("a stream that is left before it begins has no result, and calls nothing", async (t) => {
      const stream = open(t, { mode }).stream("stall", [1]);
      assert.deepEqual(await stream.return(), { value: undefined, done: true });
      await assert.rejects(soon(stream.result), (error) => error.code === "canceled");
    });

    test("a stream that nobody reads any more holds its client open for no longer than its timeout", async (t) => {
      const client = open(t, { mode });
      const stream = client.stream("count", [1000], { timeout: 500 });
      await stream.next();
      const read = client.stream("count", [3]);
      await read.next();
      const closed = client.close();
      assert.deepEqual(await collect(read), [2, 3]);
      await soon(closed, () => "it does not close");
      await assert.rejects(stream.result, (error) => error.code === "canceled");
      await assert.rejects(stream.next(), (error) => error.code === "canceled");
    });

    test("a slow reader of a stream holds its function up, and nobody else", async (t) => {
      const client = open(t, { mode });
      fs.rmSync(field.path("flooded"), { force: true });
      const stream = client.stream("flood", [20_000]);
      await stream.next();
      const flooded = () => Number(fs.existsSync(field.path("flooded")) && fs.readFileSync(field.path("flooded"), "utf8"));
      let last = -1;
      await until(async () => {
        const now = flooded();
        await sleep(200);
        return now > 0 && now === flooded() && (last = now);
      });
      assert.ok(last < 10_000, `it went on to ${last}`);
      assert.equal(await client.call("echo", [1]), 1);
      await stream.return();
    });

    test("what is in flight is answered before the client is closed", async (t) => {
      const client = open(t, { mode });
      fs.rmSync(field.path("gate"), { force: true });
      fs.rmSync(field.path("notes"), { force: true });
      const call = client.call("gated", ["late"]);
      await until(() => field.notes().includes("gated called"));
      const closed = client.close();
      await assert.rejects(client.call("echo", [1]), (error) => error.code === "closed");
      field.put("gate");
      t.after(() => fs.rmSync(field.path("gate")));
      assert.equal(await call, "late");
      await soon(closed);
    });
  });
}

test("what the sidecar tells of itself is asked over HTTP in every mode", async (t) => {
  for (const mode of ["ipc", "http", "auto"]) {
    const client = open(t, { mode });
    const functions = await client.functions();
    assert.ok(functions.some((it) => it.package === "shop" && it.name === "priceOrder" && it.parameters[0].name === "order"));
    assert.match(await client.types(), /priceOrder\(order: /);
    assert.equal((await client.version()).contractVersion, "2");
    assert.deepEqual(await client.health(), { status: "outrigger is healthy" });
  }
});

test("a body of any size and kind goes to a function that takes a stream", async (t) => {
  const client = open(t, { mode: "http" });
  const pieces = function* () {
    for (let n = 0; n < 300; n += 1) yield Buffer.alloc(100_000);
  };
  assert.deepEqual(await client.upload("takeAll", Readable.from(pieces()), { contentType: "text/csv" }), { size: 30_000_000, type: "text/csv" });
  assert.deepEqual(await client.upload("main/takeAll", pieces()), { size: 30_000_000, type: "application/octet-stream" });
  assert.equal((await client.upload("takeAll", "äh", { path: "/take-all" })).size, 3);
  assert.equal((await client.upload("takeAll", new Blob(["abc"]).stream())).size, 3);
  const broken = Readable.from((async function* () {
    yield "a";
    throw new Error("the disk is gone");
  })());
  await assert.rejects(client.upload("takeAll", broken), /the disk is gone/);
  await assert.rejects(client.upload("nothing", "x"), (error) => error.code === "not_found");
});

test("another server is not taken for a sidecar", async (t) => {
  const other = new Field(t);
  const url = await other.server((_, response) => response.end("<html>"));
  const client = open(t, { mode: "http", url });
  await assert.rejects(client.call("echo", [1]), (error) => error.code === "bad_reply" && /another server/.test(error.message));
  const auto = open(t, { url });
  assert.equal(await auto.call("echo", [1]), 1);
  assert.equal(auto.way, "ipc");
});

test("a connection that breaks off is an error that says that the call may have run", async (t) => {
  const other = new Field(t);
  const url = await other.server((request) => request.socket.destroy());
  const client = open(t, { mode: "http", url });
  await assert.rejects(client.call("echo", [1]), (error) => error instanceof UnavailableError && error.code === "connection_lost");
});

test("a stream that breaks off is not taken for one that has ended", async (t) => {
  const other = new Field(t);
  const url = await other.server((_, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.end('{"data":1,"status":"partial"}\n{"data":2,"status":"par');
  });
  const stream = open(t, { mode: "http", url }).stream("count", [1]);
  assert.equal((await stream.next()).value, 1);
  await assert.rejects(stream.next(), (error) => error.code === "connection_lost");
});

test("lines are whole however they are cut", async (t) => {
  const other = new Field(t);
  const text = '{"data":"äö€","status":"partial"}\n\n{"data":null,"status":"ok"}\n';
  const url = await other.server(async (_, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    for (const byte of Buffer.from(text)) {
      response.write(Buffer.of(byte));
      await sleep(1);
    }
    response.end();
  });
  const stream = open(t, { mode: "http", url }).stream("count", [1]);
  assert.deepEqual(await collect(stream), ["äö€"]);
  assert.equal(await stream.result, null);
});

test("where there is no sidecar the error says how to start one", async (t) => {
  const url = `http://127.0.0.1:${await freePort()}`;
  for (const mode of ["http", "ipc", "auto"]) {
    const client = open(t, { mode, url, socket: field.path("none.sock") });
    await assert.rejects(
      client.call("echo", [1]),
      (error) => error instanceof UnavailableError && error.code === "sidecar_unavailable" && /`outrigger up`/.test(error.message),
    );
  }
});

test("an address that is none is refused at once", () => {
  for (const url of ["nowhere", "ftp://x", "http+unix://"]) {
    assert.throws(() => new SidecarClient({ url }), /as in/);
  }
  assert.throws(() => new SidecarClient({ mode: "direct" }), /mode: direct/);
  assert.throws(() => new SidecarClient({ retry: { attempts: 0 } }), /attempts/);
});

test("a connection is kept for the next call", async (t) => {
  const other = new Field(t);
  const sockets = new Set();
  const server = http.createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end('{"success":true,"result":1}\n');
  });
  server.on("connection", (socket) => sockets.add(socket));
  const client = open(t, { mode: "http", url: await other.server(server) });
  for (let n = 0; n < 3; n += 1) await client.call("echo");
  assert.equal(sockets.size, 1);
});
