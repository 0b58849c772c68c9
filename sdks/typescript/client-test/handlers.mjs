/** The functions that the tests call. A file named `gate` in the folder opens what waits at it. */

import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Fail } from "outrigger";

const note = (text) => fs.appendFileSync("notes", `${text}\n`);

export const echo = (value) => value;

export function priceOrder(order) {
  const total = order.items.reduce((sum, item) => sum + item.price * item.count, 0);
  if (total > 10_000) throw new Fail("too_much", "nobody pays that much here", { details: { total } });
  return { total, lines: order.items.length };
}

export async function* count(n) {
  for (let i = 1; i <= n; i += 1) yield i;
  return { counted: n };
}

export async function* stall(n, ctx) {
  ctx.signal.addEventListener("abort", () => note("stall canceled"));
  for (let i = 1; i <= n; i += 1) yield i;
  for (;;) {
    await ctx.heartbeat();
    await sleep(20);
  }
}

export async function gated(value, ctx) {
  note("gated called");
  ctx.signal.addEventListener("abort", () => note("gated canceled"));
  while (!fs.existsSync("gate") && !ctx.canceled) await sleep(5);
  return value;
}

export async function* flood(n) {
  for (let i = 1; i <= n; i += 1) {
    if (i % 10 === 0) fs.writeFileSync("flooded", String(i));
    yield "x".repeat(10_000);
  }
}

export async function* stumble() {
  yield 1;
  throw new Error("half-way");
}

export function crash() {
  throw new Error("something broke");
}
