/** What stands in the frames: hello, ping, meta, replies of every kind. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ECHO, Field } from "./support.mjs";

test("hello is the first frame and names the function", async (t) => {
  const field = new Field(t);
  const peer = await field.knock(await field.start(ECHO));
  const { control, body } = await peer.frame();
  assert.equal(control, true);
  assert.equal(String(body), '{"hello":{"protocol":1,"functions":[{"name":"process","args":[{"name":"payload"}]}]}}');
});

test("generators are announced as streaming", async (t) => {
  const field = new Field(t);
  const source = `
    export function one() { return 1; }
    export function* many() { yield 1; }
    export async function* more() { yield 1; }
    export class Many { *process() {} }
  `;
  const peer = await field.knock(await field.start(source, { spec: "handler.mjs:one,many,more,Many" }));
  assert.deepEqual(await peer.hello(), [
    { name: "one" },
    { name: "many", streaming: true },
    { name: "more", streaming: true },
    { name: "Many", streaming: true },
  ]);
});

test("a ping is answered with its own number", async (t) => {
  const peer = await new Field(t).serve(ECHO);
  for (const number of [1, 0, 4294967296]) {
    peer.control({ ping: number });
    assert.equal(await peer.pong(), number);
  }
});

test("control frames of a later protocol are passed over", async (t) => {
  const peer = await new Field(t).serve(ECHO);
  peer.control({ weather: "fine" });
  assert.deepEqual(await peer.call(1), { status: "ok", result: 1 });
});

test("an empty connection is not an error", async (t) => {
  const field = new Field(t);
  const runtime = await field.start(ECHO);
  (await field.knock(runtime)).close();
  assert.equal((await (await field.connect(runtime)).call(7)).result, 7);
  runtime.signal("SIGTERM");
  await runtime.says("outrigger: stopping");
  assert.doesNotMatch(runtime.said, /given up/);
});

const TELL = `
  export const process = (payload, { id, actor, attempt, headers, deadline, remaining, function: name }) =>
    ({ id, actor, attempt, headers, deadline, function: name, remaining: remaining === null ? null : remaining > 0 });
`;

test("meta reaches the context of the next request only", async (t) => {
  const peer = await new Field(t).serve(TELL, { environment: { OUTRIGGER_ACTOR: "clean" } });
  const meta = {
    id: "m1",
    actor: "other",
    attempt: 3,
    headers: { k: [1] },
    deadline: "2130-01-02T03:04:05.5+01:00",
    input: "payload",
    later: "unknown",
  };
  assert.deepEqual((await peer.call(null, meta)).result, {
    id: "m1",
    actor: "other",
    attempt: 3,
    headers: { k: [1] },
    deadline: "2130-01-02T02:04:05.500Z",
    function: null,
    remaining: true,
  });
  const plain = { id: "", actor: "clean", attempt: 1, headers: {}, deadline: null, function: null, remaining: null };
  assert.deepEqual((await peer.call(null)).result, plain);
});

test("a ping between meta and request takes nothing away", async (t) => {
  const peer = await new Field(t).serve(TELL);
  peer.control({ meta: { id: "m2" } });
  peer.control({ ping: 5 });
  assert.equal(await peer.pong(), 5);
  assert.equal((await peer.call(null)).result.id, "m2");
});

test("meta chooses one of several functions", async (t) => {
  const source = "export const a = () => 'a'; export const b = () => 'b';";
  const peer = await new Field(t).serve(source, { spec: "handler.mjs:a,b" });
  assert.equal((await peer.call(0, { function: "b" })).result, "b");
  assert.equal((await peer.call(0, { function: "a" })).result, "a");
  for (const meta of [{ function: "c" }, {}, { function: "constructor" }]) {
    const refused = await peer.call(0, meta);
    assert.deepEqual([refused.error, refused.retryable], ["unknown_function", false]);
    assert.match(refused.message, /serves a, b/);
  }
});

test("a single function serves every name", async (t) => {
  const peer = await new Field(t).serve(ECHO);
  assert.deepEqual(await peer.call(1, { function: "whatever" }), { status: "ok", result: 1 });
});

test("results keep what the protocol makes of them", async (t) => {
  const source = `
    import { One } from "outrigger";
    class Point { constructor() { this.x = 1; } get y() { return 2; } }
    const results = {
      nothing: undefined, null: null, empty: [], list: [1, null, 2, undefined], one: new One([1, 2]), void: new One(null),
      none: new One(undefined), text: "h\\u00e9\\u{1f600}", zero: 0, half: "\\ud800", no: false, blank: "",
      date: new Date(0), point: new Point(), left: { out: undefined, kept: 1 },
      bare: Object.assign(Object.create(null), { a: 1 }),
      own: { toJSON: () => "mine" }, url: new URL("http://localhost/"),
    };
    export const process = (payload) => results[payload];
  `;
  const peer = await new Field(t).serve(source);
  const expected = {
    nothing: '{"status":"ok"}',
    null: '{"status":"ok"}',
    empty: '{"status":"ok","result":[]}',
    list: '{"status":"ok","result":[1,null,2,null]}',
    one: '{"status":"ok","result":[[1,2]]}',
    void: '{"status":"ok","result":[null]}',
    none: '{"status":"ok","result":[null]}',
    text: '{"status":"ok","result":"h\u00e9\u{1f600}"}',
    zero: '{"status":"ok","result":0}',
    half: '{"status":"ok","result":"\\ud800"}',
    no: '{"status":"ok","result":false}',
    blank: '{"status":"ok","result":""}',
    date: '{"status":"ok","result":"1970-01-01T00:00:00.000Z"}',
    point: '{"status":"ok","result":{"x":1}}',
    left: '{"status":"ok","result":{"kept":1}}',
    bare: '{"status":"ok","result":{"a":1}}',
    own: '{"status":"ok","result":"mine"}',
    url: '{"status":"ok","result":"http://localhost/"}',
  };
  for (const [asked, bytes] of Object.entries(expected)) {
    peer.request(asked);
    assert.equal(String((await peer.frame()).body), bytes, asked);
  }
});

test("what is not JSON is an error that says where it stands", async (t) => {
  const source = `
    const cycle = { a: [] };
    cycle.a.push(cycle);
    let deep = [];
    for (let i = 0; i < 200000; i++) deep = [deep];
    const results = {
      nan: NaN, infinity: { a: [0, Infinity] }, bigint: { n: 1n }, set: { s: [new Set([1])] }, map: new Map(),
      bytes: Buffer.from("x"), function: { f() {} }, symbol: [Symbol("s")], date: new Date(NaN), error: new Error("lost"),
      promise: { p: Promise.resolve(1) }, cycle, deep, json: { a: { toJSON: () => NaN } },
      getter: { get a() { throw new Error("not now"); } },
    };
    export const process = (payload) => results[payload];
  `;
  const peer = await new Field(t).serve(source);
  const expected = {
    nan: "NaN at $ is not JSON",
    infinity: "Infinity at $.a[1] is not JSON",
    bigint: "the bigint 1 at $.n is not JSON",
    set: "a value of type Set at $.s[0] is not JSON",
    map: "a value of type Map at $ is not JSON",
    bytes: "a value of type Buffer at $ is not JSON",
    function: "a function at $.f is not JSON",
    symbol: "a symbol at $[0] is not JSON",
    date: "an invalid Date at $ is not JSON",
    error: "a value of type Error at $ is not JSON",
    promise: "a value of type Promise at $.p is not JSON",
    cycle: "it contains itself",
    deep: "it is nested too deeply",
    json: "NaN at $.a is not JSON",
    getter: "not now",
  };
  for (const [asked, complaint] of Object.entries(expected)) {
    const message = `the handler's result cannot be sent: ${complaint}`;
    assert.deepEqual(await peer.call(asked), { status: "error", error: "invalid_result", message, retryable: false });
  }
});

test("interim frames come in order before the final one", async (t) => {
  const source = `
    export function process(payload, ctx) {
      ctx.progress(25);
      ctx.progress(null, "a third");
      ctx.progress("half");
      ctx.progress(75.5, "more");
      ctx.partial({ k: 1 });
      ctx.partial(undefined);
      ctx.heartbeat();
      return "done";
    }
    export async function awaited(payload, ctx) {
      for (let i = 0; i < 100; i++) await ctx.progress(i);
      return "done";
    }
  `;
  const peer = await new Field(t).serve(source, { spec: "handler.mjs:process,awaited" });
  for (let round = 0; round < 2; round++) {
    peer.request(null, { function: "process" });
    assert.deepEqual(await peer.replies(8), [
      { status: "progress", percent: 25 },
      { status: "progress", message: "a third" },
      { status: "progress", message: "half" },
      { status: "progress", percent: 75.5, message: "more" },
      { status: "partial", data: { k: 1 } },
      { status: "partial", data: null },
      { status: "heartbeat" },
      { status: "ok", result: "done" },
    ]);
  }
  peer.request(null, { function: "awaited" });
  const frames = await peer.replies(101);
  assert.deepEqual(frames.slice(0, 100).map((frame) => frame.percent), [...Array(100).keys()]);
  assert.deepEqual(frames[100], { status: "ok", result: "done" });
});

test("generators stream their items and return their result", async (t) => {
  const source = `
    import { Result } from "outrigger";
    export function* plain(n) {
      for (let i = 0; i < n; i++) yield i;
      return { sum: n };
    }
    export async function* later(n) {
      for (let i = 0; i < n; i++) yield Promise.resolve(i);
      return "end";
    }
    export async function* ended(n) {
      try {
        yield* plain(n);
        yield new Result(["a", "b"]);
        yield "never";
      } finally {
        console.log("closed");
      }
    }
    export function* silent(n) { yield n; }
    export async function* failing(n) { yield n; throw new TypeError("half way"); }
  `;
  const field = new Field(t);
  const runtime = await field.start(source, { spec: "handler.mjs:plain,later,ended,silent,failing" });
  const peer = await field.connect(runtime);
  const partials = [0, 1, 2].map((data) => ({ status: "partial", data }));
  for (const [name, result] of [
    ["plain", { sum: 3 }],
    ["later", "end"],
    ["ended", ["a", "b"]],
  ]) {
    peer.request(3, { function: name });
    assert.deepEqual(await peer.replies(4), [...partials, { status: "ok", result }]);
  }
  assert.equal(await runtime.prints(), "closed");
  peer.request(3, { function: "silent" });
  assert.deepEqual(await peer.replies(2), [{ status: "partial", data: 3 }, { status: "ok" }]);
  peer.request(3, { function: "failing" });
  const [, failed] = await peer.replies(2);
  assert.deepEqual([failed.type, failed.message], ["TypeError", "half way"]);
});

test("a context is silent after the final frame", async (t) => {
  const source = `
    let kept;
    export function process(payload, ctx) {
      try { kept?.progress(1); } catch (error) { return error.message; }
      kept = ctx;
    }
  `;
  const peer = await new Field(t).serve(source);
  assert.deepEqual(await peer.call(null), { status: "ok" });
  assert.match((await peer.call(null)).result, /this call has ended/);
});
