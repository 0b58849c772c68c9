/** What is served for which command line, and how a start that cannot be is refused. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { COMMAND, ECHO, Field, PACKAGE } from "./support.mjs";

/** Starts and must be refused; gives what it said. */
async function refused(field, words, code, ...fragments) {
  const environment = typeof words.at(-1) === "object" ? words.pop() : {};
  const ended = await field.launch([COMMAND, ...words], { environment }).ends();
  assert.equal(ended.code, code, ended.said);
  for (const fragment of fragments) {
    assert.ok(ended.said.includes(fragment), `${fragment} is not in: ${ended.said}`);
  }
  return ended.said;
}

/** The functions that a command line serves. */
async function hello(field, words) {
  const runtime = await field.launch([COMMAND, ...words]).serving();
  return (await field.knock(runtime)).hello();
}

test("a function is found by file and attribute, in modules of both kinds", async (t) => {
  const field = new Field(t);
  field.put("near.mjs", "export const name = 'box';");
  field.put(
    "pack/mod.mjs",
    `import { name } from "../near.mjs";
     export class Box { static kind = name; static open() { return this.kind; } }`,
  );
  const runtime = await field.launch([COMMAND, "pack/mod.mjs:Box.open"]).serving();
  const peer = await field.knock(runtime);
  assert.deepEqual(await peer.hello(), [{ name: "Box.open" }]);
  assert.equal((await peer.call(0)).result, "box");
  runtime.signal("SIGKILL");
  await runtime.exit;
  field.put("old.cjs", "const all = {};\nall.process = (p) => [p];\nmodule.exports = all;");
  assert.deepEqual(await hello(field, ["old.cjs"]), [{ name: "process" }]);
});

test("what is exported as the default, or alone, needs no name", async (t) => {
  for (const [source, name] of [
    ["export const number = 3;\nexport const clean = () => number;", "clean"],
    ["export default (p) => p;\nexport const other = () => 1;", "default"],
    ["export const other = () => 1;\nexport const process = () => 2;", "process"],
    ["export class Mishap extends Error {}\nexport class Model { process(p) { return p; } }", "Model"],
    ["export default { process: (p) => p };", "process"],
    ["const { parse } = JSON; export { parse };", "parse"],
  ]) {
    const field = new Field(t);
    field.put("handler.mjs", source);
    assert.deepEqual(await hello(field, ["handler.mjs"]), [{ name }], source);
  }
});

test("instances and bound methods are handlers", async (t) => {
  const source = `
    class Model { constructor(by) { this.by = by; } process(p) { return p * this.by; } }
    export const twice = new Model(2);
    export const thrice = new Model(3).process.bind(new Model(3));
  `;
  const peer = await new Field(t).serve(source, { spec: "handler.mjs:twice,thrice" });
  assert.equal((await peer.call(3, { function: "twice" })).result, 6);
  assert.equal((await peer.call(3, { function: "thrice" })).result, 9);
});

test("a bad handler is refused, and what was found is said", async (t) => {
  const field = new Field(t);
  field.put(
    "handler.mjs",
    `export function a() {}
     export const b = () => {};
     export const number = 3;
     export class Needy { constructor(x) { this.x = x; } process() {} }
     export class Idle {}`,
  );
  field.put("empty.mjs", "");
  field.put("handler.txt", "");
  field.put("handler.ts", "");
  await refused(field, ["nothing.mjs"], 78, "there is no file nothing.mjs (looked in ");
  await refused(field, ["up"], 78, "`outrigger up` of the sidecar is another program: start that by its path");
  await refused(field, ["handler:a"], 78, "there is no file handler: did you mean handler.mjs?");
  await refused(field, ["handler.txt"], 78, "handler.txt cannot be imported");
  await refused(field, ["handler.ts"], 78, "start node with `--import tsx`");
  await refused(field, ["handler.mjs:c"], 78, "handler.mjs has no `c`; found Needy, a, b");
  await refused(field, ["handler.mjs:a.b.c"], 78, "handler.mjs has no `a.b.c`");
  await refused(field, ["handler.mjs"], 78, "several others", "handler.mjs:Needy", "found Needy, a, b");
  await refused(field, ["empty.mjs"], 78, "exports no function", "export function process(payload)");
  await refused(field, ["handler.mjs:number"], 78, "`number` is of type number");
  await refused(field, ["handler.mjs:Needy"], 78, "class `Needy` needs arguments");
  await refused(field, ["handler.mjs:Idle"], 78, "class `Idle` has no `process`");
  await refused(field, ["handler.mjs:"], 78, "is not a handler");
  await refused(field, [], 64, "usage: outrigger", "say which handler");
  await refused(field, ["a", "b"], 64, "one handler, not 2");
  await refused(field, ["handler.mjs:a", "--concurrency", "x"], 64, "--concurrency x is not a whole number");
  await refused(field, ["handler.mjs:a", "--color"], 64, "'--color'");
  assert.ok(!fs.existsSync(path.join(field.folder, "s")));
});

