/** What the types allow and what they refuse; checked by `tsc`, never run. */

import { Canceled, Context, Fail, type Handler, One, Result, Retry, serve, StartError } from "outrigger";

interface Image {
  pixels: number[];
}

export function plain(payload: Image): number {
  return payload.pixels.length;
}

export async function told(payload: Image, ctx: Context) {
  ctx.progress(50, "half");
  await ctx.progress("more");
  await ctx.partial({ pixels: payload.pixels.length });
  await ctx.heartbeat();
  if (ctx.canceled || (ctx.remaining ?? 1) < 0.5) {
    throw new Retry("later", { after: 5, code: "busy", details: [ctx.attempt] });
  }
  const answer = await fetch("http://localhost/", { signal: ctx.signal });
  const deadline: string | undefined = ctx.deadline?.toISOString();
  return { status: answer.status, tenant: ctx.headers.tenant, name: ctx.function?.length, deadline };
}

export function* pieces(n: number): Generator<number, { sum: number }> {
  for (let i = 0; i < n; i++) yield i;
  return { sum: n };
}

export async function* later(n: number) {
  yield* pieces(n);
  yield new Result([n]);
}

export class Model {
  process(payload: Image, ctx: Context): One<number[]> {
    if (payload.pixels.length === 0) throw new Fail("no_image", "it is empty", { details: ctx.id });
    return new One(payload.pixels);
  }
}

export const handlers: Handler[] = [plain, told, pieces, later, Model, new Model()];

export async function main(): Promise<void> {
  await serve(plain, { name: "count", socket: "/run/s", concurrency: 4, maxFrame: 1024 });
  await serve([plain, told]);
  await serve({ a: plain, b: Model, c: new Model() }).catch((error: unknown) => {
    if (error instanceof StartError) console.log(error.exitCode + 1);
  });
  const ctx = new Context({ attempt: 2, deadline: new Date() });
  ctx.cancel();
  console.log(ctx.reported[0]?.status, new Canceled().message);
}

// @ts-expect-error: a class that needs arguments cannot be made by the runtime
export const needy: Handler = class { constructor(_: number) {} process() {} };
// @ts-expect-error: nothing to call
serve(3);
// @ts-expect-error: not a setting
serve(plain, { concurency: 1 });
// @ts-expect-error: a code comes first
new Fail();
// @ts-expect-error: seconds, as a number
new Retry("", { after: "5s" });
// @ts-expect-error: at least one of the two
new Context().progress();
// @ts-expect-error: a context does not change
new Context().attempt = 3;
