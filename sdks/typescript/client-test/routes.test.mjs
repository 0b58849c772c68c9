/** Routes match as those of Express would that they stand in for. */

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, test } from "node:test";

import express from "express";
import express4 from "express4";

import { expressProxy } from "outrigger";
import { ForstExpressProxy } from "outrigger/forst";

import { Field, soon } from "./support.mjs";

const PATHS = ["/api/price", "/api/price/", "/API/Price", "/API/price/", "/api/price//", "/api/pric", "/api/price/x", "/", "/API/"];

/** Who answers to each path: the app where the route is its own, or what is behind the proxy. */
async function answers(url) {
  const said = {};
  for (const path of PATHS) said[path] = await (await soon(fetch(url + path))).text();
  return said;
}

for (const [name, create] of [
  ["Express 5", express],
  ["Express 4", express4],
]) {
  describe(name, () => {
    for (const spelling of [{}, { strict: true }, { caseSensitive: true }, { strict: true, caseSensitive: true }]) {
      const settings = [spelling.strict && "strict routing", spelling.caseSensitive && "case sensitive routing"].filter(Boolean);
      for (const route of ["/api/price", "/api/price/", "/Api/Price"]) {
        test(`${route} is sent on as it was answered before${settings.map((it) => `, with ${it}`).join("")}`, async (t) => {
          const field = new Field(t);
          const answer = (_, response) => response.end("moved");
          const before = settings.reduce((it, setting) => it.enable(setting), create()).get(route, answer);
          const router = create().use(create.Router(spelling).get(route, answer));
          const service = await field.server((request, response) => response.end(request.url === "/price" ? "moved" : request.url));
          const own = (options) => expressProxy({ url: service, ...options }).route(route, "/price", { methods: ["GET"] });
          const after = create().use(own(spelling));
          // What the app is told is not what its routers do.
          const elsewhere = create().enable("strict routing").enable("case sensitive routing").use(own(spelling));
          const alias = new ForstExpressProxy({ sidecarUrl: service, ...spelling });
          alias.registerRoute(route, "/price");
          const apps = [before, router, after, elsewhere, create().use(alias.middleware())];
          const said = [];
          for (const app of apps) said.push(await answers(await field.server(app.use((_, response) => response.end("own")))));
          for (const other of said.slice(1)) assert.deepEqual(other, said[0]);
          for (const path of PATHS) assert.equal(own(spelling).find(path) === "/price", said[0][path] === "moved", path);
        });
      }
    }

    test("HEAD goes where GET goes", async (t) => {
      const field = new Field(t);
      const service = await field.server((_, response) => response.setHeader("x-by", "service").end());
      const proxy = expressProxy({ url: service }).route("/got", "/f", { methods: ["get"] }).route("/posted", "/f", { methods: ["post"] });
      const url = await field.server(create().use(proxy, (_, response) => response.end()));
      const by = async (path) => (await soon(fetch(url + path, { method: "HEAD" }))).headers.get("x-by");
      assert.deepEqual([await by("/got"), await by("/posted")], ["service", null]);
    });
  });
}

test("a WebSocket's path matches as that of any other request", async (t) => {
  const field = new Field(t);
  const service = await field.server((_, response) => response.end("service"));
  for (const [options, path, status] of [
    [{}, "/WS/", 200],
    [{ strict: true }, "/ws/", 404],
    [{ caseSensitive: true }, "/WS", 404],
    [{ strict: true, caseSensitive: true }, "/ws", 200],
  ]) {
    const server = http.createServer().on("upgrade", expressProxy({ url: service, ...options }).route("/ws").upgrade);
    const headers = { connection: "upgrade", upgrade: "websocket" };
    const [response] = await soon(once(http.get((await field.server(server)) + path, { headers }), "response"));
    assert.equal(response.resume().statusCode, status, path);
  }
});

test("the rest of a path goes on as it was spelt", () => {
  const proxy = expressProxy().route("/Files/*", "/data/*").route("/files/own", "/own").route("/files/own/", "/slash");
  assert.equal(proxy.find("/FILES/A/b/"), "/data/A/b/");
  assert.equal(proxy.find("/files"), "/data");
  assert.equal(proxy.find("/filesystem"), undefined);
  assert.equal(proxy.find("/Files/OWN"), "/own");
  assert.equal(proxy.find("/files/own/"), "/slash");
  assert.deepEqual(proxy.route("/files/own", "/other").routes(), [["/files/own/", "/slash"], ["/files/own", "/other"], ["/Files/*", "/data/*"]]);
});
