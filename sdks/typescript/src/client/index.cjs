/**
 * Call functions from a program; forward its routes.
 *
 * CommonJS, so that both `require` and `import` get it without anything being generated, and get the same classes.
 */

"use strict";

const { CircuitBreaker } = require("./breaker.cjs");
const { SidecarClient } = require("./client.cjs");
const { ArgumentsError, CallError, CircuitOpenError, DomainError, TimeoutError, UnavailableError } = require("./errors.cjs");

module.exports = {
  ArgumentsError,
  CallError,
  CircuitBreaker,
  CircuitOpenError,
  DomainError,
  SidecarClient,
  TimeoutError,
  UnavailableError,
};
