/** Requests that are sent on, by every framework, to a server that stands in for the sidecar's listener. */

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, test } from "node:test";
import { pipeline, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import express from "express";
import express4 from "express4";
import fastify from "fastify";

import { CircuitBreaker, expressProxy, HttpProxy } from "outrigger";

import { Field, freePort, soon, until } from "./support.mjs";

/** Sends a request; gives its answer with the whole body. */
async function ask(url, path = "/", { method = "GET", headers = {}, body, agent } = {}) {
  const { hostname, port } = new URL(url);
  const request = http.request({ hostname, port, path, method, headers, agent });
  if (body === undefined) request.end();
  else if (typeof body === "string" || Buffer.isBuffer(body)) request.end(body);
  else body.pipe(request);
  const [response] = await soon(once(request, "response"));
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return { status: response.statusCode, message: response.statusMessage, headers: response.headers, raw: response.rawHeaders, text, trailers: response.trailers };
}

/** What stands in for the sidecar: tells what it was asked. */
async function mirror(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  response.setHeader("content-type", "application/json");
  const { method, url, headers, rawHeaders } = request;
  response.end(JSON.stringify({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString() }));
}

/** The proxy in each framework; gives the URL of a server that forwards everything. */
const SERVERS = {
  "node:http": (field, proxy) => field.server((request, response) => proxy.forward(request, response)),
  "Express 5": (field, proxy) => field.server(express().use((request, response) => proxy.forward(request, response))),
  "Express 4": (field, proxy) => field.server(express4().use((request, response) => proxy.forward(request, response))),
  Fastify: async (field, proxy) => {
    const app = fastify();
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_request, _payload, done) => done(null));
    app.all("/*", (request, reply) => {
      reply.hijack();
      return proxy.forward(request.raw, reply.raw);
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    field.later(() => app.close());
    return `http://127.0.0.1:${app.server.address().port}`;
  },
};

for (const [name, serve] of Object.entries(SERVERS)) {
  describe(name, () => {
    test("a request goes on as it came, with what says where it came from", async (t) => {
      const field = new Field(t);
      const url = await serve(field, new HttpProxy({ url: await field.server(mirror) }));
      const { text, status } = await ask(url, "/a%20b/../c?x=1&x=2", {
        method: "PUT",
        body: "hello",
        headers: {
          host: "shop.example",
          "x-one": ["1", "2"],
          "X-CaSe": "kept",
          "x-forwarded-for": "10.0.0.1",
          "x-forwarded-proto": "gopher",
          "x-forwarded-by": "me",
          connection: "keep-alive, x-secret, host",
          "x-secret": "s",
          te: "trailers",
          "proxy-authorization": "p",
          "content-type": "text/plain",
        },
      });
      const asked = JSON.parse(text);
      assert.equal(status, 200);
      assert.deepEqual([asked.method, asked.url, asked.body], ["PUT", "/a%20b/../c?x=1&x=2", "hello"]);
      const { headers, rawHeaders } = asked;
      assert.equal(headers.host, "shop.example");
      assert.ok(rawHeaders.includes("X-CaSe"));
      assert.deepEqual(rawHeaders.flatMap((it, at) => (at % 2 === 0 && it === "x-one" ? [rawHeaders[at + 1]] : [])), ["1", "2"]);
      assert.deepEqual(
        [headers["x-forst-sidecar"], headers["x-forwarded-by"], headers["x-forwarded-for"], headers["x-forwarded-proto"], headers["x-forwarded-host"]],
        ["true", "forst-proxy", "10.0.0.1, 127.0.0.1", "http", "shop.example"],
      );
      assert.equal(headers.forwarded, "for=127.0.0.1;host=shop.example;proto=http");
      assert.deepEqual([headers.te, headers["content-length"], headers["content-type"]], ["trailers", "5", "text/plain"]);
      assert.ok(!("x-secret" in headers) && !("proxy-authorization" in headers));
    });

    test("an answer comes back as it went, with its trailers", async (t) => {
      const field = new Field(t);
      const upstream = await field.server((_, response) => {
        response.writeHead(418, "Short And Stout", [
          ["Set-Cookie", "a=1"],
          ["Set-Cookie", "b=2"],
          ["X-CaSe", "kept"],
          ["Connection", "x-hop"],
          ["X-Hop", "1"],
          ["Trailer", "X-Sum"],
        ]);
        response.write("one");
        response.addTrailers({ "X-Sum": "42" });
        response.end("two");
      });
      const { status, message, headers, raw, text, trailers } = await ask(await serve(field, new HttpProxy({ url: upstream })));
      assert.deepEqual([status, message, text], [418, "Short And Stout", "onetwo"]);
      assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
      assert.ok(raw.includes("X-CaSe") && !("x-hop" in headers));
      assert.deepEqual({ ...trailers }, { "x-sum": "42" });
    });

    test("methods, and answers without a body", async (t) => {
      const field = new Field(t);
      const upstream = await field.server((request, response) => {
        response.setHeader("x-method", request.method);
        response.setHeader("x-length", String(request.headers["content-length"]));
        if (request.url === "/none") response.writeHead(204);
        else if (request.url === "/same") response.writeHead(304, { etag: '"x"' });
        else if (request.method === "HEAD") response.writeHead(200, { "content-length": 1000 });
        response.end();
      });
      const url = await serve(field, new HttpProxy({ url: upstream }));
      assert.equal((await ask(url, "/", { method: "HEAD" })).headers["content-length"], "1000");
      assert.equal((await ask(url, "/none")).status, 204);
      const same = await ask(url, "/same");
      assert.deepEqual([same.status, same.headers.etag], [304, '"x"']);
      for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        const { headers } = await ask(url, "/", { method, headers: method === "DELETE" || method === "OPTIONS" ? {} : { "content-length": 0 } });
        assert.equal(headers["x-method"], method);
      }
    });

    test("both bodies stream, each piece as it comes", async (t) => {
      const field = new Field(t);
      const upstream = await field.server((request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        request.on("data", (chunk) => response.write(`<${chunk}>`)).on("end", () => response.end("done"));
      });
      const url = await serve(field, new HttpProxy({ url: upstream }));
      const request = http.request(url, { method: "POST" });
      request.write("one");
      const [response] = await soon(once(request, "response"));
      assert.equal(String((await soon(once(response, "data")))[0]), "<one>");
      request.write("two");
      assert.equal(String((await soon(once(response, "data")))[0]), "<two>");
      request.end();
      assert.equal(String((await soon(once(response, "data")))[0]), "done");
    });

    test("a client that reads slowly holds the sidecar up", async (t) => {
      const field = new Field(t);
      let written = 0;
      const pieces = function* () {
        const piece = Buffer.alloc(64 * 1024);
        for (let n = 0; n < 2000; n += 1) {
          written += piece.length;
          yield piece;
        }
      };
      const upstream = await field.server((_, response) => pipeline(Readable.from(pieces()), response, () => {}));
      const url = await serve(field, new HttpProxy({ url: upstream }));
      const request = http.get(url);
      const [response] = await soon(once(request, "response"));
      let last = -1;
      await until(async () => {
        last = written;
        await sleep(150);
        return written === last;
      });
      assert.ok(written < 30_000_000, `${written}`);
      response.destroy();
    });

    test("a client that leaves takes its request with it", async (t) => {
      const field = new Field(t);
      let isHeard = false;
      let isGone = false;
      const upstream = await field.server((request, response) => {
        isHeard = true;
        response.on("close", () => (isGone = true));
        if (request.url === "/begun") response.write("x");
      });
      const url = await serve(field, new HttpProxy({ url: upstream }));
      for (const path of ["/waiting", "/begun"]) {
        isHeard = isGone = false;
        const request = http.get(url + path).on("error", () => {});
        if (path === "/begun") await soon(once(request, "response"));
        else await until(() => isHeard);
        request.destroy();
        await until(() => isGone);
      }
    });

    test("an answer that breaks off is not whole for the client either", async (t) => {
      const field = new Field(t);
      const upstream = await field.server((request, response) => {
        if (request.url === "/length") response.writeHead(200, { "content-length": 100 });
        response.write("part");
        setTimeout(() => request.socket.destroy(), 50);
      });
      const url = await serve(field, new HttpProxy({ url: upstream }));
      for (const path of ["/chunked", "/length"]) {
        await assert.rejects(ask(url, path), (error) => error.code === "ECONNRESET");
      }
    });

    test("what fails has the sidecar's own words", async (t) => {
      const field = new Field(t);
      const away = await serve(field, new HttpProxy({ url: `http://127.0.0.1:${await freePort()}` }));
      const told = async (url, options) => {
        const { status, text, headers } = await ask(url, "/", options);
        assert.match(headers["content-type"], /^application\/json/);
        return [status, JSON.parse(text)];
      };
      assert.deepEqual(await told(away), [503, { error: "Sidecar unavailable" }]);
      assert.deepEqual(await told(away, { method: "POST", body: "x" }), [503, { error: "Sidecar unavailable" }]);
      const silent = await serve(field, new HttpProxy({ url: await field.server(() => {}), timeout: 100 }));
      assert.deepEqual(await told(silent), [504, { error: "Gateway timeout" }]);
      const hangsUp = await serve(field, new HttpProxy({ url: await field.server((request) => request.socket.destroy()) }));
      assert.deepEqual(await told(hangsUp), [502, { error: "Bad gateway" }]);
      const babbler = net.createServer((socket) => socket.on("error", () => {}).end("what?\r\n\r\n"));
      babbler.listen(0, "127.0.0.1");
      await once(babbler, "listening");
      field.later(() => babbler.close());
      const broken = await serve(field, new HttpProxy({ url: `http://127.0.0.1:${babbler.address().port}` }));
      assert.deepEqual(await told(broken), [502, { error: "Bad gateway" }]);
    });

    test("after failures nothing is sent for a while, and then one request decides", async (t) => {
      const field = new Field(t);
      const port = await freePort();
      const breaker = new CircuitBreaker({ failures: 2, open: 100 });
      const url = await serve(field, new HttpProxy({ url: `http://127.0.0.1:${port}`, breaker }));
      for (let n = 0; n < 2; n += 1) assert.equal(JSON.parse((await ask(url)).text).error, "Sidecar unavailable");
      const { status, text, headers } = await ask(url);
      assert.deepEqual([status, JSON.parse(text), headers["retry-after"]], [503, { error: "Service temporarily unavailable" }, "1"]);
      const server = http.createServer(mirror).listen(port, "127.0.0.1");
      field.later(() => {
        server.closeAllConnections();
        server.close();
      });
      await until(async () => (await ask(url)).status === 200);
      await until(() => breaker.state === "closed");
    });
  });
}

