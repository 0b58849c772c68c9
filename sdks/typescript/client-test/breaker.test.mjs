/** The circuit breaker and the budget of retries, with a clock that the test moves. */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import { CircuitBreaker, CircuitOpenError, DomainError, TimeoutError, UnavailableError } from "outrigger";

const { Budget } = createRequire(import.meta.url)("../src/client/retry.cjs");

const fail = () => Promise.reject(new UnavailableError("away", { code: "sidecar_unavailable" }));
const work = () => Promise.resolve("done");

/** A breaker, what it tells, and a way to move its clock. */
function breaker(t, options) {
  let now = 1000;
  t.mock.method(performance, "now", () => now);
  const it = new CircuitBreaker({ failures: 3, open: 1000, ...options });
  const told = [];
  for (const event of ["open", "half-open", "closed", "rejected"]) it.on(event, () => told.push(event));
  return { it, told, pass: (milliseconds) => (now += milliseconds) };
}

test("failures in a row open it, and a success in between begins anew", async (t) => {
  const { it, told } = breaker(t);
  for (const step of [fail, fail, work, fail, fail]) await it.execute(step).catch(() => {});
  assert.equal(it.state, "closed");
  await assert.rejects(it.execute(fail), UnavailableError);
  assert.equal(it.state, "open");
  await assert.rejects(it.execute(() => assert.fail("it must not run")), (error) => error instanceof CircuitOpenError && error.retryAfter === 1);
  assert.deepEqual(told, ["open", "rejected"]);
});

test("after its time one may try, others wait, and a success closes it", async (t) => {
  const { it, told, pass } = breaker(t, { failures: 1 });
  await it.execute(fail).catch(() => {});
  pass(999);
  await assert.rejects(it.execute(work), CircuitOpenError);
  pass(1);
  let finish;
  const probe = it.execute(() => new Promise((resolve) => (finish = resolve)));
  assert.equal(it.state, "half-open");
  await assert.rejects(it.execute(work), CircuitOpenError);
  finish("probed");
  assert.equal(await probe, "probed");
  assert.equal(await it.execute(work), "done");
  assert.deepEqual(told, ["open", "rejected", "half-open", "rejected", "closed"]);
});

test("a probe that fails opens it for another while", async (t) => {
  const { it, pass } = breaker(t, { failures: 2 });
  for (let n = 0; n < 2; n += 1) await it.execute(fail).catch(() => {});
  pass(1000);
  await it.execute(fail).catch(() => {});
  assert.equal(it.state, "open");
  pass(999);
  await assert.rejects(it.execute(work), CircuitOpenError);
});

test("a probe that is taken back leaves its place to the next", async (t) => {
  const { it, pass } = breaker(t, { failures: 1 });
  await it.execute(fail).catch(() => {});
  pass(1000);
  await assert.rejects(it.execute(() => Promise.reject(new DOMException("no more", "AbortError"))), { name: "AbortError" });
  assert.equal(await it.execute(work), "done");
  assert.equal(it.state, "closed");
});

test("what began before it opened says nothing of it afterwards", async (t) => {
  const { it, pass } = breaker(t, { failures: 1 });
  let end;
  const old = it.execute(() => new Promise((resolve) => (end = resolve)));
  await it.execute(fail).catch(() => {});
  end("late");
  assert.equal(await old, "late");
  assert.equal(it.state, "open");
  pass(1000);
  assert.equal(await it.execute(work), "done");
});

test("what a function or the sidecar says of a call is no failure", async (t) => {
  const { it } = breaker(t, { failures: 1 });
  const refusal = new DomainError("no", { code: "no", errorValue: { tag: "main/No", payload: null, message: "no" } });
  await assert.rejects(it.execute(() => Promise.reject(refusal)), DomainError);
  assert.equal(it.state, "closed");
  await assert.rejects(it.execute(() => Promise.reject(new TimeoutError("late", { code: "timeout" }))), TimeoutError);
  assert.equal(it.state, "open");
});

test("a fallback stands in for failures, and while it is open", async (t) => {
  const { it } = breaker(t, { failures: 1, fallback: (error) => `instead of ${error.code}` });
  assert.equal(await it.execute(fail), "instead of sidecar_unavailable");
  assert.equal(await it.execute(work), "instead of circuit_open");
  assert.equal(await it.execute(work, () => "this once"), "this once");
});

test("settings that cannot be are refused", () => {
  for (const options of [{ failures: 0 }, { failures: 1.5 }, { open: -1 }, { open: Number.NaN }]) {
    assert.throws(() => new CircuitBreaker(options), RangeError);
  }
});

test("retries are a share of the calls of the last moments, and a few in any case", () => {
  let now = 0;
  const budget = new Budget({ share: 0.2, least: 3, window: 10_000 }, () => now);
  const taken = () => Array.from({ length: 50 }, () => budget.take()).filter(Boolean).length;
  assert.equal(taken(), 3);
  for (let n = 0; n < 100; n += 1) budget.called();
  assert.equal(taken(), 17);
  now += 11_000;
  assert.equal(taken(), 3);
});
