/** The sidecar behind TLS, with an authority of one's own; tokens and certificates of callers; what streams through it. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import { after, before, test } from "node:test";

import { CallError, expressProxy, HttpProxy, SidecarClient, UnavailableError } from "outrigger";
import { WebSocket, WebSocketServer } from "ws";

import { collect, Field, soon } from "./support.mjs";

const ORDER = { items: [{ price: 4.5, count: 2 }] };
const field = new Field();
const read = (name) => fs.readFileSync(field.path(name));
let sidecar;

/** A key, and a certificate that the authority `by` has signed. */
function certify(name, by, extension) {
  const openssl = (...words) => execFileSync("openssl", words, { cwd: field.folder, stdio: "pipe" });
  openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
  field.put("extension", extension);
  const signer = by === undefined ? ["-signkey", `${name}.key`] : ["-CA", `${by}.pem`, "-CAkey", `${by}.key`, "-CAcreateserial"];
  openssl("x509", "-req", "-in", `${name}.csr`, ...signer, "-days", "2", "-extfile", "extension", "-out", `${name}.pem`);
}

before(async () => {
  for (const authority of ["authority", "callers"]) certify(authority, undefined, "basicConstraints=critical,CA:true");
  certify("server", "authority", "subjectAltName=IP:127.0.0.1,DNS:sidecar.example");
  certify("caller", "callers", "extendedKeyUsage=clientAuth");
  certify("stranger", "authority", "extendedKeyUsage=clientAuth");
  await field.handlers();
  const upstream = http.createServer(async (request, response) => {
    response.writeHead(200, { trailer: "x-sum", "x-auth": String(request.headers.authorization) });
    let size = 0;
    for await (const chunk of request) {
      size += chunk.length;
      response.write(chunk);
    }
    response.addTrailers({ "x-sum": String(size), "x-sent": String(request.trailers["x-sent"]) });
    response.end();
  });
  const sockets = new WebSocketServer({ server: upstream });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  const at = await field.server(upstream);
  sidecar = await field.sidecar({
    listen: ', "https://127.0.0.1:0"',
    calls: `  tls: { cert: server.pem, key: server.key }
  auth: { token: sesame, client_ca: callers.pem }
  upstreams: { it: { urls: [ "${at}" ] } }
  routes: [ { prefix: /up, upstream: it } ]`,
  });
});
after(() => field.end());

/** The settings for TLS; `name` is whose certificate is shown. */
const tls = (name) => ({ ca: read("authority.pem"), ...(name && { cert: read(`${name}.pem`), key: read(`${name}.key`) }) });

function open(t, options) {
  const client = new SidecarClient({ mode: "http", url: sidecar.secure, ...options });
  t.after(() => soon(client.close()));
  return client;
}

test("calls and streams go over TLS to whoever has the token, or a certificate", async (t) => {
  for (const options of [{ tls: tls(), token: "sesame" }, { tls: tls("caller") }]) {
    const client = open(t, options);
    assert.deepEqual(await client.call("shop/priceOrder", [ORDER]), { total: 9, lines: 1 });
    const many = Array.from({ length: 50 }, (_, n) => n);
    assert.deepEqual(await Promise.all(many.map((n) => client.call("echo", [n]))), many);
    const stream = client.stream("count", [3]);
    assert.deepEqual([await collect(stream), await stream.result], [[1, 2, 3], { counted: 3 }]);
    assert.ok((await client.functions()).length > 5);
    const controller = new AbortController();
    const call = client.call("gated", [1], { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(call, /enough/);
  }
});

test("a caller without either is refused, and is told what it wants", async (t) => {
  for (const options of [{ tls: tls() }, { tls: tls(), token: "wrong" }]) {
    await assert.rejects(open(t, options).call("echo", [1]), (error) => error instanceof CallError && error.status === 401 && /`token`/.test(error.message));
  }
  // Of another authority: the handshake fails, or nobody is let in.
  await assert.rejects(open(t, { tls: tls("stranger"), retry: { attempts: 1 } }).call("echo", [1]), CallError);
});

test("a sidecar that cannot prove who it is gets nothing, and the error says why", async (t) => {
  for (const [settings, why] of [
    [undefined, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN/],
    [{ ca: read("callers.pem") }, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN/],
    [{ ca: read("authority.pem"), servername: "other.example" }, /ERR_TLS_CERT_ALTNAME_INVALID/],
  ]) {
    const client = open(t, { tls: settings, token: "sesame", retry: { attempts: 1 } });
    await assert.rejects(client.call("echo", [1]), (error) => error instanceof UnavailableError && error.code === "sidecar_unavailable" && why.test(error.message) && /`ca`/.test(error.message));
  }
  assert.equal(await open(t, { tls: { ...tls(), servername: "sidecar.example" }, token: "sesame" }).call("echo", [1]), 1);
});

for (const [name, options] of [
  ["a token", () => ({ tls: tls(), token: "sesame" })],
  ["a certificate", () => ({ tls: tls("caller") })],
]) {
  test(`requests, trailers and WebSockets are forwarded over TLS with ${name}`, async (t) => {
    const own = new Field(t);
    const proxy = new HttpProxy({ url: sidecar.secure, ...options() });
    const middleware = expressProxy({ url: sidecar.secure, ...options(), auto: true });
    t.after(() => middleware.close());
    const server = http.createServer((request, response) =>
      request.url === "/up" ? proxy.forward(request, response) : middleware(request, response, () => response.writeHead(404).end()),
    );
    server.on("upgrade", proxy.upgrade);
    const url = await own.server(server);

    const request = http.request(`${url}/up`, { method: "POST", headers: { trailer: "x-sent", authorization: "Basic of-the-client" } });
    const piece = Buffer.alloc(100_000);
    for (let n = 0; n < 20; n += 1) request.write(piece);
    request.addTrailers({ "x-sent": "yes" });
    request.end();
    const [response] = await soon(once(request, "response"));
    let size = 0;
    for await (const chunk of response) size += chunk.length;
    assert.equal(size, 2_000_000);
    assert.deepEqual({ ...response.trailers }, { "x-sum": "2000000", "x-sent": "yes" });
    // The token is for the sidecar, and goes no further.
    assert.equal(response.headers["x-auth"], name === "a token" ? "undefined" : "Basic of-the-client");

    const answer = await fetch(`${url}/price-order`, { method: "POST", body: JSON.stringify(ORDER), headers: { "content-type": "application/json" } });
    assert.deepEqual(await answer.json(), { total: 9, lines: 1 });

    const socket = new WebSocket(`${url.replace("http", "ws")}/up`);
    t.after(() => socket.terminate());
    await soon(once(socket, "open"));
    socket.send("through");
    assert.equal(String((await soon(once(socket, "message")))[0]), "through");
  });
}

test("a proxy whose sidecar cannot prove who it is says 503", async (t) => {
  const own = new Field(t);
  const proxy = new HttpProxy({ url: sidecar.secure, token: "sesame" });
  const server = http.createServer((request, response) => proxy.forward(request, response)).on("upgrade", proxy.upgrade);
  const url = await own.server(server);
  assert.equal((await fetch(url, { method: "POST", body: "x" })).status, 503);
  const [error] = await soon(once(new WebSocket(url.replace("http", "ws")), "error"));
  assert.match(error.message, /503/);
});
