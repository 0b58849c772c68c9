/** WebSockets: from a client through a Node server, through the real sidecar, to a server of WebSockets, and back. */

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { test } from "node:test";

import express from "express";
import express4 from "express4";
import fastify from "fastify";
import { expressProxy, HttpProxy } from "outrigger";
import { WebSocket, WebSocketServer } from "ws";

import { Field, freePort, soon, until } from "./support.mjs";

/** A server of WebSockets; `meet` gets each that comes. */
async function sockets(field, meet, options = {}) {
  const server = http.createServer((_, response) => response.writeHead(418, "Short And Stout").end("no WebSocket"));
  const all = new WebSocketServer({ server, ...options });
  all.on("connection", (socket, request) => {
    socket.on("error", () => {});
    meet(socket, request);
  });
  field.later(() => all.clients.forEach((it) => it.terminate()));
  return { url: await field.server(server), all };
}

const echo = (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));

/** A sidecar that sends `/ws` to a server of WebSockets. */
const sidecar = (field, upstream, settings = "") =>
  field.sidecar({ calls: `  upstreams: { it: { urls: [ "${upstream}" ]${settings} } }\n  routes: [ { prefix: /ws, upstream: it } ]` });

/** A server whose WebSockets the proxy gets. */
async function front(field, proxy, server = http.createServer((_, response) => response.end("plain"))) {
  server.on("upgrade", proxy.upgrade);
  return field.server(server);
}

/** A WebSocket that is open. */
async function open(t, url, path = "/ws", options = {}) {
  const socket = new WebSocket(url.replace("http", "ws") + path, options);
  t.after(() => socket.terminate());
  await soon(once(socket, "open"));
  return socket;
}

/** What is answered to the first request of a WebSocket; the connection has to end with it. */
async function refused(url, path = "/ws", lines = "") {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  let text = "";
  socket.on("data", (chunk) => (text += chunk));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${lines}\r\n`);
  await soon(once(socket, "close"));
  const [head, ...body] = text.split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), head, body: body.join("\r\n\r\n") };
}

const KEY = crypto.randomBytes(16).toString("base64");

const FRONTS = {
  "node:http": (field, proxy) => front(field, proxy),
  "Express 5": (field, proxy) => front(field, proxy, http.createServer(express().use(proxy))),
  "Express 4": (field, proxy) => front(field, proxy, http.createServer(express4().use(proxy))),
  Fastify: async (field, proxy) => {
    const app = fastify();
    app.server.on("upgrade", proxy.upgrade);
    await app.listen({ port: 0, host: "127.0.0.1" });
    const connections = [];
    app.server.on("connection", (socket) => connections.push(socket));
    field.later(async () => {
      connections.forEach((socket) => socket.destroy());
      await app.close();
    });
    return `http://127.0.0.1:${app.server.address().port}`;
  },
};

for (const [name, serve] of Object.entries(FRONTS)) {
  test(`words and bytes go both ways through ${name}, in their order`, async (t) => {
    const field = new Field(t);
    const { url: upstream } = await sockets(field, echo);
    const proxy = expressProxy({ url: (await sidecar(field, upstream)).url }).route("/live/*", "/ws/*");
    const socket = await open(t, await serve(field, proxy), "/live/room?x=1");
    const seen = [];
    socket.on("message", (data, isBinary) => seen.push(isBinary ? data.length : String(data)));
    for (let n = 0; n < 100; n += 1) {
      socket.send(`ä${n}`);
      socket.send(Buffer.alloc(n * 1000));
    }
    await until(() => seen.length === 200);
    assert.deepEqual(seen, Array.from({ length: 200 }, (_, at) => (at % 2 === 0 ? `ä${at / 2}` : ((at - 1) / 2) * 1000)));
  });
}

