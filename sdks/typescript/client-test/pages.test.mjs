/** What the pages and the example say is done as it stands there, and works. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { BINARY } from "./binary.mjs";
import { Field, freePort, soon, until } from "./support.mjs";

const HERE = import.meta.dirname;
const ROOT = path.join(HERE, "../../..");
const ORDER = { items: [{ price: 4.5, count: 2 }] };

/** The blocks of a kind on a page. */
const blocks = (page, kind = "js") =>
  [...fs.readFileSync(path.join(ROOT, "docs/calls", page), "utf8").matchAll(new RegExp(`^\`\`\`${kind}\\n([^]*?)^\`\`\`$`, "gm"))].map((match) => match[1]);

/** A module of these lines, where its imports are found; gives its process and what it prints. */
function run(t, source, environment, lines = "") {
  const file = path.join(HERE, "node_modules", `.page-${process.pid}-${Math.random().toString(36).slice(2)}.mjs`);
  fs.writeFileSync(file, source + lines);
  const child = spawn(process.execPath, [file], { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "inherit"] });
  const running = { child, said: "" };
  child.stdout.on("data", (chunk) => (running.said += chunk));
  const closed = once(child, "close");
  t.after(async () => {
    child.kill("SIGKILL");
    await closed;
    fs.rmSync(file);
  });
  return { ...running, closed, text: () => running.said };
}

async function post(url, body) {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  return [response.status, await response.json()];
}

const field = new Field();
let environment;
before(async () => {
  await field.handlers();
  const { url, socket } = await field.sidecar();
  environment = { OUTRIGGER_CALLS_URL: url, OUTRIGGER_CALLS_SOCKET: socket, NODE_ENV: "" };
});
after(() => field.end());

for (const [at, block] of blocks("node.md").entries()) {
  for (const mode of ["development", "production"]) {
    test(`block ${at + 1} of the page on calling prints what it says, in ${mode}`, async (t) => {
      const expected = [...block.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1]);
      const { closed, text } = run(t, block, { ...environment, NODE_ENV: mode });
      await soon(closed, () => `it does not end: ${text()}`);
      assert.equal(text().trim().split(/\s+/).join(" "), expected.join(" "));
    });
  }
}

test("a route goes over as the page on moving says", async (t) => {
  const own = new Field(t);
  const [whole, handler, route, sockets, plain, fastify] = blocks("migrate.md");
  const [config] = blocks("migrate.md", "yaml");
  const [first, second] = blocks("migrate.md", "sh");
  const app = whole.replace("app.listen(3000);\n", "");
  assert.notEqual(app, whole);
  const listen = "\nconst it = app.listen(0, '127.0.0.1', () => console.log(it.address().port));\n";
  const port = await freePort();
  const settings = { ...environment, OUTRIGGER_CALLS_URL: `http://127.0.0.1:${port}` };
  const serve = async (source) => {
    const { text } = run(t, source, settings);
    return `http://127.0.0.1:${await until(() => text().trim())}`;
  };
  /** The page's own line of `curl`, to another address: what it prints, and what the page says that it does. */
  const curl = async (line, from, url) => {
    const [command, said] = line.split("#");
    assert.ok(command.includes(from), command);
    const child = spawn("sh", ["-c", command.replace("curl ", "curl -s ").replace(from, new URL(url).host)], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => (text += chunk));
    await soon(once(child, "close"));
    return [JSON.parse(text), said && JSON.parse(said)];
  };
  const [, toApp] = first.split("\n");
  const [up, toFunction] = second.split("\n");

  const before = await serve(app + listen);
  assert.deepEqual(...(await curl(toApp, "127.0.0.1:3000", before)));
  // Registered before there is a sidecar: the old route answers.
  const moved = await serve(app + route + listen);
  assert.deepEqual(...(await curl(toApp, "127.0.0.1:3000", moved)));

  own.put("prices.mjs", handler);
  own.put("outrigger.yaml", `admin: { listen: "127.0.0.1:0" }\n${config.replace(":8080", `:${port}`)}`);
  fs.symlinkSync(path.join(HERE, "node_modules"), own.path("node_modules"));
  assert.equal(up, "outrigger up");
  // Its handler ends with it, unlike with a process that is killed.
  const { child, exit } = await own.start([BINARY, "up"], (line) => line.includes('"handler ready"'));
  own.later(async () => {
    child.kill("SIGTERM");
    await soon(exit);
  });
  const [result, said] = await curl(toFunction, "127.0.0.1:8080", `http://127.0.0.1:${port}`);
  assert.deepEqual(result, said);
  assert.deepEqual((await curl(toApp, "127.0.0.1:3000", moved))[0], result);
  assert.deepEqual(await post(`${await serve(`${plain}server.listen(0, "127.0.0.1", () => console.log(server.address().port));`)}/x`, ORDER), [200, result]);
  const listenLater = '\nawait app.listen({ port: 0, host: "127.0.0.1" });\nconsole.log(app.server.address().port);\n';
  assert.deepEqual(await post(`${await serve(fastify + listenLater)}/api/price`, ORDER), [200, result]);

  const both = app + route + sockets.replace("3000", '0, "127.0.0.1", () => console.log(server.address().port)');
  const [error] = await soon(once(new WebSocket(`${(await serve(both)).replace("http", "ws")}/nothing`), "error"));
  assert.match(error.message, /404/);
});

