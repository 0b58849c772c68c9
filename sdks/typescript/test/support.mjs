/** A runtime as a child process, and a sidecar that speaks protocol 1 to it byte by byte. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
export const COMMAND = path.join(PACKAGE, "bin/outrigger.mjs");
/** A wait for what never comes ends as a failure: every pipe reads its end. */
const PATIENCE = 30_000;
const CONTROL = 0x8000_0000;

/** What a stream has brought, handed out in pieces. */
class Inbox {
  #chunks = [];
  #length = 0;
  #ended = false;
  #wake = () => {};

  constructor(stream) {
    stream.on("data", (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    stream.on("end", end).on("close", end).on("error", end);
  }

  /** Exactly that many bytes; null at the end of the stream. */
  async exactly(size) {
    while (this.#length < size && !this.#ended) {
      await new Promise((resolve) => (this.#wake = resolve));
    }
    if (this.#length < size) {
      assert.equal(this.#length, 0, `cut short after ${this.#length} of ${size} bytes`);
      return null;
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#chunks = size < all.length ? [all.subarray(size)] : [];
    this.#length -= size;
    return all.subarray(0, size);
  }

  /** The next line without its end; null at the end of the stream. */
  async line() {
    let line = "";
    for (;;) {
      const byte = await this.exactly(1);
      if (byte === null || byte[0] === 10) {
        return byte === null && line === "" ? null : Buffer.from(line, "latin1").toString();
      }
      line += byte.toString("latin1");
    }
  }

  /** All that is still to come. */
  async rest() {
    while (!this.#ended) {
      await new Promise((resolve) => (this.#wake = resolve));
    }
    const all = Buffer.concat(this.#chunks).toString();
    this.#chunks = [];
    this.#length = 0;
    return all;
  }

  /** Whether nothing has come and not been taken. */
  get quiet() {
    return this.#length === 0 && !this.#ended;
  }
}

/** The sidecar's end of one connection. */
export class Peer {
  constructor(place) {
    this.socket = net.connect({ path: place, allowHalfOpen: true });
    this.inbox = new Inbox(this.socket);
    this.connected = new Promise((resolve, reject) => this.socket.once("connect", resolve).once("error", reject));
    this.connected.catch(() => {});
  }

  /** Sends one frame of text or bytes. */
  write(body, control = false) {
    const bytes = Buffer.from(body);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(control ? bytes.length + CONTROL : bytes.length);
    this.socket.write(Buffer.concat([head, bytes]));
  }

  /** Sends a control frame. */
  control(value) {
    this.write(JSON.stringify(value), true);
  }

  /** Sends a request, after a meta frame where there is something to say. */
  request(payload, meta) {
    if (meta !== undefined) {
      this.control({ meta });
    }
    this.write(JSON.stringify(payload));
  }

  /** The next frame; null at the end of the stream. */
  async frame() {
    const head = await this.inbox.exactly(4);
    if (head === null) {
      return null;
    }
    const size = head.readUInt32BE();
    const control = size >= CONTROL;
    return { control, body: await this.inbox.exactly(control ? size - CONTROL : size) };
  }

  /** The hello that must come first; gives its functions, each of which takes one payload. */
  async hello() {
    const { control, body } = await this.frame();
    const { hello } = JSON.parse(body);
    assert.ok(control);
    assert.equal(hello.protocol, 1);
    return hello.functions.map(({ args, ...rest }) => {
      assert.deepEqual(args, [{ name: "payload" }]);
      return rest;
    });
  }

  /** The next frame, which must not be a control frame. */
  async reply() {
    const { control, body } = await this.frame();
    assert.ok(!control, String(body));
    return JSON.parse(body);
  }

  /** So many frames. */
  async replies(count) {
    const replies = [];
    while (replies.length < count) {
      replies.push(await this.reply());
    }
    return replies;
  }

  /** The next frame, which must be a pong. */
  async pong() {
    const { control, body } = await this.frame();
    assert.ok(control, String(body));
    return JSON.parse(body).pong;
  }

  /** One exchange without interim frames. */
  call(payload, meta) {
    this.request(payload, meta);
    return this.reply();
  }

  /** Waits until the other side has closed. */
  async ended() {
    assert.equal(await this.inbox.exactly(1), null);
  }

  /** Goes away. */
  close() {
    this.socket.destroy();
  }
}

/** A runtime as a process of its own. */
export class Runtime {
  said = "";
  outlasted = false;

  constructor(folder, words, { environment = {}, ...options } = {}) {
    this.path = path.join(folder, "s");
    const kept = Object.entries(process.env).filter(([name]) => !/^(OUTRIGGER|NODE)/.test(name));
    const env = { ...Object.fromEntries(kept), OUTRIGGER_HANDLER_SOCKET: this.path, ...environment };
    this.process = spawn(process.execPath, words, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"], ...options });
    this.out = new Inbox(this.process.stdout);
    this.errors = new Inbox(this.process.stderr);
    this.exit = new Promise((resolve) => this.process.once("exit", (code, signal) => resolve(code ?? signal)));
    this.limit = setTimeout(() => {
      this.outlasted = true;
      this.process.kill("SIGKILL");
    }, PATIENCE);
  }

  /** Waits until it listens. */
  serving() {
    return this.says("outrigger: serving ");
  }

  /** Waits for a line on its stderr. */
  async says(start) {
    for (let line; (line = await this.errors.line()) !== null; ) {
      this.said += `${line}\n`;
      if (line.startsWith(start)) {
        return this;
      }
    }
    assert.fail(`it never said ${start}: ${this.said}`);
  }

  /** The next line on its stdout. */
  prints() {
    return this.out.line();
  }

  /** Waits for its end; the exit code, or the signal's name, and all it said on stderr. */
  async ends() {
    this.said += await this.errors.rest();
    const code = await this.exit;
    assert.ok(!this.outlasted, `it did not end by itself: ${this.said}`);
    return { code, said: this.said };
  }

  signal(name) {
    this.process.kill(name);
  }

  /** Ends it by force where it still runs. */
  async stop() {
    clearTimeout(this.limit);
    this.process.kill("SIGKILL");
    await this.exit;
  }
}

/** A folder of a test's own, whose runtimes and peers end with it. */
export class Field {
  #endings = [];

  constructor(t) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "outr-"));
    t.after(async () => {
      for (const ending of this.#endings.reverse()) {
        await ending();
      }
      fs.rmSync(this.folder, { recursive: true, force: true });
    });
  }

  /** Writes a file into the folder; gives its path. */
  put(name, source) {
    const file = path.join(this.folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, source);
    return file;
  }

  /** A runtime that serves `source`. */
  start(source, { spec = "handler.mjs", concurrency = 1, words = [], environment = {}, ...options } = {}) {
    this.put("handler.mjs", source);
    const all = { OUTRIGGER_HANDLER_CONCURRENCY: String(concurrency), ...environment };
    return this.launch([COMMAND, spec, ...words], { environment: all, ...options }).serving();
  }

  /** A runtime that may also refuse to start. */
  launch(words, options) {
    const runtime = new Runtime(this.folder, words, options);
    this.#endings.push(() => runtime.stop());
    return runtime;
  }

  /** A peer past the hello. */
  async connect(runtime) {
    const peer = await this.knock(runtime);
    await peer.hello();
    return peer;
  }

  /** A peer that has not read the hello yet. */
  async knock(runtime) {
    const peer = new Peer(typeof runtime === "string" ? runtime : runtime.path);
    this.#endings.push(() => peer.close());
    await peer.connected;
    return peer;
  }

  /** A runtime that serves `source`, and a peer of it past the hello. */
  async serve(source, options) {
    return this.connect(await this.start(source, options));
  }

  /** Makes a gate that `opened()` of a handler waits for. */
  gate() {
    return path.join(this.folder, "gate");
  }
}

/** For handlers: waits, without holding up the loop, until the test opens the gate. */
export const OPENED = `
import fs from "node:fs";
const opened = () => new Promise((resolve) => {
  const watch = fs.watch(".", look);
  function look() {
    if (fs.existsSync("gate")) {
      watch.close();
      resolve();
    }
  }
  look();
});
`;

export const ECHO = "export const process = (payload) => payload;\n";
