/** Answers that come before a body is sent: they are told, and what happens to the connection afterwards harms nobody. */

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { test } from "node:test";
import { Readable } from "node:stream";

import express from "express";
import { expressProxy, HttpProxy, SidecarClient } from "outrigger";

import { Field, soon, until } from "./support.mjs";

const LARGE = "x".repeat(12_000_000);
const JSON_TYPE = { "content-type": "application/json" };
const TOO_LARGE = '{"success":false,"error":"too large","code":"too_large"}\n';

/**
 * A server that refuses at the head of a request, says no more and reads no more; gives its URL, and what it sees. It says first that it takes
 * the body, or else waits to be asked.
 */
async function refuser(field, first = "HTTP/1.1 100 Continue\r\n\r\n") {
  const [peers, heads] = [[], []];
  const server = net.createServer((peer) => {
    peers.push(peer.on("error", () => {}));
    peer.once("data", (chunk) => {
      heads.push(chunk.toString("latin1").split("\r\n\r\n")[0]);
      peer.write(first);
      peer.pause().end(`HTTP/1.1 413 Payload Too Large\r\nContent-Type: application/json\r\nContent-Length: ${TOO_LARGE.length}\r\n\r\n${TOO_LARGE}`);
    });
  });
  return { url: await field.server(server), peers, heads };
}

/** Resets a connection to `url`, and waits until whoever had it has seen that. */
async function reset(url, peer) {
  peer.resetAndDestroy();
  await until(() => connections(url).length === 0);
}

/** The connections that this process has to a server. */
const connections = (url) => process._getActiveHandles().filter((it) => it instanceof net.Socket && it.remotePort === Number(new URL(url).port));

/** What Express answers to a body. */
async function post(url, body) {
  const response = await soon(fetch(url, { method: "POST", headers: JSON_TYPE, body }));
  return [response.status, await response.text()];
}

test("a call that is too large is refused over HTTP as what it is, however often it is made", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const { url } = await field.sidecar();
  const client = new SidecarClient({ mode: "http", url });
  t.after(() => client.close());
  for (let n = 0; n < 10; n += 1) {
    await assert.rejects(client.call("echo", [LARGE]), (error) => error.code === "too_large" && error.status === 413);
    assert.equal(await client.call("echo", [n]), n);
  }
  const pieces = () => Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(100_000)));
  await assert.rejects(client.upload("echo", pieces()), (error) => error.status === 415);
});

test("a body that is refused before it is sent is never sent", async (t) => {
  const field = new Field(t);
  const { url, heads, peers } = await refuser(field, "");
  const client = new SidecarClient({ mode: "http", url });
  await assert.rejects(client.call("echo", [LARGE]), (error) => error.code === "too_large");
  assert.match(heads[0], /expect: 100-continue/i);
  await until(() => peers[0].closed || peers[0].resume());
  assert.ok(peers[0].bytesRead < 1000, `${peers[0].bytesRead}`);
});

test("a connection that breaks after a refusal, with the body half sent, ends no process", async (t) => {
  const field = new Field(t);
  const { url, peers } = await refuser(field);
  const client = new SidecarClient({ mode: "http", url });
  for (let n = 0; n < 3; n += 1) {
    await assert.rejects(client.call("echo", [LARGE]), (error) => error.code === "too_large");
    await reset(url, peers[n]);
  }
  const app = express();
  app.use("/read", express.json({ limit: "50mb", strict: false }));
  app.use("/read", expressProxy({ url }).route("/f"));
  app.use("/streamed", expressProxy({ url }).route("/f"));
  const own = await field.server(app);
  for (const path of ["/read/f", "/streamed/f"]) {
    assert.deepEqual(await post(own + path, JSON.stringify(LARGE)), [413, TOO_LARGE]);
    await reset(url, peers.at(-1));
  }
});

