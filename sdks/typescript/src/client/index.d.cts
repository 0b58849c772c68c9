/** Sent with a function's own error: which it is, what it tells, and in words. */
export interface ErrorValue {
  /** `package/Error`. */
  tag: string;
  payload: unknown;
  message: string;
}

/** A place where arguments do not fit. */
export interface Flaw {
  /** As in `args[0].records[1].id`. */
  path: string;
  message: string;
}

export interface CallErrorOptions {
  code?: string;
  status?: number | undefined;
  errorValue?: ErrorValue | undefined;
  errors?: Flaw[];
  retryAfter?: number | undefined;
  cause?: unknown;
}

/** A call that has no result. An aborted call rejects with its signal's reason instead. */
export class CallError extends Error {
  constructor(message: string, options?: CallErrorOptions);
  /** What the sidecar calls it, or `sidecar_unavailable`, `connection_lost`, `circuit_open`, `closed`. */
  readonly code: string;
  /** The status of the answer, where it came over HTTP. */
  readonly status: number | undefined;
  readonly errorValue: ErrorValue | undefined;
  /** Every place where the arguments do not fit; empty for any other error. */
  readonly errors: Flaw[];
  /** In so many seconds another try is worth its while, where that is known. */
  readonly retryAfter: number | undefined;
}

/** The function says no, in its own words. */
export class DomainError extends CallError {
  readonly errorValue: ErrorValue;
}

/** The arguments do not fit the function's contract; `errors` names each place. */
export class ArgumentsError extends CallError {}

/** There was no answer in time. */
export class TimeoutError extends CallError {}

/** Nobody is there to do the work: no sidecar, no handler, or the connection was lost. */
export class UnavailableError extends CallError {}

/** Too many calls have failed: none is made now. */
export class CircuitOpenError extends UnavailableError {
  readonly retryAfter: number;
}

export type Mode = "ipc" | "http" | "auto";

/** How a client is known over TLS, as `node:tls` takes it. */
export interface TlsOptions {
  ca?: string | Uint8Array | Array<string | Uint8Array>;
  cert?: string | Uint8Array;
  key?: string | Uint8Array;
  passphrase?: string;
  servername?: string;
  rejectUnauthorized?: boolean;
}

export interface RetryOptions {
  /** Tries in all, the first one too; 3 by default. */
  attempts?: number;
  /** The longest wait before the second try, in milliseconds, doubled for each further one; 50 by default. */
  backoff?: number;
  /** How much of all calls may be retries: a share of them (0.2), at least so many (3), within milliseconds (10,000). */
  budget?: { share?: number; least?: number; window?: number };
}

export interface ClientOptions {
  /**
   * The way that is taken. `auto`, the default: with `NODE_ENV=development` the Unix socket, else HTTP, and the other one where a sidecar
   * answers only there.
   */
  mode?: Mode;
  /** `http://host:port`, `https://..` or `http+unix:///path.sock`; by default `OUTRIGGER_CALLS_URL`, else `http://127.0.0.1:8080`. */
  url?: string | URL;
  /** The Unix socket; by default `OUTRIGGER_CALLS_SOCKET`, else where `ipc:` of the configuration is. */
  socket?: string;
  /** The sidecar's token, where `calls.auth` asks for one. */
  token?: string;
  tls?: TlsOptions;
  /** How long a call may take with all its tries, in milliseconds; 30,000 by default, 0 is without limit. */
  timeout?: number;
  retry?: RetryOptions;
  /** Whether calls may run twice: then they are also tried again where they may have run. False by default. */
  idempotent?: boolean;
  /** Stops calling a sidecar that does not answer; none by default. Several clients may share one. */
  breaker?: CircuitBreaker | CircuitBreakerOptions;
}

export interface RequestOptions {
  /** Ends the call when it is aborted; the sidecar is told. */
  signal?: AbortSignal | undefined;
  /** In milliseconds, in place of the client's own. Of a stream: how long its next piece may take. */
  timeout?: number;
}

export interface CallOptions extends RequestOptions {
  /** The function's package; `package/name` as the name says it too. */
  package?: string;
  /** In place of the client's own. */
  idempotent?: boolean;
}

export interface UploadOptions extends RequestOptions {
  package?: string;
  /** `application/octet-stream` by default. */
  contentType?: string;
  /** The function's path; by default the sidecar is asked for it. */
  path?: string;
}

/** What a body can be: bytes, a text, or whatever gives pieces of these, as a stream of Node or of the web does. */
export type Body = string | Uint8Array | Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

