/** The aliases, used as the design that they come from uses them. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import express from "express";
import { CircuitBreaker, ForstClient, ForstExpressProxy, ForstHTTPProxy } from "outrigger/forst";

import { Field, freePort, until } from "./support.mjs";

const ORDER = { items: [{ price: 2, count: 3 }] };

const post = async (url, body) => {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  return [response.status, await response.json()];
};

test("functions are called over the way of the environment", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const { url, socket } = await field.sidecar();
  for (const [mode, way] of [
    ["development", "ipc"],
    ["production", "http"],
  ]) {
    const client = new ForstClient({ mode, sidecarUrl: url, ipc: { socketPath: socket } });
    assert.deepEqual(await client.callFunction("shop/priceOrder", [ORDER]), { total: 6, lines: 1 });
    assert.equal(await client.call("echo", [1]), 1);
    assert.equal(client.way, way);
    await client.close();
  }
  assert.equal(await new ForstClient({ mode: "production", http: { port: Number(new URL(url).port) } }).callFunction("echo", [2]), 2);
});

test("routes are registered by hand and by themselves", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const port = await freePort();
  const forstProxy = new ForstExpressProxy({ sidecarUrl: `http://127.0.0.1:${port}`, timeout: 30_000 });
  t.after(() => forstProxy.close());
  forstProxy.registerRoute("/calculate", "/price-order");
  forstProxy.autoRegisterRoutes();
  const app = express();
  app.use(forstProxy.middleware());
  app.get("/health", (_, response) => response.json({ status: "healthy" }));
  app.post("/price-order", (_, response) => response.json("own"));
  const url = await field.server(app);
  assert.deepEqual(await post(`${url}/calculate`, ORDER), [503, { error: "Sidecar unavailable" }]);
  assert.deepEqual(await post(`${url}/price-order`, ORDER), [200, "own"]);
  await field.sidecar({ port });
  assert.deepEqual(await post(`${url}/calculate`, ORDER), [200, { total: 6, lines: 1 }]);
  await until(async () => (await post(`${url}/price-order`, ORDER))[1].total === 6);
  assert.equal(forstProxy.getRoute("/echo"), "/echo");
  assert.equal(forstProxy.getRoute("/nothing"), undefined);
  assert.deepEqual(await (await fetch(`${url}/health`)).json(), { status: "healthy" });
});

test("a middleware of one's own with a breaker around it", async (t) => {
  const field = new Field(t);
  const circuitBreaker = new CircuitBreaker({ failureThreshold: 5, timeout: 60_000 });
  const forstProxy = new ForstExpressProxy({ sidecarUrl: `http://127.0.0.1:${await freePort()}`, retries: 3, circuitBreaker: true });
  forstProxy.registerRoute("/f", "/f");
  const app = express();
  app.use(async (request, response, next) => {
    const forstRoute = forstProxy.getRoute(request.path);
    if (!forstRoute) return next();
    try {
      await circuitBreaker.execute(async () => {
        await forstProxy.proxyRequest(request, response, { timeout: 30_000, retry: true });
      });
    } catch {
      response.status(503).json({ error: "Service temporarily unavailable" });
    }
  });
  app.use((_, response) => response.json("own"));
  const url = await field.server(app);
  const seen = [];
  for (let n = 0; n < 7; n += 1) seen.push((await post(`${url}/f`, 1))[1].error);
  assert.equal(seen[0], "Sidecar unavailable");
  assert.equal(seen.at(-1), "Service temporarily unavailable");
  assert.deepEqual(await post(`${url}/g`, 1), [200, "own"]);
});

test("a stream is forwarded without a limit of time", async (t) => {
  const field = new Field(t);
  const upstream = await field.server((request, response) => {
    response.setHeader("x-accept", request.headers.accept);
    if (request.headers["content-length"] !== undefined) response.setHeader("content-length", request.headers["content-length"]);
    request.pipe(response);
  });
  const app = express();
  app.post("/api/stream-process", async (request, response) => {
    const streamingProxy = new ForstHTTPProxy({ sidecarUrl: upstream });
    response.setHeader("Content-Type", "application/octet-stream");
    response.setHeader("Transfer-Encoding", "chunked");
    await streamingProxy.proxyRequest(request, response, { timeout: 0, headers: { Accept: "application/octet-stream" } });
  });
  const response = await fetch(`${await field.server(app)}/api/stream-process`, { method: "POST", body: "x".repeat(1_000_000) });
  assert.equal(response.headers.get("x-accept"), "application/octet-stream");
  assert.equal(response.headers.get("content-type"), "application/octet-stream");
  assert.equal((await response.text()).length, 1_000_000);
});

test("a breaker of its own names", async () => {
  const breaker = new CircuitBreaker({ failureThreshold: 1, timeout: 60_000 });
  const opened = once(breaker, "open");
  await assert.rejects(breaker.execute(async () => { throw new Error("no"); }), /no/);
  await opened;
  await assert.rejects(breaker.execute(async () => 1), { code: "circuit_open", retryAfter: 60 });
});
