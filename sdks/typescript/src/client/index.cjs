/**
 * Call functions from a program; forward its routes.
 *
 * CommonJS, so that both `require` and `import` get it without anything being generated, and get the same classes.
 */

"use strict";

const { CircuitBreaker } = require("./breaker.cjs");
const { SidecarClient } = require("./client.cjs");
const { expressProxy } = require("./express.cjs");
const { ArgumentsError, CallError, CircuitOpenError, DomainError, TimeoutError, UnavailableError } = require("./errors.cjs");
const { HttpProxy } = require("./proxy.cjs");

module.exports = {
  ArgumentsError,
  CallError,
  CircuitBreaker,
  CircuitOpenError,
  DomainError,
  HttpProxy,
  SidecarClient,
  TimeoutError,
  UnavailableError,
  expressProxy,
};