for (const [name, create] of [
  ["Express 5", express],
  ["Express 4", express4],
]) {
  describe(`the middleware of ${name}`, () => {
    test("routes go where they are registered, and all others stay", async (t) => {
      const field = new Field(t);
      const proxy = expressProxy({ url: await field.server(mirror) });
      proxy.route("/api/search", "/search").route("/same").route("/files/*", "/data/*").route("/posted", undefined, { methods: ["post"] });
      t.after(() => proxy.close());
      const app = create();
      app.use("/mounted", proxy);
      app.use(proxy);
      app.use((request, response) => response.json({ own: request.url }));
      const url = await field.server(app);
      const to = async (path, options) => {
        const answer = JSON.parse((await ask(url, path, options)).text);
        return answer.own === undefined ? answer.url : `own ${answer.own}`;
      };
      assert.equal(await to("/api/search?q=%20"), "/search?q=%20");
      assert.equal(await to("/same"), "/same");
      assert.equal(await to("/files/a/b?c"), "/data/a/b?c");
      assert.equal(await to("/files"), "/data");
      assert.equal(await to("/mounted/api/search"), "/search");
      assert.equal(await to("/posted", { method: "POST" }), "/posted");
      for (const path of ["/", "/api", "/api/search//", "/same/x", "/filesystem", "/files/../private", "/files/%2e%2e/private", "/posted"]) {
        assert.equal(await to(path), `own ${path}`);
      }
      assert.equal(proxy.find("/api/search"), "/search");
      assert.equal(proxy.find("/nothing"), undefined);
      assert.throws(() => proxy.route("nothing"), /slash/);
      assert.throws(() => proxy.route("/a/*", "/b"), /either both/);
    });

    test("where the sidecar is away the next handler answers, and has the whole body", async (t) => {
      const field = new Field(t);
      const app = create();
      app.use(expressProxy({ url: `http://127.0.0.1:${await freePort()}`, fallback: true }).route("/echo"));
      app.post("/echo", create.json(), (request, response) => response.json({ own: request.body }));
      const url = await field.server(app);
      const { text } = await ask(url, "/echo", { method: "POST", body: '{"a":1}', headers: { "content-type": "application/json" } });
      assert.deepEqual(JSON.parse(text), { own: { a: 1 } });
    });

    test("a function as fallback answers itself, but not what may have been done", async (t) => {
      const field = new Field(t);
      const fallback = (error, _request, response) => response.status(200).json({ away: error.code });
      const app = create();
      app.use("/away", expressProxy({ url: `http://127.0.0.1:${await freePort()}`, fallback }).route("/f"));
      app.use("/broken", expressProxy({ url: await field.server((request) => request.socket.destroy()), fallback }).route("/f"));
      const url = await field.server(app);
      assert.deepEqual(JSON.parse((await ask(url, "/away/f")).text), { away: "sidecar_unavailable" });
      assert.equal((await ask(url, "/broken/f")).status, 502);
    });

    test("a body that was read before is sent on all the same", async (t) => {
      const field = new Field(t);
      const app = create();
      app.use(create.json(), create.urlencoded({ extended: false }), create.text({ type: "text/plain" }), create.raw({ type: "image/*" }));
      app.use(expressProxy({ url: await field.server(mirror) }).route("/f"));
      const url = await field.server(app);
      for (const [type, body] of [
        ["application/json", '{"a":"ä"}'],
        ["application/x-www-form-urlencoded", "a=1&b=2"],
        ["text/plain", "text"],
        ["image/png", "bytes"],
      ]) {
        const asked = JSON.parse((await ask(url, "/f", { method: "POST", body, headers: { "content-type": type } })).text);
        assert.deepEqual([asked.body, asked.headers["content-length"]], [body, String(Buffer.byteLength(body))]);
      }
    });

    test("whom Express trusts is believed", async (t) => {
      const field = new Field(t);
      const app = create().set("trust proxy", "loopback");
      app.use(expressProxy({ url: await field.server(mirror) }).route("/f"));
      const headers = { "x-forwarded-proto": "https", "x-forwarded-host": "public.example" };
      const asked = JSON.parse((await ask(await field.server(app), "/f", { headers })).text);
      assert.deepEqual([asked.headers["x-forwarded-proto"], asked.headers["x-forwarded-host"]], ["https", "public.example"]);
    });

    test("the routes of all functions are found at the sidecar itself", async (t) => {
      const field = new Field(t);
      await field.handlers();
      const port = await freePort();
      const app = create();
      const proxy = expressProxy({ url: `http://127.0.0.1:${port}`, auto: { prefix: "/api" } });
      app.use(proxy);
      app.use((_, response) => response.status(404).end("own"));
      const url = await field.server(app);
      const order = { method: "POST", body: '{"items":[{"price":2,"count":3}]}', headers: { "content-type": "application/json" } };
      assert.equal((await ask(url, "/api/price-order", order)).text, "own");
      await field.sidecar({ port });
      await until(async () => (await ask(url, "/api/price-order", order)).text === '{"total":6,"lines":1}\n');
      assert.equal((await ask(url, "/api/price-order")).text, "own");
      assert.equal(proxy.find("/api/echo"), "/echo");
      const eager = expressProxy({ url: `http://127.0.0.1:${port}` });
      assert.ok((await eager.discover()).some(([from]) => from === "/price-order"));
    });
  });
}

