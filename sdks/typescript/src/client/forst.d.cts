import {
  CircuitBreaker as Breaker,
  type CircuitBreakerOptions,
  type ClientOptions,
  type Mode,
  type NodeRequest,
  type NodeResponse,
  SidecarClient,
} from "./index.cjs";

export interface ForstConfig extends Omit<ClientOptions, "mode"> {
  /** `development` is `ipc`, `production` is `http`. */
  mode?: Mode | "development" | "production";
  sidecarUrl?: string;
  http?: { port?: number };
  /** `/tmp/forst.sock` by default. */
  ipc?: { socketPath?: string };
}

/** `SidecarClient` under its earlier name. */
export class ForstClient extends SidecarClient {
  constructor(config?: ForstConfig);
  callFunction<T = unknown>(name: string, args: any[]): Promise<T>;
}

export interface ProxyConfig {
  sidecarUrl: string;
  /** In milliseconds. */
  timeout?: number;
  /** Tries after the first. */
  retries?: number;
  circuitBreaker?: boolean | CircuitBreakerOptions;
  token?: string;
}

export interface ProxyOptions {
  /** In milliseconds, 0 is without limit. */
  timeout?: number;
  headers?: Record<string, string>;
  /** Taken, and without effect: what may be tried again is known. */
  retry?: boolean;
}

/** `HttpProxy` under its earlier name. */
export class ForstHTTPProxy {
  constructor(config: ProxyConfig);
  /** Settles when the request has been answered, also where that was with an error. */
  proxyRequest(request: NodeRequest, response: NodeResponse, options?: ProxyOptions): Promise<void>;
  close(): void;
}

/** `expressProxy` under its earlier name. */
export class ForstExpressProxy {
  constructor(config: ProxyConfig);
  registerRoute(nodeRoute: string, forstRoute: string): void;
  getRoute(path: string): string | undefined;
  /** Asks the sidecar for its functions, and again with the next requests where it is not there yet; never rejects. */
  autoRegisterRoutes(): Promise<void>;
  middleware(): (request: NodeRequest, response: NodeResponse, next: (error?: any) => void) => Promise<void>;
  proxyRequest(request: NodeRequest, response: NodeResponse, options?: ProxyOptions): Promise<void>;
  close(): void;
}

export interface CircuitBreakerConfig extends Omit<CircuitBreakerOptions, "failures" | "open"> {
  /** Failures in a row that open it; 5 by default. */
  failureThreshold?: number;
  /** For how long, in milliseconds; 60,000 by default. */
  timeout?: number;
}

/** `CircuitBreaker`, with the earlier names of its settings. */
export class CircuitBreaker extends Breaker {
  constructor(config?: CircuitBreakerConfig);
}
