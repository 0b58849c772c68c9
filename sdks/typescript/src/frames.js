/**
 * Frames on a stream socket: a big-endian u32 length, then that many bytes of text.
 *
 * Bit 31 of the length marks a control frame. A body that comes in pieces is copied once, into a buffer of its own
 * size; one that came whole is not copied at all. What the text means is for others.
 */

import { isUtf8 } from "node:buffer";

export const DEFAULT_CAP = 256 * 1024 * 1024;
const CONTROL = 0x8000_0000;
const HEAD = 4;

/** One frame as it came. `problem` says why it has no body. */
export class Frame {
  constructor(control, body, problem = null) {
    this.control = control;
    this.problem = problem;
    this.body = body;
  }

  /** Its text, given away: a large one is not held for as long as the handler works. Null where it is not UTF-8. */
  take() {
    const { body } = this;
    this.body = null;
    return isUtf8(body) ? body.toString("utf8") : null;
  }
}

/** Makes frames of what a socket reads, and keeps them until they are asked for. */
export class Reader {
  #cap;
  #ready = [];
  #held = 0;
  #head = Buffer.alloc(HEAD);
  #headLength = 0;
  #control = false;
  #body = null;
  #bodyLength = 0;
  #unread = 0;

  constructor(cap = DEFAULT_CAP) {
    this.#cap = cap;
  }

  /** Bytes of whole frames that nobody has asked for yet. */
  get held() {
    return this.#held;
  }

  /** The next whole frame, undefined while there is none. */
  next() {
    const frame = this.#ready.shift();
    this.#held -= frame?.body?.length ?? 0;
    return frame;
  }

  /** Why the stream must not end here; null where it may. */
  get cutShort() {
    if (this.#body !== null) {
      return `the connection ended ${this.#bodyLength} bytes into a frame of ${this.#body.length}`;
    }
    if (this.#unread > 0) {
      return `the connection ended ${this.#unread} bytes before the end of a frame`;
    }
    return this.#headLength > 0 ? `the connection ended ${this.#headLength} bytes into a frame's length` : null;
  }

  /** Takes what the socket has read. */
  push(chunk) {
    let at = 0;
    while (at < chunk.length) {
      if (this.#unread > 0) {
        const passed = Math.min(this.#unread, chunk.length - at);
        this.#unread -= passed;
        at += passed;
      } else if (this.#body !== null) {
        at += this.#fill(chunk, at);
      } else {
        at += this.#begin(chunk, at);
      }
    }
  }

  #fill(chunk, at) {
    const copied = chunk.copy(this.#body, this.#bodyLength, at);
    this.#bodyLength += copied;
    if (this.#bodyLength === this.#body.length) {
      this.#keep(new Frame(this.#control, this.#body));
      this.#body = null;
    }
    return copied;
  }

  /** Reads a length, and the body too where all of it is there. */
  #begin(chunk, at) {
    const copied = chunk.copy(this.#head, this.#headLength, at, at + HEAD - this.#headLength);
    this.#headLength += copied;
    if (this.#headLength < HEAD) {
      return copied;
    }
    this.#headLength = 0;
    const head = this.#head.readUInt32BE();
    const control = head >= CONTROL;
    const size = control ? head - CONTROL : head;
    const start = at + copied;
    if (size > this.#cap) {
      this.#unread = size;
      this.#keep(new Frame(control, null, `a frame of ${size} bytes is more than the cap of ${this.#cap}`));
      return copied;
    }
    if (chunk.length - start >= size) {
      this.#keep(new Frame(control, chunk.subarray(start, start + size)));
      return copied + size;
    }
    this.#control = control;
    this.#body = Buffer.allocUnsafeSlow(size);
    this.#bodyLength = 0;
    return copied;
  }

  #keep(frame) {
    this.#held += frame.body?.length ?? 0;
    this.#ready.push(frame);
  }
}

/** The bytes of one frame with this text. */
export function frame(text, control = false) {
  const size = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(HEAD + size);
  bytes.writeUInt32BE(control ? size + CONTROL : size);
  bytes.write(text, HEAD);
  return bytes;
}