test("a function behind the middleware of a plain server answers, and says what does not fit", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const sidecar = await field.sidecar();
  const proxy = expressProxy({ url: sidecar.url }).route("/price", "/price-order");
  const url = await field.server((request, response) => proxy(request, response, () => response.writeHead(404).end("own")));
  const post = (body) => ask(url, "/price", { method: "POST", body, headers: { "content-type": "application/json" } });
  assert.deepEqual(JSON.parse((await post('{"items":[{"price":2,"count":3}]}')).text), { total: 6, lines: 1 });
  const wrong = await post('{"items":[{"price":2}]}');
  assert.deepEqual([wrong.status, JSON.parse(wrong.text).errors[0].path], [400, "items[0].count"]);
  assert.equal((await ask(url, "/other")).text, "own");
});

test("a connection that was kept and has been closed is no failure for what may be done twice", async (t) => {
  const field = new Field(t);
  let count = 0;
  const upstream = await field.server((request, response) => {
    count += 1;
    if (count === 2) return void request.socket.destroy();
    response.end("ok");
  });
  const breaker = new CircuitBreaker({ failures: 1 });
  const proxy = new HttpProxy({ url: upstream, breaker });
  const url = await field.server((request, response) => proxy.forward(request, response));
  assert.equal((await ask(url)).text, "ok");
  assert.equal((await ask(url)).text, "ok");
  assert.equal(count, 3);
});

