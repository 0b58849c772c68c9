/** Bytes as they come, cut into the lines that they hold. Pure. */

"use strict";

const NEWLINE = 10;

/** Keeps what has no end yet; a line may come in any number of pieces. */
class Lines {
  #pieces = [];

  /** The lines that have ended with this chunk, without their ends; empty ones are left out. */
  push(chunk) {
    const lines = [];
    let from = 0;
    for (let at; (at = chunk.indexOf(NEWLINE, from)) !== -1; from = at + 1) {
      const line = this.#whole(chunk.subarray(from, at));
      if (line !== "") {
        lines.push(line);
      }
    }
    if (from < chunk.length) {
      this.#pieces.push(chunk.subarray(from));
    }
    return lines;
  }

  /** Whether a line has begun and not ended. */
  get isWithin() {
    return this.#pieces.length > 0;
  }

  #whole(end) {
    if (this.#pieces.length === 0) {
      return end.toString("utf8");
    }
    const whole = Buffer.concat([...this.#pieces, end]).toString("utf8");
    this.#pieces = [];
    return whole;
  }
}

module.exports = { Lines };