/** The pieces of a result. Nothing is called before the first is asked for; leaving the loop ends the call. */
export interface CallStream<Piece, Result> extends AsyncGenerator<Piece, Result, undefined> {
  /** What the function gives in the end, once all pieces are read. */
  readonly result: Promise<Result>;
}

/** A function as the sidecar lists it, its types as TypeScript spells them. */
export interface FunctionEntry {
  package: string;
  name: string;
  supportsStreaming: boolean;
  inputType: string;
  outputType: string;
  parameters: Array<{ name: string; type: string }>;
  returnType: string;
  filePath: string;
  /** The path that `POST` calls it by. */
  path?: string;
}

export interface Version {
  version: string;
  commit: string;
  date: string;
  contractVersion: string;
  runtime: string;
}

export interface Health {
  /** In words. */
  status: string;
  reloading?: boolean;
  generation?: number;
}

/** Calls the functions of a sidecar. */
export class SidecarClient {
  constructor(options?: ClientOptions);
  /** The way that is taken; undefined before `auto` has found one. */
  readonly way: "ipc" | "http" | undefined;
  /** Calls `name`, or `package/name`, with a list of arguments; gives its result. */
  call<Result = unknown>(name: string, args?: readonly unknown[], options?: CallOptions): Promise<Result>;
  /** Calls a function that gives its result in pieces. */
  stream<Piece = unknown, Result = unknown>(name: string, args?: readonly unknown[], options?: CallOptions): CallStream<Piece, Result>;
  /** Sends a body of any size and kind to a function with `input: stream`; always over HTTP, and once. A stream is closed in the end. */
  upload<Result = unknown>(name: string, body: Body, options?: UploadOptions): Promise<Result>;
  /** What can be called. This and the next three are asked over HTTP in every mode. */
  functions(options?: RequestOptions): Promise<FunctionEntry[]>;
  /** The functions as declarations in TypeScript. */
  types(options?: RequestOptions): Promise<string>;
  version(options?: RequestOptions): Promise<Version>;
  /** Rejects where the sidecar does not answer. */
  health(options?: RequestOptions): Promise<Health>;
  /**
   * Takes no more calls, waits until those in flight are answered, and closes the connections. A stream whose reader asks for nothing more
   * within its timeout, or within 30 seconds where that is longer, is ended.
   */
  close(): Promise<void>;
}

export type CircuitState = "closed" | "open" | "half-open";

export interface CircuitBreakerOptions {
  /** So many failures in a row open it; 5 by default. */
  failures?: number;
  /** For how long, in milliseconds; 60,000 by default. */
  open?: number;
  /** What counts as a failure; by default outages and timeouts, and not what a function or the sidecar answers of the call itself. */
  isFailure?: (error: any) => boolean;
  /** Gives what `execute` gives in place of a failure, and while it is open. */
  fallback?: (error: Error) => any;
}

/** Stops doing what fails again and again; after a time lets one try. */
export class CircuitBreaker {
  constructor(options?: CircuitBreakerOptions);
  /** Half-open from when somebody tries after the time. */
  readonly state: CircuitState;
  execute<T>(work: () => T | PromiseLike<T>, fallback?: (error: Error) => T | PromiseLike<T>): Promise<T>;
  on(event: "open" | "rejected", listener: (error: Error) => void): this;
  on(event: "half-open" | "closed", listener: () => void): this;
  once(event: "open" | "rejected", listener: (error: Error) => void): this;
  once(event: "half-open" | "closed", listener: () => void): this;
  off(event: "open" | "half-open" | "closed" | "rejected", listener: (...args: any[]) => void): this;
}

/** A request as `node:http` has it; those of Express are such, and `request.raw` of Fastify. */
export interface NodeRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  readonly rawHeaders: string[];
}

/** An answer as `node:http` has it; those of Express are such, and `reply.raw` of Fastify. */
export interface NodeResponse {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: number | string | readonly string[]): unknown;
  end(...words: any[]): unknown;
}

/** A client's connection as `node:http` gives it with `upgrade`. */
export interface NodeSocket {
  readonly destroyed: boolean;
  destroy(): unknown;
  write(data: any): unknown;
  on(event: any, listener: (...words: any[]) => void): unknown;
}

export interface ProxyOptions {
  /** As of `SidecarClient`. */
  url?: string | URL;
  /** Shown to the sidecar in place of the request's own `Authorization`. */
  token?: string;
  tls?: TlsOptions;
  /** How long the head of an answer may take once the request has been sent, in milliseconds; 30,000 by default, 0 is without limit. */
  timeout?: number;
  /** Sent with every request, in place of its own of the same name. */
  headers?: Record<string, string>;
  /** As of `SidecarClient`, with one attempt by default. Only what cannot have been done, or may be done twice and has no body. */
  retry?: RetryOptions;
  breaker?: CircuitBreaker | CircuitBreakerOptions;
  /** Whether `X-Forwarded-Proto` and `-Host` of the request are believed; with Express its `trust proxy` is asked too. */
  trustForwarded?: boolean;
}