test("the first request goes on as it came, and its answer comes back", async (t) => {
  const field = new Field(t);
  let asked;
  const handleProtocols = (protocols) => [...protocols].at(-1);
  const { url: upstream, all } = await sockets(field, (_, request) => (asked = request), { handleProtocols });
  all.on("headers", (headers) => headers.push("Set-Cookie: a=1", "Set-Cookie: b=2"));
  const proxy = new HttpProxy({ url: (await sidecar(field, upstream)).url, headers: { "x-own": "1" } });
  const url = await front(field, proxy);
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws/a%20b?x=%2F`, ["one", "two"], { headers: { Cookie: "c=3", Authorization: "Basic x" }, origin: "https://shop.example" });
  t.after(() => socket.terminate());
  const [[answer]] = await soon(Promise.all([once(socket, "upgrade"), once(socket, "open")]));
  const { headers } = asked;
  assert.equal(asked.url, "/ws/a%20b?x=%2F");
  assert.deepEqual([headers.cookie, headers.authorization, headers.origin, headers["x-own"]], ["c=3", "Basic x", "https://shop.example", "1"]);
  assert.equal(headers["x-forwarded-for"].split(", ")[0], "127.0.0.1");
  assert.equal(headers["x-forwarded-host"], new URL(url).host);
  assert.equal(socket.protocol, "two");
  assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
});

test("words that come with the first request, or with its answer, are not lost", async (t) => {
  const field = new Field(t);
  const { url: upstream } = await sockets(field, (socket) => {
    socket.send("welcome");
    echo(socket);
  });
  const url = await front(field, new HttpProxy({ url: (await sidecar(field, upstream)).url }));
  const { port } = new URL(url);
  const socket = net.connect(Number(port), "127.0.0.1");
  t.after(() => socket.destroy());
  const masked = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]); // "hi"
  const head = `GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;
  socket.write(Buffer.concat([Buffer.from(head), masked]));
  let heard = Buffer.alloc(0);
  socket.on("data", (chunk) => (heard = Buffer.concat([heard, chunk])));
  await until(() => heard.includes(Buffer.from("\x81\x07welcome\x81\x02hi", "latin1")));
});

test("either end closes, and the other one hears how", async (t) => {
  const field = new Field(t);
  const met = [];
  const { url: upstream } = await sockets(field, (socket) => met.push(socket));
  const proxy = new HttpProxy({ url: (await sidecar(field, upstream)).url });
  const url = await front(field, proxy);

  const first = await open(t, url);
  await until(() => met.length === 1);
  first.close(4001, "enough");
  const [[code, reason]] = await soon(Promise.all([once(met[0], "close"), once(first, "close")]));
  assert.deepEqual([code, String(reason)], [4001, "enough"]);

  const second = await open(t, url);
  await until(() => met.length === 2);
  met[1].close(4002, "gone home");
  const [code2, reason2] = await soon(once(second, "close"));
  assert.deepEqual([code2, String(reason2)], [4002, "gone home"]);

  // Without a word: the connection falls.
  const third = await open(t, url);
  await until(() => met.length === 3);
  third.terminate();
  assert.equal((await soon(once(met[2], "close")))[0], 1006);
  const fourth = await open(t, url);
  await until(() => met.length === 4);
  met[3].terminate();
  assert.equal((await soon(once(fourth, "close")))[0], 1006);
});

test("upgrade settles when both connections are closed", async (t) => {
  const field = new Field(t);
  const { url: upstream } = await sockets(field, echo);
  const proxy = new HttpProxy({ url: (await sidecar(field, upstream)).url });
  let over;
  const server = http.createServer().on("upgrade", (request, socket, head) => {
    over = proxy.upgrade(request, socket, head, { path: "/ws" });
  });
  const socket = await open(t, await field.server(server), "/anything");
  let isOver = false;
  over.then(() => (isOver = true));
  socket.send("x");
  await soon(once(socket, "message"));
  assert.equal(isOver, false);
  socket.close();
  await soon(over);
});

test("an end that reads slowly holds the other one up", async (t) => {
  const field = new Field(t);
  let flooding;
  const { url: upstream } = await sockets(field, (socket) => (flooding = socket));
  const socket = await open(t, await front(field, new HttpProxy({ url: (await sidecar(field, upstream)).url })));
  await until(() => flooding !== undefined);
  socket.pause();
  const piece = Buffer.alloc(64 * 1024);
  for (let n = 0; n < 1600; n += 1) flooding.send(piece); // 100 MiB
  let last = -1;
  await until(async () => {
    last = flooding.bufferedAmount;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return flooding.bufferedAmount === last;
  });
  assert.ok(last > 70_000_000, `${last} of 104857600 bytes wait`);
  let size = 0;
  socket.on("message", (data) => (size += data.length));
  socket.resume();
  await until(() => size === 1600 * piece.length);
});

