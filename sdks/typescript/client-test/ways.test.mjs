/** How a client finds its sidecar, loses it and finds it again; what it tries twice; how its process ends. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import { test } from "node:test";

import { CircuitOpenError, SidecarClient, UnavailableError } from "outrigger";

import { Field, freePort, soon, until } from "./support.mjs";

/** A client that is closed with its test. */
function open(t, options) {
  const client = new SidecarClient(options);
  t.after(() => soon(client.close(), () => "it does not close"));
  return client;
}

/** Does `work` with a variable of the environment set. */
async function withVariable(name, value, work) {
  const before = process.env[name];
  process.env[name] = value;
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}

test("auto takes the socket in development and HTTP elsewhere, and the other one where only that answers", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const { url, socket } = await field.sidecar();
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  const none = field.path("none.sock");
  for (const [environment, options, way] of [
    ["development", { url, socket }, "ipc"],
    ["production", { url, socket }, "http"],
    ["", { url, socket }, "http"],
    ["development", { url, socket: none }, "http"],
    ["production", { url: nowhere, socket }, "ipc"],
  ]) {
    await withVariable("NODE_ENV", environment, async () => {
      const client = open(t, options);
      assert.equal(await client.call("echo", [1]), 1);
      assert.equal(client.way, way, `${environment} ${JSON.stringify(options)}`);
    });
  }
  await withVariable("OUTRIGGER_CALLS_URL", url, async () => assert.equal(await open(t, { mode: "http" }).call("echo", [2]), 2));
  await withVariable("OUTRIGGER_CALLS_SOCKET", `ipc://${socket}`, async () => assert.equal(await open(t, { mode: "ipc" }).call("echo", [3]), 3));
});

test("a variable that is empty says nothing", async (t) => {
  const field = new Field(t);
  const url = `http://127.0.0.1:${await freePort()}`;
  await withVariable("OUTRIGGER_CALLS_URL", "", async () => assert.throws(() => new SidecarClient({ url: "" }), /no address/));
  await withVariable("OUTRIGGER_CALLS_URL", "", () => withVariable("XDG_RUNTIME_DIR", field.folder, () => withVariable("OUTRIGGER_CALLS_SOCKET", "", async () => {
    await assert.rejects(open(t, { mode: "ipc" }).call("echo"), (error) => error.message.includes(field.path("outrigger/calls.sock")));
    await assert.rejects(open(t, { url }).call("echo"), (error) => error.message.includes(url));
    new SidecarClient({ mode: "http" });
  })));
});

test("a sidecar that is started again is found again, and auto changes to the way that answers", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const port = await freePort();
  const first = await field.sidecar({ port });
  const { url, socket } = first;
  const clients = ["ipc", "http"].map((mode) => open(t, { mode, url, socket }));
  const auto = open(t, { url, socket });
  for (const client of [...clients, auto]) assert.equal(await client.call("echo", [1]), 1);
  await first.stop();
  for (const client of [...clients, auto]) await assert.rejects(client.call("echo", [1]), UnavailableError);
  await field.sidecar({ port });
  for (const client of [...clients, auto]) assert.equal(await client.call("echo", [2]), 2);
  assert.equal(auto.way, "http");
});

test("what was in flight when a sidecar is killed may have run, and only what may run twice is made again", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const port = await freePort();
  for (const mode of ["ipc", "http"]) {
    fs.rmSync(field.path("notes"), { force: true });
    fs.rmSync(field.path("gate"), { force: true });
    const { stop, url, socket } = await field.sidecar({ port });
    const client = open(t, { mode, url, socket, retry: { attempts: 50, budget: { least: 50 } } });
    const once = client.call("gated", [1]);
    const twice = client.call("gated", [2], { idempotent: true });
    const failed = assert.rejects(once, (error) => error.code === "connection_lost" && /may or may not have run/.test(error.message));
    await until(() => field.notes().filter((it) => it === "gated called").length === 2);
    await stop();
    await failed;
    const again = await field.sidecar({ port });
    field.put("gate");
    assert.equal(await soon(twice), 2);
    await again.stop();
  }
});

