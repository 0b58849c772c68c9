/** Heads and hints that Node reads but would not write end no server; hints and trailers pass. */

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { test } from "node:test";

import { HttpProxy } from "outrigger";

import { Field, soon } from "./support.mjs";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n";

/** What stands in for the sidecar and answers with these bytes, and a proxy for it. */
async function proxyFor(field, answer) {
  const server = net.createServer((peer) => peer.on("error", () => {}).once("data", () => peer.end(answer, "latin1")));
  return new HttpProxy({ url: await field.server(server) });
}

/** The same behind a server of HTTP/1.1; gives its URL. */
async function behind(field, answer) {
  const proxy = await proxyFor(field, answer);
  return field.server((request, response) => proxy.forward(request, response));
}

/** An answer with its hints. */
async function get(url, options) {
  const request = http.get(url, options);
  const hints = [];
  request.on("information", ({ headers }) => hints.push(headers.link));
  const [response] = await soon(once(request, "response"));
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += piece;
  return { status: response.statusCode, text, hints, headers: response.headers, trailers: response.rawTrailers };
}

for (const [links, hinted] of [
  [["</a>; rel=preload", "</b>; rel=preload"], ["</a>; rel=preload, </b>; rel=preload"]],
  [["</a>; rel=preload, </b>; rel=preload"], ["</a>; rel=preload, </b>; rel=preload"]],
  [['</a>; rel="preload prefetch"'], []],
  [["none"], []],
]) {
  test(`an answer comes also after a hint of ${links.join(" and ")}`, async (t) => {
    const hint = `HTTP/1.1 103 Early Hints\r\n${links.map((it) => `Link: ${it}\r\n`).join("")}\r\n`;
    const { status, text, hints } = await get(await behind(new Field(t), hint + OK));
    assert.deepEqual([status, text, hints], [200, "hi", hinted]);
  });
}

for (const [what, answer] of [
  ["a status that is none", "HTTP/1.1 099 X\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nhi"],
  ["such a status in chunks", "HTTP/1.1 000 X\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
  ["a reason with control bytes", "HTTP/1.1 200 a\x7fb\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nhi"],
  ["an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"],
]) {
  test(`${what} is answered with 502`, async (t) => {
    const { status, text, headers } = await get(await behind(new Field(t), answer));
    assert.deepEqual([status, text, headers["x-own"]], [502, '{"error":"Bad gateway"}\n', undefined]);
  });
}

test("a trailer that comes twice passes twice", async (t) => {
  const { text, trailers } = await get(await behind(new Field(t), `${CHUNKED}X-Sum: 1\r\nX-Sum: 2\r\n\r\n`));
  assert.deepEqual([text, trailers], ["hi", ["X-Sum", "1", "X-Sum", "2"]]);
});

test("trailers and hints reach a client of HTTP/2", async (t) => {
  const field = new Field(t);
  const hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>; rel=preload\r\n\r\n";
  const proxy = await proxyFor(field, `${hint}${CHUNKED}X-Sum: 1\r\n\r\n`);
  const url = await field.server(http2.createServer((request, response) => proxy.forward(request, response)));
  const client = http2.connect(url);
  t.after(() => client.destroy());
  const request = client.request({ ":path": "/" });
  const [[{ link }], [trailers], [{ ":status": status }]] = await soon(
    Promise.all([once(request, "headers"), once(request, "trailers"), once(request, "response"), request.resume()]),
  );
  assert.deepEqual([status, trailers["x-sum"], link], [200, "1", "</a>; rel=preload, </b>; rel=preload"]);
});