test("the example starts with one command, and ends with all that it started", async (t) => {
  const own = new Field(t);
  const from = path.join(ROOT, "examples/express");
  // Without what is installed there, or what a run has left.
  const files = fs.readdirSync(from, { withFileTypes: true }).filter((it) => it.isFile());
  for (const { name } of files) fs.copyFileSync(path.join(from, name), own.path(name));
  fs.symlinkSync(path.join(HERE, "node_modules"), own.path("node_modules"));
  const port = await freePort();
  const config = fs.readFileSync(own.path("outrigger.yaml"), "utf8");
  own.put("outrigger.yaml", `admin: { listen: "127.0.0.1:0" }\n${config.replace(":8080", `:${port}`)}`);
  const env = { ...process.env, OUTRIGGER_BIN: BINARY, PORT: "0", OUTRIGGER_CALLS_URL: `http://127.0.0.1:${port}`, NODE_ENV: "development" };
  const child = spawn(process.execPath, ["start.mjs"], { cwd: own.folder, env, stdio: ["ignore", "pipe", "ignore"] });
  const closed = once(child, "close");
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  own.later(async () => {
    child.kill("SIGTERM");
    await soon(closed, () => "it does not end");
  });
  const url = await until(() => said.match(/http:\S+/)?.[0]);
  // Without the sidecar the app's own route answers, which finds nothing wrong here.
  await until(async () => (await post(`${url}/api/price`, { items: [{}] }))[0] === 400);
  await until(async () => (await post(`${url}/api/price`, ORDER))[0] === 200);
  assert.deepEqual(await post(`${url}/api/price`, ORDER), [200, { total: 9, lines: 1 }]);
  assert.deepEqual(await post(`${url}/api/invoice`, ORDER), [200, { invoice: "9.00 EUR" }]);
  assert.deepEqual((await post(`${url}/api/invoice`, { items: [{ price: 1 }] }))[1].errors[0].path, "args[0].items[0].count");
  const [status, { error }] = await post(`${url}/api/invoice`, { items: [{ price: 1e6, count: 1 }] });
  assert.deepEqual([status, error], [422, "an order of 1000000 has to be made by telephone"]);

  // Where the app cannot start, what it has started ends with it: only then is this closed.
  const another = spawn(process.execPath, ["start.mjs"], { cwd: own.folder, env: { ...env, PORT: new URL(url).port }, stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  another.stderr.on("data", (chunk) => (complaint += chunk));
  assert.deepEqual(await soon(once(another, "close"), () => complaint), [1, null]);
  assert.match(complaint, /PORT names another/);
});