test("a sidecar that is away is told on the connection itself, and a server goes on", async (t) => {
  const field = new Field(t);
  const proxy = new HttpProxy({ url: `http://127.0.0.1:${await freePort()}`, breaker: { failures: 3 } });
  const url = await front(field, proxy);
  for (let n = 0; n < 3; n += 1) {
    const { status, head, body } = await refused(url);
    assert.deepEqual([status, JSON.parse(body)], [503, { error: "Sidecar unavailable" }]);
    assert.match(head, /\r\nConnection: close\r\nContent-Type: application\/json\r\nContent-Length: \d+$/);
  }
  const open = await refused(url);
  assert.deepEqual([open.status, JSON.parse(open.body)], [503, { error: "Service temporarily unavailable" }]);
  assert.match(open.head, /\r\nRetry-After: 60\r\n/);
  assert.equal(await (await fetch(url)).text(), "plain");
  const [error] = await soon(once(new WebSocket(`${url.replace("http", "ws")}/ws`), "error"));
  assert.match(error.message, /503/);
});

test("what is behind the sidecar and is away, or says no, answers through it", async (t) => {
  const field = new Field(t);
  const away = await front(field, new HttpProxy({ url: (await sidecar(field, `http://127.0.0.1:${await freePort()}`)).url }));
  const told = await refused(away);
  assert.deepEqual([told.status, JSON.parse(told.body)], [503, { error: "Sidecar unavailable" }]);
  assert.equal((await refused(away, "/nowhere")).status, 404);

  const another = new Field(t);
  const { url: upstream } = await sockets(another, echo, { verifyClient: (_, decide) => decide(false, 403, "not you", { "X-Why": "because" }) });
  const url = await front(another, new HttpProxy({ url: (await sidecar(another, upstream)).url }));
  const no = await refused(url);
  assert.deepEqual([no.status, no.body], [403, "not you"]);
  assert.match(no.head, /\r\nX-Why: because/);
});

test("a refusal without a length is whole, or breaks off", async (t) => {
  const field = new Field(t);
  const upstream = await field.server(
    http.createServer().on("upgrade", (request, socket) => {
      socket.on("error", () => {});
      socket.write("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nfirst\r\n");
      setTimeout(() => (request.url === "/broken" ? socket.destroy() : socket.end("6\r\nsecond\r\n0\r\n\r\n")), 20);
    }),
  );
  const url = await front(field, new HttpProxy({ url: upstream }));
  assert.equal((await refused(url)).body, "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n");
  const broken = await refused(url, "/broken");
  assert.deepEqual([broken.status, broken.body], [403, "5\r\nfirst\r\n"]);
});