test("what an import throws is shown from the user's own lines", async (t) => {
  const field = new Field(t);
  field.put("handler.mjs", "\n\nexport const x = JSON.parse('{');\n");
  const said = await refused(field, ["handler.mjs"], 1, "SyntaxError", "handler.mjs:3", "handler.mjs could not be loaded");
  assert.ok(!said.includes(`${PACKAGE}src`) || said.includes("Node.js"), said);
  field.put("thrown.mjs", "function deep() { throw new TypeError('early'); }\ndeep();\n");
  const short = await refused(field, ["thrown.mjs"], 1, "TypeError: early", "thrown.mjs:1", "thrown.mjs could not be loaded");
  assert.ok(short.startsWith("TypeError: early\n") && !short.includes("node:internal") && !short.includes(PACKAGE), short);
  field.put("wrong.mjs", "export function process(p) {\n  retrun p;\n}\n");
  await refused(field, ["wrong.mjs"], 1, "wrong.mjs:2", "retrun p", "SyntaxError");
  field.put("lost.mjs", "import 'not-installed-anywhere';\n");
  await refused(field, ["lost.mjs"], 1, "Cannot find package 'not-installed-anywhere'");
  field.put("left.mjs", "process.exit(5);\n");
  await refused(field, ["left.mjs"], 5);
  const loads = "import fs from 'node:fs';\nexport class Model { constructor() { fs.readFileSync('weights'); } process() {} }\n";
  field.put("model.mjs", loads);
  await refused(field, ["model.mjs"], 1, "ENOENT", "model.mjs:2");
});

test("settings that cannot be are refused", async (t) => {
  const field = new Field(t);
  field.put("handler.mjs", ECHO);
  const start = (words, environment, code, fragment) =>
    refused(field, ["handler.mjs", ...words, environment], code, fragment);
  await start([], { OUTRIGGER_HANDLER_SOCKET: "" }, 78, "no socket to serve on");
  await start([], { OUTRIGGER_HANDLER_CONCURRENCY: "two" }, 78, "OUTRIGGER_HANDLER_CONCURRENCY=two");
  await start(["--concurrency", "0"], {}, 78, "a concurrency of 0");
  await start(["--max-frame", "0"], {}, 78, "a largest frame of 0");
  await start(["--socket", `/${"x".repeat(100)}`], {}, 78, "at most 100 are possible");
  await start(["--socket", "no/such/folder/s"], {}, 73, "there is no folder no/such/folder");
  await start(["--socket", "/proc/s"], {}, 73, "cannot make the socket /proc/s");
});

test("flags go before the environment", async (t) => {
  const field = new Field(t);
  field.put("handler.mjs", ECHO);
  const other = path.join(field.folder, "other");
  const words = [COMMAND, "handler.mjs", "--socket", other, "--concurrency", "3"];
  const runtime = field.launch(words, { environment: { OUTRIGGER_HANDLER_CONCURRENCY: "1" } });
  await runtime.says(`outrigger: serving process on ${other}, 3 at once`);
  assert.deepEqual(await (await field.knock(other)).hello(), [{ name: "process" }]);
});

test("help and version are printed", async (t) => {
  const field = new Field(t);
  const version = field.launch([COMMAND, "--version"]);
  assert.match(await version.prints(), /^outrigger \d+\.\d+\.\d+$/);
  assert.equal((await version.ends()).code, 0);
  const help = field.launch([COMMAND, "--help"]);
  assert.match(await help.out.rest(), /^usage: outrigger .*HANDLER[^]*--max-frame/);
});

test("the socket is its owner's alone, at a path of any length that may be", async (t) => {
  const field = new Field(t);
  field.put("handler.mjs", ECHO);
  const place = path.join(field.folder, "x".repeat(99 - field.folder.length));
  assert.equal(Buffer.byteLength(place), 100);
  const runtime = field.launch([COMMAND, "handler.mjs", "--socket", place]);
  await runtime.serving();
  assert.equal(fs.statSync(place).mode & 0o777, 0o600);
  assert.deepEqual(fs.readdirSync(field.folder).sort(), ["handler.mjs", path.basename(place)], "nothing else is left");
  assert.equal((await (await field.connect(place)).call(1)).result, 1);
});

test("files that the handler makes have the usual mode", async (t) => {
  const source = `
    import fs from "node:fs";
    export function process(p) { fs.writeFileSync(p, ""); return fs.statSync(p).mode & 0o777; }
  `;
  const before = process.umask(0o022);
  let runtime;
  const field = new Field(t);
  try {
    field.put("handler.mjs", source);
    runtime = field.launch([COMMAND, "handler.mjs"]);
  } finally {
    process.umask(before);
  }
  assert.equal((await (await field.connect(await runtime.serving())).call("made")).result, 0o644);
});