test("a call that nobody could have got is made again, within the budget", async (t) => {
  const field = new Field(t);
  const socket = field.path("late.sock");
  const client = open(t, { mode: "ipc", socket, retry: { attempts: 20, backoff: 20, budget: { least: 100 } } });
  const call = client.call("echo", ["found"]);
  const server = net.createServer((peer) => peer.once("data", () => peer.write('{"id":1,"success":true,"result":"found"}\n')));
  setTimeout(() => server.listen(socket), 100);
  field.later(() => server.close());
  assert.equal(await soon(call), "found");

  const poor = open(t, { mode: "ipc", socket: field.path("none.sock"), retry: { attempts: 4, backoff: 1, budget: { least: 2, share: 0 } } });
  let connects = 0;
  const connect = net.connect;
  t.mock.method(net, "connect", (...words) => {
    connects += 1;
    return connect(...words);
  });
  for (let n = 0; n < 5; n += 1) await assert.rejects(poor.call("echo", [n]));
  assert.equal(connects, 5 + 2);
});

test("a handler that is not there is waited for only by a call that may run twice", async (t) => {
  const field = new Field(t);
  const { socket, url } = await field.sidecar();
  for (const mode of ["ipc", "http"]) {
    const error = await open(t, { mode, socket, url }).call("echo", [1]).catch((it) => it);
    assert.ok(error instanceof UnavailableError);
    assert.equal(error.code, "handler_unavailable");
    assert.equal(error.retryAfter, mode === "http" ? 1 : undefined);
  }
  const call = open(t, { mode: "http", url, idempotent: true }).call("echo", [1]);
  await field.handlers();
  assert.equal(await soon(call), 1);
});

test("one call too large does not take those beside it with it", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const { socket } = await field.sidecar({ calls: "  body_limit: 10KiB" });
  const client = open(t, { mode: "ipc", socket });
  const [small, large] = await Promise.allSettled([client.call("echo", [1]), client.call("echo", ["x".repeat(20_000)])]);
  assert.equal(small.value, 1);
  assert.equal(large.reason.code, "too_large");
  assert.equal(await client.call("echo", [2]), 2);
});

test("a token is shown, and asked for where it is missing", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const { url } = await field.sidecar({ calls: "  auth: { token: sesame }" });
  assert.equal(await open(t, { mode: "http", url, token: "sesame" }).call("echo", [1]), 1);
  await assert.rejects(open(t, { mode: "http", url }).call("echo", [1]), (error) => error.code === "unauthorized" && error.status === 401 && /`token`/.test(error.message));
});

test("HTTP on a Unix socket, and a base path before every path", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const { url } = await field.sidecar({ listen: ', "http+unix://web.sock"' });
  assert.equal(await open(t, { mode: "http", url: `http+unix://${field.path("web.sock")}` }).call("echo", [1]), 1);
  await assert.rejects(open(t, { mode: "http", url: `${url}/base/` }).call("echo", [1]), (error) => error.code === "not_found" && /`\/base\/invoke`/.test(error.message));
});

test("a breaker stops calls to a sidecar that is not there, and lets them through again", async (t) => {
  const field = new Field(t);
  const port = await freePort();
  await field.handlers();
  const client = open(t, { mode: "http", url: `http://127.0.0.1:${port}`, retry: { attempts: 1 }, breaker: { failures: 2, open: 50 } });
  for (let n = 0; n < 2; n += 1) await assert.rejects(client.call("echo", [1]), (error) => error.code === "sidecar_unavailable");
  await assert.rejects(client.call("echo", [1]), (error) => error instanceof CircuitOpenError && error.retryAfter === 1);
  await field.sidecar({ port });
  await until(() => client.call("echo", [1]).catch(() => null));
  for (let n = 0; n < 3; n += 1) await assert.rejects(client.call("crash", [1]), /something broke/);
  assert.equal(await client.call("echo", [2]), 2);
});

test("a process ends by itself with a client that it has not closed, and not before its calls are answered", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const { url, socket } = await field.sidecar();
  for (const mode of ["ipc", "http", "auto"]) {
    const source = `
      import { SidecarClient } from "outrigger";
      const client = new SidecarClient(${JSON.stringify({ mode, url, socket })});
      client.call("count", [3]);
      for await (const piece of client.stream("count", [2])) console.log(piece);
      let pieces = 0;
      for await (const _ of client.stream("flood", [500])) pieces += 1;
      console.log(pieces);
      const abandoned = client.stream("stall", [2]);
      console.log((await abandoned.next()).value);
      client.call("echo", ["last"]).then(console.log);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", source], { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"] });
    t.after(() => child.kill("SIGKILL"));
    let said = "";
    child.stdout.on("data", (chunk) => (said += chunk));
    const [code] = await soon(once(child, "close"), () => `it does not end over ${mode}: ${said}`);
    assert.deepEqual([code, said], [0, "1\n2\n500\n1\nlast\n"]);
  }
});
