/** What is said of bodies, by whom, and what was read of them before the proxy got it. */

import assert from "node:assert/strict";
import net from "node:net";
import { describe, test } from "node:test";

import express from "express";
import express4 from "express4";

import { expressProxy, HttpProxy } from "outrigger";
import { ForstHTTPProxy } from "outrigger/forst";

import { Field, freePort, soon } from "./support.mjs";

/** All that is answered to a request, as it is written and with what comes after it until the connection is closed. */
async function raw(url, head, body = "") {
  const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
  socket.write(`${head}\r\nHost: x\r\nConnection: close\r\n\r\n${body}`);
  const read = async () => {
    let text = "";
    for await (const chunk of socket.setEncoding("latin1")) text += chunk;
    return text;
  };
  return soon(read());
}

/** What stands in for the sidecar: answers with these bytes. */
const saying = (field, answer) =>
  field.server(net.createServer((peer) => peer.on("error", () => {}).once("data", () => peer.end(answer))));

for (const [name, create] of [
  ["Express 5", express],
  ["Express 4", express4],
]) {
  describe(name, () => {
    test("an answer of the proxy's own is whole, whatever the app has announced before", async (t) => {
      const field = new Field(t);
      const url = `http://127.0.0.1:${await freePort()}`;
      const app = create();
      for (const [path, forward] of [
        ["/own", (request, response) => new HttpProxy({ url }).forward(request, response)],
        ["/alias", (request, response) => new ForstHTTPProxy({ sidecarUrl: url }).proxyRequest(request, response, { timeout: 0 })],
      ]) {
        app.post(path, (request, response) => {
          response.setHeader("Content-Type", "application/octet-stream");
          response.setHeader("Transfer-Encoding", "chunked");
          response.setHeader("Trailer", "X-Sum");
          return forward(request, response);
        });
      }
      const own = await field.server(app);
      for (const path of ["/own", "/alias"]) {
        const text = await raw(own, `POST ${path} HTTP/1.1\r\nContent-Length: 1`, "1");
        assert.match(text, /^HTTP\/1.1 503 .*\r\ncontent-length: 32\r\n.*\r\n\r\n\{"error":"Sidecar unavailable"\}\n$/is);
        assert.doesNotMatch(text, /transfer-encoding|trailer/i);
      }
    });

    test("a length that the app has announced gives way to an answer in chunks", async (t) => {
      const field = new Field(t);
      const proxy = new HttpProxy({ url: await saying(field, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlong\r\n0\r\n\r\n") });
      const app = create().use((request, response) => proxy.forward(request, response.setHeader("Content-Length", 1)));
      const text = await raw(await field.server(app), "GET / HTTP/1.1");
      assert.match(text, /^HTTP\/1.1 200 OK\r\n.*\r\n\r\n4\r\nlong\r\n0\r\n\r\n$/s);
      assert.doesNotMatch(text, /content-length/i);
    });

    test("trailers that are announced where none can be end no server", async (t) => {
      const field = new Field(t);
      const answer = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n";
      const chunks = "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n";
      for (const [head, said, body] of [
        ["HEAD / HTTP/1.1", answer, ""],
        ["GET / HTTP/1.0", answer + chunks, "hi"],
        ["GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nhi", "hi"],
        ["GET / HTTP/1.1", "HTTP/1.1 304 Not Modified\r\nTrailer: X-Sum\r\n\r\n", ""],
        ["GET / HTTP/1.1", answer + chunks, chunks],
        ["GET / HTTP/1.1\r\nTrailer: X-Sum", answer + chunks, chunks],
      ]) {
        const proxy = new HttpProxy({ url: await saying(field, said) });
        const text = await raw(await field.server(create().use((request, response) => proxy.forward(request, response))), head);
        assert.equal(text.slice(text.indexOf("\r\n\r\n") + 4), body, head);
        assert.equal(/^trailer:/im.test(text), body === chunks, head);
      }
    });

    test("a form that was read before is read as the same by the service", async (t) => {
      const field = new Field(t);
      for (const extended of [true, false]) {
        const parser = create.urlencoded({ extended });
        const service = create().use(parser, (request, response) => response.json(request.body));
        const direct = await field.server(service);
        const through = await field.server(create().use(parser, expressProxy({ url: direct }).route("/f")));
        for (const form of [
          "a=1&a=2&b[c]=3",
          "a[]=1",
          "a[]=1&a[]=2&b[c][]=3&b[c][]=4",
          "a[0][x]=1&a[0][y]=2&a[1][x]=3",
          "a=1&a[b]=2",
          "a[b][c][d]=1&a[b][e]=2",
          "s=a+b%26c&u=%C3%A4&%5B=v&e=&f",
          Array.from({ length: 30 }, (_, n) => `n=${n}`).join("&"),
          "",
        ]) {
          const post = async (url) => {
            const headers = { "content-type": "application/x-www-form-urlencoded" };
            return (await soon(fetch(`${url}/f`, { method: "POST", body: form, headers }))).json();
          };
          assert.deepEqual(await post(through), await post(direct), form);
        }
      }
    });

    test("a text that was decoded before goes on in UTF-8, and says so", async (t) => {
      const field = new Field(t);
      const service = await field.server(async (request, response) => {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        response.end(JSON.stringify([request.headers["content-type"], String(Buffer.concat(chunks))]));
      });
      const app = create().use(create.json(), create.text(), create.raw(), expressProxy({ url: service }).route("/f"));
      const url = await field.server(app);
      for (const [type, body, said, text] of [
        ["application/json; charset=utf-16le", Buffer.from('{"a":"ä"}', "utf16le"), "application/json; charset=utf-8", '{"a":"ä"}'],
        ["text/plain;charset=\"iso-8859-1\"; x=1", Buffer.from("ä", "latin1"), "text/plain;charset=utf-8; x=1", "ä"],
        ["text/plain", "ä", "text/plain", "ä"],
        ["application/octet-stream; charset=latin1", Buffer.from("ä"), "application/octet-stream; charset=latin1", "ä"],
      ]) {
        const response = await soon(fetch(`${url}/f`, { method: "POST", body, headers: { "content-type": type } }));
        assert.deepEqual(await response.json(), [said, text]);
      }
    });

    test("JSON that is no object is JSON behind the proxy too, read as JSON or as a text", async (t) => {
      const field = new Field(t);
      const service = await field.server((request, response) => request.pipe(response));
      const parsers = { json: create.json({ strict: false }), text: create.text({ type: "application/json" }) };
      for (const [name, parser] of Object.entries(parsers)) {
        const url = await field.server(create().use(parser, expressProxy({ url: service }).route("/f")));
        for (const body of ['"x"', '"a \\"b\\""', "1", "null", "false", "[1]", '{"a":1}']) {
          const response = await soon(fetch(`${url}/f`, { method: "POST", body, headers: { "content-type": "application/json" } }));
          assert.equal(await response.text(), body, name);
        }
      }
    });
  });
}
