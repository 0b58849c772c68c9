/**
 * One connection of a sidecar: hello, pings, and one exchange after the other.
 *
 * The socket is read while a call runs, because its end is what cancels the call; what comes early is kept in order,
 * and reading pauses where that grows.
 */

import { run } from "./calls.js";
import { calls, isObject } from "./context.js";
import { Canceled } from "./errors.js";
import { frame, Reader } from "./frames.js";
import * as replies from "./replies.js";

export const PROTOCOL = 1;
/** Bytes of frames that came before their turn, from which on nothing more is read. */
const EARLY = 64 * 1024;
/** Milliseconds between two looks for a peer that has closed its writing side while it is owed an answer. */
const LOOK = 50;
/** How a peer leaves without a word; it knows why. */
const LEFT = new Set(["EPIPE", "ECONNRESET"]);

/** The peer sent what the protocol does not have; the connection is given up. */
class Violation extends Error {}

/** Serves one accepted socket until either side is done with it. */
export class Connection {
  #socket;
  #parts;
  #reader;
  #meta = {};
  #context = null;
  #busy = false;
  #ended = false;
  #gone = false;
  #closing = false;

  /** `parts` is what all connections share: targets, slots, actor, maxFrame. */
  constructor(socket, parts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#reader = new Reader(parts.maxFrame);
  }

  /** Begins to serve; `onEnd` is called once, when the peer has gone. */
  start(onEnd) {
    this.#socket.on("data", (chunk) => {
      this.#reader.push(chunk);
      if (this.#busy && this.#reader.held > EARLY) {
        this.#socket.pause();
      }
      this.#serve();
    });
    this.#socket.on("end", () => {
      this.#ended = true;
      this.#lookForPeer();
      this.#serve();
    });
    this.#socket.on("error", (error) => {
      if (!LEFT.has(error.code)) {
        this.#giveUp(error);
      }
    });
    this.#socket.on("close", () => {
      this.#hangUp();
      onEnd();
    });
    const functions = this.#parts.targets.all.map((target) => target.announcement());
    this.#control({ hello: { protocol: PROTOCOL, functions } });
  }

  /** Ends the connection after the exchange that runs on it; at once where none does. */
  closeWhenIdle() {
    this.#closing = true;
    if (this.#context === null) {
      this.#close();
    }
  }

  /** Serves every frame that is there, one after the other. */
  async #serve() {
    if (this.#busy) {
      return;
    }
    this.#busy = true;
    try {
      for (let next; !this.#gone && !this.#closing && (next = this.#reader.next()) !== undefined; ) {
        await (next.control ? this.#onControl(next) : this.#exchange(next));
        this.#socket.resume();
      }
    } catch (error) {
      this.#giveUp(error);
    }
    this.#busy = false;
    if (this.#closing) {
      this.#close();
    } else if (this.#ended && !this.#gone) {
      if (this.#reader.cutShort === null) {
        this.#close();
      } else {
        this.#giveUp(new Violation(this.#reader.cutShort));
      }
    }
  }

  async #onControl(next) {
    const text = next.problem === null ? next.take() : null;
    let body;
    try {
      body = JSON.parse(text ?? "");
    } catch (error) {
      throw new Violation(next.problem ?? `a control frame is not JSON: ${text === null ? "not UTF-8" : error.message}`);
    }
    if (!isObject(body)) {
      throw new Violation("a control frame is not a JSON object");
    }
    if (Object.hasOwn(body, "ping")) {
      await this.#parts.slots.serving(() => this.#gone);
      this.#control({ pong: body.ping });
    } else if (Object.hasOwn(body, "meta")) {
      if (!isObject(body.meta)) {
        throw new Violation("the meta of a control frame is not a JSON object");
      }
      this.#meta = body.meta;
    }
    // Any other control frame is from a protocol to come, which says itself what may be passed over.
  }

  async #exchange(request) {
    const context = calls.begin(this.#meta, this.#parts.actor, (text) => this.#report(text));
    this.#meta = {};
    this.#context = context;
    const answer = await this.#answer(request, context);
    calls.end(context);
    this.#context = null;
    if (!context.canceled) {
      this.#write(answer);
    }
  }

  async #answer(request, context) {
    if (request.problem !== null) {
      return replies.refusal("frame_too_large", request.problem);
    }
    const text = request.take();
    if (text === null || text === "") {
      const why = text === null ? "it is not UTF-8" : "it is empty";
      return replies.refusal("invalid_request", `the request is not JSON: ${why}`);
    }
    let payload;
    try {
      payload = JSON.parse(text);
    } catch (error) {
      return replies.refusal("invalid_request", `the request is not JSON: ${error.message}`);
    }
    const { targets, slots, maxFrame } = this.#parts;
    const target = targets.select(context.function);
    if (target === undefined) {
      const name = context.function;
      const asked = name === null ? "no function was named" : `there is no function \`${name}\` here`;
      return replies.refusal("unknown_function", `${asked}; this handler serves ${targets.names().join(", ")}`);
    }
    if (!(await slots.enter(context))) {
      return null;
    }
    try {
      return replies.ok(await run(target, payload, context), maxFrame);
    } catch (error) {
      return replies.failed(error);
    } finally {
      slots.leave(context);
    }
  }

  /** Sends an interim frame; what it gives back is settled when the frame has been written and others had a turn. */
  #report(text) {
    const bytes = frame(text);
    if (bytes.length - 4 > this.#parts.maxFrame) {
      throw new RangeError(`a report of ${bytes.length - 4} bytes is more than the cap of ${this.#parts.maxFrame}`);
    }
    const written = new Promise((resolve, reject) => {
      const settle = () => (this.#gone ? reject(new Canceled()) : resolve());
      this.#socket.write(bytes, (error) => {
        if (error) {
          this.#hangUp();
        }
        setImmediate(settle);
      });
    });
    written.catch(() => {}); // whoever does not wait for it does not have to catch it either
    return written;
  }

  #write(text, control = false) {
    if (!this.#socket.destroyed) {
      this.#socket.write(frame(text, control));
    }
  }

  #control(body) {
    this.#write(JSON.stringify(body), true);
  }

  /**
   * Asks whether a peer that writes no more still reads: after half a close it is owed an answer, after a whole one
   * its call is canceled. Both read the same; writing nothing fails only after a whole one.
   */
  #lookForPeer() {
    if (this.#gone || this.#socket.destroyed) {
      return;
    }
    this.#socket.write(NOTHING, (error) => {
      if (error) {
        this.#hangUp();
      } else if (this.#busy) {
        setTimeout(() => this.#lookForPeer(), LOOK).unref();
      }
    });
  }

  #hangUp() {
    if (this.#gone) {
      return;
    }
    this.#gone = true;
    this.#context?.cancel();
    this.#parts.slots.wake();
  }

  #giveUp(error) {
    if (!this.#closing) {
      console.error(`outrigger: a connection was given up: ${error.message}`);
    }
    this.#hangUp();
    this.#socket.destroy();
  }

  /** Closes both ways once what was answered has been written. */
  #close() {
    this.#socket.end(() => this.#socket.destroy());
  }
}

const NOTHING = Buffer.alloc(0);
