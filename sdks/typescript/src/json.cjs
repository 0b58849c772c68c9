/**
 * JSON as the standard has it, both ways.
 *
 * `JSON.stringify` turns NaN into null and a Map into `{}` without a word; everything that crosses the socket goes
 * through here, where what would be lost is refused. CommonJS, as the client half is, which shares it.
 */

"use strict";

/** A value that has no JSON form; the message says what and where. */
class NotJson extends TypeError {}

/** The JSON text of a value. `undefined` is left out of objects and is null in arrays, as everywhere in JavaScript. */
function encode(value) {
  try {
    if (isSound(value)) {
      return JSON.stringify(value) ?? "null";
    }
  } catch (error) {
    if (error instanceof RangeError) {
      throw new NotJson(tooMuch(value, error));
    }
    throw new NotJson(error?.message || String(error)); // a getter or a toJSON of the user's own
  }
  throw new NotJson(culprit(value, "$", 0) ?? "it holds what JSON does not have");
}

function isSound(value) {
  if (typeof value !== "object") {
    return isSoundPrimitive(value);
  }
  if (value === null) {
    return true;
  }
  if (Array.isArray(value)) {
    for (const item of value) {
      if (!isSound(item)) {
        return false;
      }
    }
    return true;
  }
  if (isForeign(value)) {
    return false;
  }
  if (typeof value.toJSON === "function") {
    return isSound(value.toJSON(""));
  }
  for (const key of Object.keys(value)) {
    if (!isSound(value[key])) {
      return false;
    }
  }
  return true;
}

function isSoundPrimitive(value) {
  switch (typeof value) {
    case "number":
      return value - value === 0;
    case "string":
    case "boolean":
    case "undefined":
      return true;
    default:
      return false; // bigint, symbol, function
  }
}

/** Whether an object is more than its properties: bytes, maps, sets, promises, errors, an invalid date. */
function isForeign(value) {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    return false;
  }
  const tag = tagOf(value);
  if (tag === "Date") {
    return Number.isNaN(value.getTime());
  }
  return ArrayBuffer.isView(value) || (tag !== "Object" && typeof value.toJSON !== "function");
}

/** Where in a value the first thing stands that JSON does not have. */
function culprit(value, path, depth) {
  if (depth > 64) {
    return null;
  }
  if (typeof value !== "object") {
    return isSoundPrimitive(value) ? null : `${describe(value)} at ${path} is not JSON`;
  }
  if (value === null) {
    return null;
  }
  if (!Array.isArray(value)) {
    if (isForeign(value)) {
      return `${describe(value)} at ${path} is not JSON`;
    }
    if (typeof value.toJSON === "function") {
      return culprit(value.toJSON(""), path, depth + 1);
    }
  }
  for (const key of Object.keys(value)) {
    const found = culprit(value[key], Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, depth + 1);
    if (found !== null) {
      return found;
    }
  }
  return null;
}

function describe(value) {
  switch (typeof value) {
    case "number":
      return String(value);
    case "bigint":
      return `the bigint ${value}`;
    case "symbol":
    case "function":
      return `a ${typeof value}`;
    default:
      return tagOf(value) === "Date" ? "an invalid Date" : `a value of type ${value.constructor?.name ?? tagOf(value)}`;
  }
}

function tooMuch(value, error) {
  if (/string length/i.test(error.message)) {
    return "it is longer than any text can be";
  }
  return isCyclic(value) ? "it contains itself" : "it is nested too deeply";
}

/** Whether a value that was too deep for the stack has no end at all; walks with a stack of its own. */
function isCyclic(root) {
  const open = new Set();
  const steps = [{ value: root, leave: false }];
  while (steps.length > 0) {
    const { value, leave } = steps.pop();
    if (typeof value !== "object" || value === null) {
      continue;
    }
    if (leave) {
      open.delete(value);
      continue;
    }
    if (open.has(value)) {
      return true;
    }
    open.add(value);
    steps.push({ value, leave: true });
    for (const key of Object.keys(value)) {
      steps.push({ value: value[key], leave: false });
    }
  }
  return false;
}

function tagOf(value) {
  return Object.prototype.toString.call(value).slice(8, -1);
}

module.exports = { NotJson, encode };