test("no answer in time, none at all, and one that is none", async (t) => {
  const field = new Field(t);
  const raw = async (meet) => {
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      meet(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    field.later(() => server.close());
    return `http://127.0.0.1:${server.address().port}`;
  };
  const answered = async (meet, options) => {
    const { status, body } = await refused(await front(field, new HttpProxy({ url: await raw(meet), ...options })));
    return [status, JSON.parse(body).error];
  };
  assert.deepEqual(await answered((socket) => field.later(() => socket.destroy()), { timeout: 100 }), [504, "Gateway timeout"]);
  assert.deepEqual(await answered((socket) => socket.destroy()), [502, "Bad gateway"]);
  assert.deepEqual(await answered((socket) => socket.end("what?\r\n\r\n")), [502, "Bad gateway"]);
  const other = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
  assert.deepEqual(await answered((socket) => socket.write(other)), [502, "Bad gateway"]);
});

test("a client that leaves before the answer takes its request with it", async (t) => {
  const field = new Field(t);
  let isHeard = false;
  let isGone = false;
  const upstream = await field.server(
    http.createServer().on("upgrade", (_, socket) => {
      isHeard = true;
      socket.on("error", () => {}).on("close", () => (isGone = true));
      socket.on("end", () => socket.end()).resume();
    }),
  );
  const url = await front(field, new HttpProxy({ url: upstream }));
  for (const leave of ["end", "resetAndDestroy"]) {
    isHeard = isGone = false;
    const client = http.get(`${url}/ws`, { headers: { connection: "Upgrade", upgrade: "websocket" } }).on("error", () => {});
    await until(() => isHeard);
    client.socket[leave]();
    await until(() => isGone);
  }
});

test("a connection that is reset takes only itself with it", async (t) => {
  const field = new Field(t);
  const peers = [];
  const upstream = await field.server(
    http.createServer().on("upgrade", (_, socket) => {
      peers.push(socket.on("error", () => {}));
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      socket.on("data", (chunk) => socket.write(chunk)).on("end", () => socket.end());
    }),
  );
  const url = await front(field, new HttpProxy({ url: upstream }));
  let heard = "";
  const begin = async () => {
    const client = http.get(`${url}/ws`, { headers: { connection: "Upgrade", upgrade: "websocket" } });
    const [, socket] = await soon(once(client, "upgrade"));
    return socket.on("error", () => {}).on("data", (chunk) => (heard += chunk));
  };
  const [one, two, three] = [await begin(), await begin(), await begin()];
  three.write("x");
  one.resetAndDestroy();
  await soon(once(peers[0], "close"));
  peers[1].resetAndDestroy();
  await soon(once(two, "close"));
  three.write("y");
  await until(() => heard === "xy");
  // One direction may end, and the other one goes on.
  three.end("z");
  await until(() => heard === "xyz");
});

test("what is no WebSocket is refused, and asks nobody", async (t) => {
  const field = new Field(t);
  let isAsked = false;
  const upstream = await field.server(() => (isAsked = true));
  const url = await front(field, new HttpProxy({ url: upstream }));
  const { hostname, port } = new URL(url);
  for (const [start, lines, status] of [
    ["GET /ws", "Upgrade: h2c", 501],
    ["POST /ws", "Upgrade: websocket", 400],
    ["GET /ws", "Upgrade: websocket\r\nContent-Length: 3", 400],
    ["GET /ws", "Upgrade: websocket\r\nTransfer-Encoding: chunked", 400],
  ]) {
    const socket = net.connect(Number(port), hostname);
    socket.write(`${start} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${lines}\r\n\r\n`);
    const [answer] = await soon(once(socket, "data"));
    assert.equal(Number(String(answer).split(" ")[1]), status, lines);
    socket.destroy();
  }
  assert.equal(isAsked, false);
});

test("a path without a route is left to others, and answered where there are none", async (t) => {
  const field = new Field(t);
  const { url: upstream } = await sockets(field, echo);
  const proxy = expressProxy({ url: (await sidecar(field, upstream)).url }).route("/live", "/ws");
  const alone = await refused(await front(field, proxy), "/other");
  assert.deepEqual([alone.status, JSON.parse(alone.body)], [404, { error: "no WebSocket is here" }]);

  const own = new WebSocketServer({ noServer: true });
  own.on("connection", (socket) => socket.send("own"));
  const take = (request, socket, head) => own.handleUpgrade(request, socket, head, (it) => own.emit("connection", it));
  const beside = http.createServer().on("upgrade", (request, socket, head) => request.url === "/own" && take(request, socket, head));
  const url = await front(field, proxy, beside);
  const after = await field.server(http.createServer().on("upgrade", (...words) => proxy.upgrade(...words, () => take(...words))));
  for (const place of [url, after]) {
    const one = new WebSocket(`${place.replace("http", "ws")}/own`);
    t.after(() => one.terminate());
    assert.equal(String((await soon(once(one, "message")))[0]), "own");
    const two = await open(t, place, "/live");
    two.send("moved");
    assert.equal(String((await soon(once(two, "message")))[0]), "moved");
  }
});

test("where the sidecar is away a server's own WebSockets stand in", async (t) => {
  const field = new Field(t);
  const own = new WebSocketServer({ noServer: true });
  own.on("connection", echo);
  const take = (request, socket, head) => own.handleUpgrade(request, socket, head, (it) => own.emit("connection", it));
  const url = `http://127.0.0.1:${await freePort()}`;
  const routed = expressProxy({ url, fallback: true }).route("/live");
  const whole = new HttpProxy({ url });
  for (const upgrade of [
    (...words) => routed.upgrade(...words, () => take(...words)),
    (request, socket, head) => whole.upgrade(request, socket, head, { fallback: (_, ...words) => take(...words) }),
  ]) {
    const socket = await open(t, await field.server(http.createServer().on("upgrade", upgrade)), "/live");
    socket.send("still here");
    assert.equal(String((await soon(once(socket, "message")))[0]), "still here");
    socket.close();
  }
  assert.equal((await refused(await front(field, routed), "/live")).status, 503);
});
