/** Routes match as those of Express would that they stand in for. */

import assert from "node:assert/strict";
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
    for (const settings of [[], ["strict routing"], ["case sensitive routing"], ["strict routing", "case sensitive routing"]]) {
      for (const route of ["/api/price", "/api/price/", "/Api/Price"]) {
        test(`${route} is sent on as it was answered before${settings.map((it) => `, with ${it}`).join("")}`, async (t) => {
          const field = new Field(t);
          const app = () => settings.reduce((it, setting) => it.enable(setting), create());
          const before = app().get(route, (_, response) => response.end("moved"));
          const service = await field.server((request, response) => response.end(request.url === "/price" ? "moved" : request.url));
          const after = app().use(expressProxy({ url: service }).route(route, "/price"));
          const alias = new ForstExpressProxy({ sidecarUrl: service });
          alias.registerRoute(route, "/price");
          const other = app().use(alias.middleware());
          for (const it of [before, after, other]) it.use((_, response) => response.end("own"));
          const expected = await answers(await field.server(before));
          assert.deepEqual(await answers(await field.server(after)), expected);
          assert.deepEqual(await answers(await field.server(other)), expected);
        });
      }
    }
  });
}

test("the rest of a path goes on as it was spelt", () => {
  const proxy = expressProxy().route("/Files/*", "/data/*").route("/files/own", "/own").route("/files/own/", "/slash");
  assert.equal(proxy.find("/FILES/A/b/"), "/data/A/b/");
  assert.equal(proxy.find("/files"), "/data");
  assert.equal(proxy.find("/filesystem"), undefined);
  assert.equal(proxy.find("/Files/OWN"), "/own");
  assert.equal(proxy.find("/files/own/"), "/slash");
  assert.deepEqual(proxy.route("/files/own", "/other").routes(), [["/files/own/", "/slash"], ["/files/own", "/other"], ["/Files/*", "/data/*"]]);
});