/** Answers in place of a sidecar that is away. Nothing of the request has been read. */
export type Fallback<Request = any, Response = any> = (error: CallError, request: Request, response: Response) => unknown;

export interface HttpProxyOptions extends ProxyOptions {
  fallback?: Fallback;
}

export interface ForwardOptions {
  /** The path and query at the sidecar; by default the request's own, as it was received. */
  path?: string;
  timeout?: number;
  headers?: Record<string, string>;
  /**
   * The body, where something else has read it already. Of a request for JSON, a text is sent as it is where it is JSON itself, else as a
   * string of JSON.
   */
  body?: unknown;
  fallback?: Fallback | undefined;
}

export interface UpgradeOptions {
  /** The path and query at the sidecar; by default the request's own, as it was received. */
  path?: string;
  /** How long the first answer may take; as of `HttpProxy`. */
  timeout?: number;
  headers?: Record<string, string>;
  /** Takes the WebSocket in place of a sidecar that is away. Nothing of it has been read. */
  fallback?: ((error: CallError, request: any, socket: any, head: any) => unknown) | undefined;
}

/** Sends requests on to the sidecar, both bodies streamed, and answers 502, 503 or 504 where that fails. */
export class HttpProxy {
  constructor(options?: HttpProxyOptions);
  /**
   * Sends a WebSocket on: `server.on("upgrade", proxy.upgrade)`. What fails is answered on the connection itself. Settles when it is over,
   * and rejects only with what `fallback` throws.
   */
  readonly upgrade: (request: NodeRequest, socket: NodeSocket, head: Uint8Array, options?: UpgradeOptions) => Promise<void>;
  /** Settles when the request has been answered, or its client has gone. */
  forward(request: NodeRequest, response: NodeResponse, options?: ForwardOptions): Promise<void>;
  /** Closes the connections that nobody uses. */
  close(): void;
}

export interface DiscoverOptions {
  /** Stands before the path of each function: `/api`. */
  prefix?: string;
  /** After so many milliseconds the functions are asked for again; 10,000 by default. */
  refresh?: number;
}

export interface ExpressProxyOptions extends ProxyOptions {
  /** Whether a slash at the end of a path makes it another one. False by default, as in Express. */
  strict?: boolean;
  /** Whether paths match only in their own case. False by default, as in Express. */
  caseSensitive?: boolean;
  /** Routes for all functions of the sidecar, found when the first request comes. */
  auto?: boolean | DiscoverOptions;
  /** Where the sidecar is away: `true` has the next handler answer, a function answers itself. Else the answer is 503 or 504. */
  fallback?: true | ((error: CallError, request: any, response: any, next: (error?: unknown) => void) => unknown);
}

export interface RouteOptions {
  /** All by default. `HEAD` goes with `GET`. */
  methods?: readonly string[];
}

/** A middleware for Express 4 and 5, and for whatever else calls `(request, response, next)`. */
export interface ExpressProxy {
  (request: NodeRequest, response: NodeResponse, next: (error?: any) => void): Promise<void>;
  readonly proxy: HttpProxy;
  /**
   * Sends WebSockets on whose path has a route: `server.on("upgrade", proxy.upgrade)`. The path is whole here, wherever the middleware stands.
   * What has no route goes to `next`; without one it is left to the server's other listeners, and answered with 404 where it has none. With
   * `fallback: true` it goes to `next` too where the sidecar is away.
   */
  readonly upgrade: (request: NodeRequest, socket: NodeSocket, head: Uint8Array, next?: () => void) => Promise<void>;
  /**
   * Sends a path to one of the sidecar's, the same by default; `/reports/*` is all below. The path is the one where the middleware stands. It
   * matches as in Express: in any case and with a slash at its end, unless the proxy is `caseSensitive` or `strict`.
   */
  route(from: string, to?: string, options?: RouteOptions): ExpressProxy;
  /** Asks the sidecar for its functions, and sends `POST` of their paths there; rejects where it does not answer, and asks again with the next requests. */
  discover(options?: DiscoverOptions): Promise<Array<[from: string, to: string]>>;
  /** Where a path goes; undefined where it stays. */
  find(path: string, method?: string): string | undefined;
  routes(): Array<[from: string, to: string]>;
  close(): void;
}

export function expressProxy(options?: ExpressProxyOptions): ExpressProxy;
