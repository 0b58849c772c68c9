/**
 * Write a function; Outrigger brings it the work.
 *
 * A handler is a plain function of the payload, or of the payload and a `Context`. `outrigger handler.mjs:process`
 * and `serve(process)` put it behind a Unix socket that a sidecar connects to; a unit test calls it like any other
 * function. `SidecarClient` is the other half, which any program calls functions with. The types stand in `index.d.ts`
 * and `client/index.d.cts`, written by hand: there is nothing to compile.
 */

export { Context } from "./context.js";
export { Canceled, Fail, Retry, StartError } from "./errors.js";
export { serve } from "./server.js";
export { One, Result } from "./values.js";
export {
  ArgumentsError,
  CallError,
  CircuitBreaker,
  CircuitOpenError,
  DomainError,
  expressProxy,
  HttpProxy,
  SidecarClient,
  TimeoutError,
  UnavailableError,
} from "./client/index.cjs";
