/** A sidecar with functions, as processes that end with the test file. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { BINARY } from "./binary.mjs";

export const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const RUNTIME = path.join(PACKAGE, "bin/outrigger.mjs");
const HANDLERS = fileURLToPath(new URL("handlers.mjs", import.meta.url));
const PLAIN = ["echo", "crash", "gated"];
const STREAMED = ["count", "flood", "stall", "stumble"];
/** A wait for what never comes ends as a failure. */
const PATIENCE = 20_000;

const ITEM = "{ type: object, required: [ price, count ], properties: { price: { type: number }, count: { type: integer } } }";
const ORDER = `{ name: order, schema: { type: object, required: [ items ], additionalProperties: false, properties: { items: { type: array, items: ${ITEM} } } } }`;

/** A function of one argument, whatever that is. */
const one = (name) =>
  `    - { name: ${name}, handler: { socket: h.sock }, concurrency: 64, streaming: ${STREAMED.includes(name)}, args: [ { name: value } ] }`;

/** A folder of its own, whose processes and servers end with it. */
export class Field {
  #endings = [];

  /** Ends with the test `t`, or when it is told to. */
  constructor(t) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "outr-"));
    t?.after(() => this.end());
  }

  path(name) {
    return path.join(this.folder, name);
  }

  put(name, text = "") {
    fs.writeFileSync(this.path(name), text);
  }

  notes() {
    return fs.existsSync(this.path("notes")) ? fs.readFileSync(this.path("notes"), "utf8").split("\n") : [];
  }

  /** Runs a program whose end the field sees to; gives it once `line` has matched a line of its stderr. */
  async start(words, isReady, environment = {}) {
    const kept = Object.entries(process.env).filter(([name]) => !/^(OUTRIGGER|NODE_)/.test(name));
    const child = spawn(words[0], words.slice(1), {
      cwd: this.folder,
      env: { ...Object.fromEntries(kept), ...environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const exit = once(child, "exit");
    // Where the test ends in another way than it should.
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    exit.then(() => process.removeListener("exit", kill));
    const stop = async () => {
      child.kill("SIGKILL");
      await exit;
    };
    this.#endings.push(stop);
    let said = "";
    const ready = new Promise((resolve, reject) => {
      readline.createInterface({ input: child.stderr }).on("line", (line) => {
        said += `${line}\n`;
        if (isReady(line)) resolve();
      });
      exit.then(() => reject(new Error(`it ended: ${said}`)));
    });
    ready.catch(() => {});
    await soon(ready, () => `it is not ready: ${said}`);
    return { child, stop, exit };
  }

  /** The handlers as a process. */
  async handlers({ concurrency = 64 } = {}) {
    return this.start([process.execPath, RUNTIME, `${HANDLERS}:${[...PLAIN, ...STREAMED, "priceOrder"]}`], (line) => line.startsWith("outrigger: serving"), {
      OUTRIGGER_HANDLER_SOCKET: this.path("h.sock"),
      OUTRIGGER_HANDLER_CONCURRENCY: String(concurrency),
    });
  }

  /** A sidecar on these functions, besides those of the handlers; `port` is 0 for a free one. */
  async sidecar({ port = 0, functions = "", calls = "", listen = "" } = {}) {
    this.put(
      "c.yaml",
      `admin: { listen: "127.0.0.1:0" }
calls:
  listen: [ "http://127.0.0.1:${port}", "ipc:calls.sock"${listen} ]
${calls}
  functions:
    - { name: priceOrder, package: shop, handler: { socket: h.sock }, args: [ ${ORDER} ] }
${[...PLAIN, ...STREAMED].map(one).join("\n")}
${functions}
`,
    );
    let url;
    let secure;
    const isReady = (line) => {
      const { message, address } = line.startsWith("{") ? JSON.parse(line) : {};
      if (message === "taking calls" && address.startsWith("http:")) url = address;
      if (message === "taking calls" && address.startsWith("https:")) secure = address;
      return message === "ready";
    };
    const running = await this.start([BINARY, "run", "c.yaml"], isReady);
    if (fs.existsSync(this.path("h.sock"))) await this.#greeted(url);
    return { ...running, url, secure, socket: this.path("calls.sock") };
  }

  /** The first call waits 100 ms for a handler's hello, which on a busy machine comes later: then it is not told which function it is. */
  async #greeted(url) {
    const body = JSON.stringify({ function: "echo", args: [1] });
    await until(async () => {
      const response = await fetch(`${url}/invoke`, { method: "POST", body, headers: { "content-type": "application/json" } });
      const { success, code } = await response.json();
      return success || code === "unauthorized";
    }, "the handlers are not called by their names");
  }

  /** A server of the test's own; gives its URL. */
  async server(answer) {
    const server = typeof answer === "function" ? http.createServer(answer) : answer;
    // Those of WebSockets too, of which the server does not know any more.
    const connections = new Set();
    server.on("connection", (socket) => {
      connections.add(socket);
      socket.once("close", () => connections.delete(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#endings.push(async () => {
      connections.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${server.address().port}`;
  }

  /** Something else that has to be ended. */
  later(ending) {
    this.#endings.push(ending);
  }

  async end() {
    for (const ending of this.#endings.reverse()) {
      await ending();
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What `promise` brings, or a failure where that takes too long. */
export async function soon(promise, complaint = () => "it takes too long") {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new assert.AssertionError({ message: complaint() })), PATIENCE)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until a condition holds; gives what it gave. */
export async function until(condition, complaint = "it never comes") {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(performance.now() < end, complaint);
    await sleep(5);
  }
}

/** A port that nothing listens on. It is below those that the system gives to whoever asks for any, so nobody gets it meanwhile. */
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = http.createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(() => true, () => false);
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}

export const collect = async (pieces) => {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  return all;
};
