/**
 * Calls over the sidecar's Unix socket.
 *
 * All calls share one connection, each with an `id`. A stream has one of its own: a reader that is slow is then not read for, and holds up
 * no one else. A connection without calls keeps no process alive.
 */

"use strict";

const net = require("node:net");

const { lost, told, unreachable } = require("./errors.cjs");
const { unlessAborted } = require("./abort.cjs");
const { Lines } = require("./lines.cjs");

/** The way over a Unix socket. */
class Ipc {
  #path;
  /** The shared connection, or the promise of one. */
  #shared = null;

  constructor(path) {
    this.#path = path;
    this.place = `ipc://${path}`;
  }

  /** Rejects where no sidecar is there. */
  async probe(signal) {
    await this.#connection(signal);
  }

  async call(wish, signal) {
    const connection = await this.#connection(signal);
    return connection.call(wish, signal);
  }

  async *stream(wish, signal) {
    const socket = await connect(this.#path, this.place, signal);
    const leave = () => {
      // A sidecar that reads knows at once; one that waits for its own words to be read finds the connection closed.
      socket.write(CANCEL_FIRST);
      socket.destroy();
    };
    signal.addEventListener("abort", leave, { once: true });
    const lines = new Lines();
    try {
      signal.throwIfAborted();
      socket.write(spelt(1, wish));
      // Whoever leaves the loop still has something to say.
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        for (const line of lines.push(chunk)) {
          const answer = JSON.parse(line);
          if (answer.success === undefined) {
            // Whoever asks for nothing more may be gone, and the process with it.
            socket.unref();
            yield answer.data;
            socket.ref();
          } else if (answer.success) {
            return answer.result;
          } else {
            throw told(answer);
          }
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      throw error?.syscall === undefined ? error : lost(wish.name, error);
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
    signal.throwIfAborted();
    throw lost(wish.name);
  }

  /** Closes what calls share, when none of them has a caller any more. */
  async close() {
    const connection = await this.#shared?.catch(() => null);
    await connection?.close();
  }

  #connection(signal) {
    if (this.#shared === null) {
      const never = new AbortController().signal;
      const opening = connect(this.#path, this.place, never).then((socket) => new Connection(socket, this.place, forget));
      const forget = () => {
        if (this.#shared === opening) {
          this.#shared = null;
        }
      };
      opening.catch(forget);
      this.#shared = opening;
    }
    return unlessAborted(this.#shared, signal);
  }
}

/**
 * A connection with many calls in flight.
 *
 * What has been handed to the socket may have been sent, whatever the socket says of it later: it writes many lines at once, and where that
 * fails it does not tell which of them were read. Only what still waits here has not been sent, so no more is handed over than goes out.
 */
class Connection {
  #socket;
  #place;
  #lines = new Lines();
  #last = 0;
  /** By id, every call that has been handed to the socket and not been answered. */
  #inFlight = new Map();
  /** Calls that wait until one in flight is answered, or the socket takes more. */
  #waiting = new Set();
  /** What the sidecar said of the connection as a whole before it closed it. */
  #complaint = null;
  #cause;
  #closed;

  constructor(socket, place, forget) {
    this.#socket = socket;
    this.#place = place;
    socket.on("data", (chunk) => this.#heard(chunk));
    socket.on("drain", () => this.#sendMore());
    socket.on("error", (error) => (this.#cause = error));
    socket.on("end", forget);
    this.#closed = new Promise((resolve) =>
      socket.once("close", () => {
        forget();
        this.#ended();
        resolve();
      }),
    );
    socket.unref();
  }

  call(wish, signal) {
    return new Promise((resolve, reject) => {
      const call = { wish, id: null, size: 0, resolve, reject };
      const abort = () => {
        this.#cancel(call);
        reject(signal.reason);
      };
      call.settled = () => signal.removeEventListener("abort", abort);
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) {
        reject(signal.reason);
      } else if (this.#socket.destroyed || this.#socket.readableEnded) {
        reject(unreachable(this.#place));
      } else {
        this.#waiting.add(call);
        this.#sendMore();
      }
    });
  }

  /** The sidecar closes its half when it has answered what was taken back; one that does not is not waited for. */
  async close() {
    this.#socket.ref();
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), LEAVE);
    await this.#closed;
    clearTimeout(timer);
  }

  #sendMore() {
    for (const call of this.#waiting) {
      if (this.#inFlight.size >= IN_FLIGHT || this.#socket.writableNeedDrain || !this.#socket.writable) {
        return;
      }
      this.#waiting.delete(call);
      this.#send(call);
    }
  }

  #send(call) {
    call.id = ++this.#last;
    const line = spelt(call.id, call.wish);
    call.size = line.length;
    if (this.#inFlight.size === 0) {
      this.#socket.ref();
    }
    this.#inFlight.set(call.id, call);
    this.#socket.write(line);
  }

  /** A call whose caller has gone keeps its place until the sidecar has answered it. */
  #cancel(call) {
    if (!this.#waiting.delete(call) && this.#socket.writable) {
      this.#socket.write(`{"id":${call.id},"cancel":true}\n`);
    }
  }

  #heard(chunk) {
    for (const line of this.#lines.push(chunk)) {
      let answer;
      try {
        answer = JSON.parse(line);
      } catch (error) {
        return void this.#socket.destroy(error);
      }
      this.#answered(answer);
    }
  }

  #answered(answer) {
    const call = this.#inFlight.get(answer.id);
    if (call === undefined) {
      this.#complaint = answer.success === false ? told(answer) : this.#complaint;
      return;
    }
    this.#inFlight.delete(answer.id);
    call.settled();
    if (answer.success) {
      call.resolve(answer.result);
    } else {
      call.reject(told(answer));
    }
    this.#sendMore();
    if (this.#inFlight.size === 0) {
      this.#socket.unref();
    }
  }

  /** All that was in flight is lost, and what waited was never asked for. */
  #ended() {
    const left = [...this.#inFlight.values()];
    const largest = Math.max(...left.map((call) => call.size));
    for (const call of left) {
      call.settled();
      call.reject(this.#complaint !== null && call.size === largest ? this.#complaint : lost(call.wish.name, this.#cause));
    }
    for (const call of this.#waiting) {
      call.settled();
      call.reject(unreachable(this.#place, this.#cause));
    }
    this.#inFlight.clear();
    this.#waiting.clear();
  }
}

/** A connected socket. */
function connect(path, place, signal) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path });
    const abort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    const failed = (error) => {
      signal.removeEventListener("abort", abort);
      reject(unreachable(place, error));
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      signal.removeEventListener("abort", abort);
      socket.removeListener("error", failed);
      // From now on `close` tells of it.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

/** A call as it is sent. */
function spelt(id, { name, pkg, args, isStreamed }) {
  const named = pkg === undefined ? "" : `,"package":${JSON.stringify(pkg)}`;
  const streaming = isStreamed ? ',"streaming":true' : "";
  return `{"id":${id},"function":${JSON.stringify(name)}${named},"args":${args}${streaming}}\n`;
}

/** At 256 calls in flight the sidecar reads no more: with fewer it always hears that one is taken back. */
const IN_FLIGHT = 240;
/** In milliseconds. */
const LEAVE = 2000;
const CANCEL_FIRST = '{"id":1,"cancel":true}\n';

module.exports = { Ipc };
