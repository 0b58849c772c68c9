export * from "./client/index.cjs";

/**
 * A function of the payload, or of the payload and the call's context: plain, async, generator or async generator.
 * The items of a generator are streamed as partial results; what it returns is the result.
 */
export type HandlerFunction<Payload = any, Output = any> = (payload: Payload, ctx: Context) => Output;

/** An object whose `process` is called. */
export interface HandlerObject<Payload = any, Output = any> {
  process(payload: Payload, ctx: Context): Output;
}

/** A class that is made once, without arguments, and whose `process` is called for every message. */
export type HandlerClass = new () => HandlerObject;

/** What may be served. */
export type Handler = HandlerFunction | HandlerObject | HandlerClass;

export interface ServeOptions {
  /** The name of a single function; its own by default. */
  name?: string;
  /** Where to listen; `OUTRIGGER_HANDLER_SOCKET` by default. */
  socket?: string;
  /** Calls at once; `OUTRIGGER_HANDLER_CONCURRENCY`, else 1, by default. */
  concurrency?: number;
  /** The largest frame, in bytes; 256 MiB by default. */
  maxFrame?: number;
}

/**
 * Serves handlers until it is told to stop; settles when all that was in flight has been answered.
 *
 * Several are told apart by their names; an object of names and handlers chooses other names. Rejects with, or throws,
 * a `StartError` where it cannot start.
 */
export function serve(handlers: Handler | Handler[] | Record<string, Handler>, options?: ServeOptions): Promise<void>;

export interface ContextOptions {
  id?: string;
  actor?: string;
  function?: string | null;
  attempt?: number;
  deadline?: Date | null;
  headers?: Record<string, any>;
}

/** What a handler is told about its call, and what it can tell while it works. `new Context()` is for unit tests. */
export class Context {
  constructor(options?: ContextOptions);

  /** The message's id; the same along its route, so the same when a message is delivered twice. */
  readonly id: string;
  /** The actor that has the message. */
  readonly actor: string;
  /** The function that was asked for, where several are served. */
  readonly function: string | null;
  /** Which attempt at this step this is, from 1. */
  readonly attempt: number;
  /** When the answer is no longer wanted; null when never. */
  readonly deadline: Date | null;
  /** The message's headers. */
  readonly headers: Record<string, any>;
  /** The frames that a context made for a test has been told; a real one sends them instead. */
  readonly reported: Array<Record<string, any>>;

  /** Seconds until the deadline, never below 0; null where there is none. */
  readonly remaining: number | null;
  /** Nobody waits for the answer any more; long work looks at this between two steps. */
  readonly canceled: boolean;
  /** Aborted when the call is canceled: for `fetch`, timers, child processes. */
  readonly signal: AbortSignal;

  /**
   * Reports how far the work is: a percentage, a message, or both. Throws `Canceled`. Awaited, it waits until the
   * report has been written, and lets other work have a turn.
   */
  progress(percent: number | null, message?: string): Promise<void>;
  progress(message: string): Promise<void>;
  /** Streams a piece of the answer to whoever follows the job; it is not routed on. As `progress` otherwise. */
  partial(data: unknown): Promise<void>;
  /** Says that the work goes on, where an idle timeout is set. As `progress` otherwise. */
  heartbeat(): Promise<void>;
  /** Marks the call as canceled, as a closed connection does; in a test, what the handler then meets. */
  cancel(): void;
}

/** Exactly one output, whatever the value is: `new One([1, 2])` is no fan-out, `new One(null)` is a null. */
export class One<T = unknown> {
  constructor(value: T);
  readonly value: T;
}

/** Yielded by a generator in place of its `return`: what it holds is the result, and the generator is closed. */
export class Result<T = unknown> {
  constructor(value: T);
  readonly value: T;
}

/** Thrown: give this message up, trying again would not help. It goes to the error-end under `code`. */
export class Fail extends Error {
  constructor(code: string, message?: string, options?: { details?: unknown; cause?: unknown });
  readonly code: string;
  readonly details: unknown;
}

/** Thrown: try this message again, not before `after` seconds; `code` names the error where the attempts run out. */
export class Retry extends Error {
  constructor(message?: string, options?: { after?: number; code?: string; details?: unknown; cause?: unknown });
  readonly after: number | undefined;
  readonly code: string | undefined;
  readonly details: unknown;
}

/** Thrown by `progress`, `partial` and `heartbeat`: the sidecar has closed its connection. */
export class Canceled extends Error {
  constructor(message?: string);
}

/** The runtime cannot start as it was asked to; `exitCode` is what the command leaves with. */
export class StartError extends Error {
  constructor(message: string, exitCode?: number);
  readonly exitCode: number;
}
