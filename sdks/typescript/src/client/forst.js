/** The same for `import`: the classes are one and the same. */

export { CircuitBreaker, ForstClient, ForstExpressProxy, ForstHTTPProxy } from "./forst.cjs";