test("a request for a sidecar that is not there yet is tried again with its body", async (t) => {
  const field = new Field(t);
  const port = await freePort();
  const proxy = new HttpProxy({ url: `http://127.0.0.1:${port}`, retry: { attempts: 20, backoff: 10, budget: { least: 100 } } });
  const url = await field.server((request, response) => proxy.forward(request, response));
  const answer = ask(url, "/", { method: "POST", body: "kept" });
  await sleep(50);
  const server = http.createServer(mirror).listen(port, "127.0.0.1");
  field.later(() => {
    server.closeAllConnections();
    server.close();
  });
  assert.equal(JSON.parse((await answer).text).body, "kept");
});

test("what is wrong with one request ends no server", async (t) => {
  const field = new Field(t);
  const proxy = new HttpProxy({ url: await field.server(mirror) });
  const url = await field.server((request, response) => {
    if (request.url !== "/read") return proxy.forward(request, response);
    request.resume().on("end", () => proxy.forward(request, response));
  });
  const raw = async (target) => {
    const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const chunks = [];
    for await (const chunk of socket) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  assert.match(await raw("http://[x/a?b"), /"url":"\/a\?b"/);
  assert.match(await raw("http://a.example?b"), /"url":"\/\?b"/);
  assert.match(await raw("gopher://x"), /^HTTP\/1.1 400 /);
  const warned = soon(once(process, "warning"));
  assert.equal((await ask(url, "/read", { method: "POST", body: "x" })).status, 500);
  assert.match((await warned)[0].message, /was read before the proxy got it/);
  assert.equal((await ask(url)).status, 200);
});

test("hints come before the answer", async (t) => {
  const field = new Field(t);
  const upstream = await field.server((_, response) => {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    response.end("ok");
  });
  const proxy = new HttpProxy({ url: upstream });
  const url = await field.server((request, response) => proxy.forward(request, response));
  const request = http.get(url);
  const [[info], [response]] = await soon(Promise.all([once(request, "information"), once(request, "response")]));
  assert.deepEqual([info.statusCode, info.headers.link], [103, "</a.css>; rel=preload"]);
  response.resume();
});
