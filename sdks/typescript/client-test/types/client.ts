/** What the types allow and what they refuse; checked by `tsc` as an ES module and as CommonJS, never run. */

import {
  ArgumentsError,
  CallError,
  CircuitBreaker,
  CircuitOpenError,
  DomainError,
  type ErrorValue,
  expressProxy,
  type FunctionEntry,
  HttpProxy,
  SidecarClient,
  TimeoutError,
  UnavailableError,
} from "outrigger";
import { CircuitBreaker as ForstBreaker, ForstClient, ForstExpressProxy, ForstHTTPProxy } from "outrigger/forst";
import express, { type Request, type Response } from "express";
import fastify from "fastify";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";

interface Order {
  items: { price: number; count: number }[];
}
interface Total {
  total: number;
}

export async function calls(order: Order, signal: AbortSignal): Promise<number> {
  const client = new SidecarClient({ mode: "auto", url: new URL("http://127.0.0.1:8080"), retry: { attempts: 2, budget: { share: 0.1 } } });
  const total: Total = await client.call<Total>("shop/priceOrder", [order], { signal, timeout: 100, idempotent: true });
  const unknown: unknown = await client.call("echo");
  const stream = client.stream<number, { counted: number }>("count", [3] as const);
  let sum = 0;
  for await (const piece of stream) sum += piece;
  const { counted } = await stream.result;
  await client.upload("takeAll", createReadStream("x"), { contentType: "text/csv" });
  await client.upload("takeAll", new Uint8Array(1));
  const functions: FunctionEntry[] = await client.functions();
  const texts: string[] = [await client.types(), (await client.version()).commit, (await client.health()).status];
  const way: "ipc" | "http" | undefined = client.way;
  await client.close();
  console.log(unknown, functions, texts, way);
  return total.total + counted;
}

export function explained(error: unknown): string {
  if (error instanceof DomainError) {
    const value: ErrorValue = error.errorValue;
    return value.tag;
  }
  if (error instanceof ArgumentsError) return error.errors.map((it) => it.path).join();
  if (error instanceof CircuitOpenError) return (error.retryAfter + 1).toFixed();
  if (error instanceof TimeoutError || error instanceof UnavailableError) return error.code;
  return error instanceof CallError ? String(error.status ?? 0) : "";
}

export async function broken(): Promise<void> {
  const breaker = new CircuitBreaker({ failures: 3, open: 1000, isFailure: (error) => error instanceof TimeoutError });
  breaker.on("open", (error) => console.log(error.message)).once("closed", () => {});
  const n: number = await breaker.execute(async () => 1, () => 2);
  const state: "closed" | "open" | "half-open" = breaker.state;
  console.log(n, state, new SidecarClient({ breaker }), new SidecarClient({ breaker: { failures: 1 } }));
}

export function forwarded(): void {
  const app = express();
  const proxy = expressProxy({ auto: { prefix: "/api" }, fallback: true }).route("/a", "/b", { methods: ["POST"] });
  app.use(proxy);
  app.use("/x", expressProxy({ fallback: (error, _request, response: Response, next) => (error.code === "x" ? response.end() : next()) }));
  const whole = new HttpProxy({ timeout: 0 });
  app.all("/y", (request: Request, response: Response) => whole.forward(request, response, { path: "/z" }));
  const server = createServer((request, response) => whole.forward(request, response));
  server.on("upgrade", proxy.upgrade).on("upgrade", whole.upgrade);
  server.on("upgrade", (request, socket, head) => {
    void whole.upgrade(request, socket, head, { path: "/x", fallback: (error, _request, it) => it.end(error.code) });
    void proxy.upgrade(request, socket, head, () => socket.destroy());
  });
  fastify().all("/*", (request, reply) => {
    reply.hijack();
    return whole.forward(request.raw, reply.raw, { body: request.body });
  });
}

export async function earlier(): Promise<void> {
  const client = new ForstClient({ mode: "development" });
  const total: Total = await client.callFunction<Total>("priceOrder", [{}]);
  const forstProxy = new ForstExpressProxy({ sidecarUrl: "http://localhost:8080", timeout: 1, retries: 3, circuitBreaker: true });
  forstProxy.registerRoute("/a", "/b");
  const route: string | undefined = forstProxy.getRoute("/a");
  void forstProxy.autoRegisterRoutes();
  const app = express();
  app.use(forstProxy.middleware());
  const breaker = new ForstBreaker({ failureThreshold: 5, timeout: 60000 });
  app.use(async (request: Request, response: Response) => {
    await breaker.execute(async () => {
      await forstProxy.proxyRequest(request, response, { timeout: 30000, retry: true });
    });
    await new ForstHTTPProxy({ sidecarUrl: "http://localhost:8080" }).proxyRequest(request, response);
  });
  console.log(total, route);
}

// @ts-expect-error: not built
new SidecarClient({ mode: "direct" });
// @ts-expect-error: a list
new SidecarClient().call("f", { a: 1 });
// @ts-expect-error: milliseconds, as a number
new SidecarClient({ timeout: "5s" });
// @ts-expect-error: not a setting
new HttpProxy({ adress: "x" });
// @ts-expect-error: no such event
new CircuitBreaker().on("opened", () => {});
// @ts-expect-error: an error does not change
new CallError("x").code = "y";