test("a stale socket is replaced", async (t) => {
  const field = new Field(t);
  const first = await field.start(ECHO);
  first.signal("SIGKILL");
  await first.exit;
  assert.ok(fs.existsSync(first.path));
  assert.equal((await field.serve(ECHO)) !== null, true);
});

test("a live socket is left to its owner", async (t) => {
  const field = new Field(t);
  const runtime = await field.start(ECHO);
  await refused(field, ["handler.mjs"], 73, "another process is serving on");
  assert.equal((await (await field.connect(runtime)).call(1)).result, 1);
});

test("a socket whose backlog is full is alive", async (t) => {
  const field = new Field(t);
  field.put("handler.mjs", ECHO);
  const full = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind("s"); s.listen(0)
peers = []
while True:
    peer = socket.socket(socket.AF_UNIX); peer.setblocking(False)
    try: peer.connect("s")
    except BlockingIOError: break
    peers.append(peer)
print("full", flush=True)
sys.stdin.read()
`;
  const holder = spawn("python3", ["-c", full], { cwd: field.folder, stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve) => holder.stdout.once("data", resolve));
  try {
    await refused(field, ["handler.mjs"], 73, "another process is serving on");
  } finally {
    holder.stdin.end();
  }
});

test("a file that is no socket is not removed", async (t) => {
  const field = new Field(t);
  field.put("handler.mjs", ECHO);
  const file = field.put("s", "precious");
  await refused(field, ["handler.mjs"], 73, "is not a socket");
  assert.equal(fs.readFileSync(file, "utf8"), "precious");
});

test("a runtime leaves its successor's socket alone", async (t) => {
  const field = new Field(t);
  const runtime = await field.start(ECHO);
  fs.unlinkSync(runtime.path);
  const second = await field.start(ECHO);
  runtime.signal("SIGTERM");
  assert.equal((await runtime.ends()).code, 0);
  assert.equal((await (await field.connect(second)).call(1)).result, 1);
});

test("serve in a script settles after an orderly stop", async (t) => {
  const field = new Field(t);
  field.put(
    "script.mjs",
    `import { serve } from "${PACKAGE}src/index.js";
     await serve({ twice: (p) => p * 2, half: (p) => p / 2 }, { concurrency: 2 });
     console.log("after");`,
  );
  const runtime = await field.launch(["script.mjs"]).serving();
  const peer = await field.knock(runtime);
  assert.deepEqual(await peer.hello(), [{ name: "twice" }, { name: "half" }]);
  assert.equal((await peer.call(3, { function: "twice" })).result, 6);
  runtime.signal("SIGTERM");
  await runtime.says("outrigger: stopping");
  peer.close();
  assert.equal(await runtime.prints(), "after");
  assert.equal((await runtime.ends()).code, 0);
});

test("serve takes several functions, or one with a name", async (t) => {
  for (const [words, names] of [
    ["[function a() {}, function b() {}]", ["a", "b"]],
    ["(p) => p, { name: 'echo' }", ["echo"]],
    ["function clean() {}", ["clean"]],
    ["class Model { process() {} }", ["Model"]],
  ]) {
    const field = new Field(t);
    field.put("script.mjs", `import { serve } from "${PACKAGE}src/index.js";\nawait serve(${words});`);
    const peer = await field.knock(await field.launch(["script.mjs"]).serving());
    assert.deepEqual((await peer.hello()).map(({ name }) => name), names);
  }
});

test("what cannot be served by a script is said", async (t) => {
  for (const [words, complaint] of [
    ["[]", /there is nothing to serve/],
    ["[() => 1, () => 2]", /the same name/],
    ["[function a() {}, function a() {}]", /the same name \(a, a\)/],
    ["{ a() {}, b() {} }, { name: 'c' }", /`name` is for a single function/],
    ["3", /is of type number/],
    ["null", /is null, not something to call/],
  ]) {
    const field = new Field(t);
    const script = `import { serve, StartError } from "${PACKAGE}src/index.js";
      try { await serve(${words}); } catch (error) { console.log(error instanceof StartError, error.message); }`;
    field.put("script.mjs", script);
    const runtime = field.launch(["script.mjs"]);
    const line = await runtime.prints();
    assert.match(line, /^true /);
    assert.match(line, complaint);
  }
});

test("a file that serves by itself when imported is told so", async (t) => {
  const field = new Field(t);
  field.put("handler.mjs", `${ECHO}import { serve } from "outrigger";\nserve(process);\n`);
  await refused(field, ["handler.mjs"], 78, "leave serve() out");
});
