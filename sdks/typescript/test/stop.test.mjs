/** Signals, the lifeline, and what must not outlive the process. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import { test } from "node:test";

import { COMMAND, ECHO, Field, OPENED } from "./support.mjs";

const GATED = `
${OPENED}
export async function process(payload, ctx) {
  if (payload === "work") {
    ctx.progress("begun");
    await opened();
  }
  return payload;
}
`;

/** A runtime with one call under way and one idle connection; the gate lets the call end. */
async function begin(t) {
  const field = new Field(t);
  const runtime = await field.start(GATED, { concurrency: 2 });
  const [busy, idle] = [await field.connect(runtime), await field.connect(runtime)];
  busy.request("work");
  await busy.reply();
  return { field, runtime, busy, idle, open: () => fs.writeFileSync(field.gate(), "") };
}

test("SIGTERM without connections ends at once", async (t) => {
  const runtime = await new Field(t).start(ECHO);
  runtime.signal("SIGTERM");
  assert.equal((await runtime.ends()).code, 0);
  assert.ok(!fs.existsSync(runtime.path));
});

test("SIGTERM serves on until the peers have closed", async (t) => {
  const { runtime, busy, idle, open } = await begin(t);
  runtime.signal("SIGTERM");
  await runtime.says("outrigger: stopping when its 2 connections are closed");
  assert.ok(!fs.existsSync(runtime.path));
  assert.equal((await idle.call("one more")).result, "one more");
  idle.close();
  open();
  assert.equal((await busy.reply()).result, "work");
  assert.equal((await busy.call("and more")).result, "and more");
  busy.close();
  assert.equal((await runtime.ends()).code, 0);
});

test("SIGTERM does not wait for work that nobody waits for", async (t) => {
  const { runtime, busy, idle } = await begin(t);
  runtime.signal("SIGTERM");
  await runtime.says("outrigger: stopping");
  idle.close();
  busy.close();
  assert.equal((await runtime.ends()).code, 0);
});

for (const [name, code] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
]) {
  test(`a second ${name} ends at once`, async (t) => {
    const { runtime, busy } = await begin(t);
    runtime.signal(name);
    await runtime.says("outrigger: stopping");
    runtime.signal(name);
    assert.equal((await runtime.ends()).code, code);
    await busy.ended();
  });
}

test("SIGINT closes what is idle and finishes what runs", async (t) => {
  const { runtime, busy, idle, open } = await begin(t);
  runtime.signal("SIGINT");
  await idle.ended();
  assert.ok(busy.inbox.quiet);
  open();
  assert.equal((await busy.reply()).result, "work");
  await busy.ended();
  assert.equal((await runtime.ends()).code, 0);
});

test("the end of an inherited pipe ends the runtime at work", async (t) => {
  const field = new Field(t);
  const runtime = await field.start(GATED, {
    environment: { OUTRIGGER_HANDLER_LIFELINE: "3" },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const peer = await field.connect(runtime);
  peer.request("work");
  await peer.reply();
  runtime.process.stdio[3].destroy();
  await peer.ended();
  const { code, said } = await runtime.ends();
  assert.equal(code, 1);
  assert.match(said, /the parent process has gone/);
});

test("a handler that keeps the loop busy does not hold up the lifeline", async (t) => {
  const field = new Field(t);
  const source = `
    import fs from "node:fs";
    export const process = () => { fs.writeSync(1, "busy\\n"); for (;;); };
  `;
  const runtime = await field.start(source, {
    environment: { OUTRIGGER_HANDLER_LIFELINE: "0" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  (await field.connect(runtime)).request(1);
  assert.equal(await runtime.prints(), "busy");
  runtime.process.stdin.destroy();
  assert.equal((await runtime.ends()).code, "SIGKILL");
});

test("stdin may be the pipe, and the handler reads nothing from it", async (t) => {
  const field = new Field(t);
  // A real pipe, as a sidecar makes one; Node itself makes sockets of them.
  const fifo = `${field.folder}/fifo`;
  await new Promise((resolve) => spawn("mkfifo", [fifo]).once("exit", resolve));
  const both = fs.openSync(fifo, fs.constants.O_RDWR);
  const reading = fs.openSync(fifo, fs.constants.O_RDONLY);
  const source = `
    import fs from "node:fs";
    const { env } = globalThis.process;
    export const process = () => [fs.readFileSync(0, "utf8"), env.OUTRIGGER_HANDLER_LIFELINE ?? "none"];
  `;
  const runtime = await field.start(source, {
    environment: { OUTRIGGER_HANDLER_LIFELINE: "0" },
    stdio: [reading, "pipe", "pipe"],
  });
  fs.closeSync(reading);
  assert.deepEqual((await (await field.connect(runtime)).call(null)).result, ["", "none"]);
  fs.closeSync(both);
  assert.equal((await runtime.ends()).code, 1);
});

test("what the handler has started goes too where the group is its own", async (t) => {
  const field = new Field(t);
  const source = `
    import { spawn } from "node:child_process";
    export const process = () => void spawn("sleep", ["1000"], { stdio: ["ignore", "inherit", "ignore"] });
  `;
  const runtime = await field.start(source, {
    environment: { OUTRIGGER_HANDLER_LIFELINE: "0" },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  await (await field.connect(runtime)).call(null);
  runtime.process.stdin.destroy();
  // The child holds the other end of stdout: it reads its end only when both have gone.
  assert.equal(await runtime.out.rest(), "");
  assert.equal((await runtime.ends()).code, "SIGKILL");
});

test("a child that a handler has started holds no connection", async (t) => {
  const field = new Field(t);
  const source = `
    import { spawn } from "node:child_process";
    export function process() {
      const child = spawn("sleep", ["1000"], { stdio: "ignore", detached: true });
      return child.pid;
    }
  `;
  const runtime = await field.start(source);
  const peer = await field.connect(runtime);
  const child = (await peer.call(null)).result;
  try {
    runtime.signal("SIGKILL");
    await peer.ended();
  } finally {
    process.kill(child, "SIGKILL");
  }
});

test("a lifeline that is not open is said", async (t) => {
  const field = new Field(t);
  field.put("handler.mjs", ECHO);
  for (const value of ["999", "pipe"]) {
    const runtime = field.launch([COMMAND, "handler.mjs"], { environment: { OUTRIGGER_HANDLER_LIFELINE: value } });
    const { code, said } = await runtime.ends();
    assert.equal(code, 78);
    assert.match(said, new RegExp(`OUTRIGGER_HANDLER_LIFELINE=${value}`));
  }
});
