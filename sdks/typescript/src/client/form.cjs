/** A form that was read, as text again. Pure. */

"use strict";

/** The text that `querystring` and `qs` read as this value: lists are names that stand repeatedly, what is nested stands in brackets. A form has no empty ones. */
function formOf(body) {
  if (body instanceof URLSearchParams) {
    return body.toString();
  }
  const pairs = [];
  for (const [name, value] of Object.entries(body)) {
    spell(pairs, name, value);
  }
  return new URLSearchParams(pairs).toString();
}

function spell(pairs, name, value) {
  if (Array.isArray(value)) {
    const isNested = value.some((it) => typeof it === "object" && it !== null);
    for (const [at, it] of value.entries()) {
      // What stands once would be read as no list, and what is nested in lists would become one.
      spell(pairs, isNested ? `${name}[${at}]` : value.length === 1 ? `${name}[]` : name, it);
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [key, it] of Object.entries(value)) {
      spell(pairs, `${name}[${key}]`, it);
    }
  } else if (value !== undefined) {
    pairs.push([name, value ?? ""]);
  }
}

module.exports = { formOf };