test("a service that does not know `Expect` is not asked by the proxy", async (t) => {
  const field = new Field(t);
  const heads = [];
  const answer = (request, response) => {
    heads.push(request.headers);
    request.resume().on("end", () => response.end("taken"));
  };
  const url = await field.server(http.createServer(answer).on("checkContinue", answer));
  const app = express();
  app.use("/read", express.json({ limit: "50mb", strict: false }));
  app.use(["/read", "/streamed"], expressProxy({ url }).route("/f"));
  const own = await field.server(app);
  for (const path of ["/read/f", "/streamed/f"]) {
    assert.deepEqual(await post(own + path, JSON.stringify(LARGE)), [200, "taken"]);
    assert.equal(heads.at(-1).expect, undefined);
  }
});

test("what the sidecar refuses is passed on, and it takes the next request", async (t) => {
  const field = new Field(t);
  await field.handlers();
  const { url } = await field.sidecar();
  const app = express();
  app.use("/read", express.json({ limit: "50mb", strict: false }));
  app.use(["/read", "/streamed"], expressProxy({ url }).route("/echo"));
  const own = await field.server(app);
  for (let n = 0; n < 20; n += 1) {
    const path = n % 2 === 0 ? "/read/echo" : "/streamed/echo";
    const [status, text] = await post(own + path, JSON.stringify(LARGE));
    assert.deepEqual([status, JSON.parse(text).code], [413, "too_large"]);
    assert.deepEqual(await post(own + path, "1"), [200, "1\n"]);
  }
});

/** A service behind a sidecar that says no at the head of whatever comes, and an app in front of both; gives the URLs of the last two. */
async function strict(field) {
  const service = await field.server((request, response) => {
    if (request.method === "GET") return response.end("yes");
    response.writeHead(401, { "content-type": "text/plain" }).end("no");
  });
  const { url } = await field.sidecar({ calls: `  upstreams: { strict: { urls: [ "${service}" ] } }\n  routes: [ { prefix: /up, upstream: strict } ]` });
  const app = express().use(expressProxy({ url }).route("/up/*"));
  return { sidecar: url, app: await field.server(app) };
}

/** The beginning of an upload that has more to come, and its answer. */
async function upload(url, agent) {
  const request = http.request(`${url}/up/load`, { method: "POST", agent, headers: { "content-length": 30_000_000 } });
  request.on("error", () => {}).write(Buffer.alloc(1_000_000));
  const [response] = await soon(once(request, "response"));
  response.setEncoding("utf8");
  let text = "";
  for await (const piece of response) text += piece;
  assert.deepEqual([response.statusCode, text], [401, "no"]);
  return request;
}

test("an answer to an upload that is not over leaves no connection behind, whether its client goes or stays", async (t) => {
  const field = new Field(t);
  const { sidecar, app } = await strict(field);
  for (let n = 0; n < 5; n += 1) {
    const request = await upload(app, false);
    if (n % 2 === 0) request.destroy();
    else t.after(() => request.destroy());
    await until(() => connections(sidecar).length === 0, "a connection is left");
  }
});

test("a client that goes on sending after the answer is read to its end, and its connection takes the next request", async (t) => {
  const field = new Field(t);
  const { app } = await strict(field);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const request = await upload(app, agent);
  request.end(Buffer.alloc(29_000_000));
  await soon(once(request, "close"), () => "the rest of the upload is not read");
  const next = http.get(`${app}/up/load`, { agent });
  const [{ statusCode }] = await soon(once(next, "response"));
  assert.deepEqual([statusCode, next.reusedSocket], [200, true]);
});

test("an app that has answered by itself meanwhile is not answered for", async (t) => {
  const field = new Field(t);
  let answer;
  const slow = await field.server((_, response) => (answer = () => response.end("late")));
  const proxy = new HttpProxy({ url: slow });
  const url = await field.server((request, response) => {
    proxy.forward(request, response);
    until(() => answer).then(() => response.write("own"));
  });
  const request = http.get(url);
  const [response] = await soon(once(request, "response"));
  answer();
  await until(() => connections(slow).length === 0, "the request is not taken back");
  assert.equal(String(response.read()), "own");
  response.destroy();
});
