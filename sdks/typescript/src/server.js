/**
 * Listens, accepts, obeys signals, and knows when all is done.
 *
 * The first SIGTERM stops accepting and serves on until the peers have closed; SIGINT ends idle connections and
 * finishes what runs; any signal after that ends at once.
 */

import { constants } from "node:os";

import { Connection } from "./connection.js";
import { StartError } from "./errors.js";
import { DEFAULT_CAP } from "./frames.js";
import { collect } from "./functions.js";
import { hold } from "./lifeline.js";
import { isImporting } from "./load.js";
import { traceback } from "./replies.js";
import { Slots } from "./slots.js";
import { SocketFile } from "./socketfile.js";

const SOCKET_VARIABLE = "OUTRIGGER_HANDLER_SOCKET";
const CONCURRENCY_VARIABLE = "OUTRIGGER_HANDLER_CONCURRENCY";
const ACTOR_VARIABLE = "OUTRIGGER_ACTOR";

/** Serves handlers until it is told to stop; settles when all that was in flight has been answered. */
export function serve(handlers, { name, socket, concurrency, maxFrame } = {}) {
  if (isImporting()) {
    throw new StartError("the file calls serve() as it is imported: start it with node, or leave serve() out");
  }
  hold();
  return listen(collect(handlers, name), { socket, concurrency, maxFrame });
}

/** Serves functions that are ready to be called: the second half of `serve`. */
export async function listen(targets, { socket, concurrency, maxFrame = DEFAULT_CAP }) {
  const path = socket ?? process.env[SOCKET_VARIABLE] ?? "";
  if (path === "") {
    throw new StartError(`no socket to serve on: \`outrigger up\` sets ${SOCKET_VARIABLE}; by hand, give its path`);
  }
  if (!Number.isInteger(maxFrame) || maxFrame < 1) {
    throw new StartError(`a largest frame of ${maxFrame} bytes lets nothing through: it is a whole number, 1 or more`);
  }
  await new Server(targets, placesFor(concurrency), maxFrame).run(path);
}

/** The listener and its connections. */
class Server {
  #parts;
  #concurrency;
  #connections = new Set();
  #file = null;
  #first = null;
  #done;

  constructor(targets, concurrency, maxFrame) {
    const actor = process.env[ACTOR_VARIABLE] ?? "";
    this.#concurrency = concurrency;
    this.#parts = { targets, slots: new Slots(concurrency), actor, maxFrame };
  }

  /** Serves until a signal asks for the end and the last connection has gone. */
  async run(path) {
    const done = new Promise((resolve) => (this.#done = resolve));
    // Whoever finds the socket may already send a signal.
    const listeners = { SIGTERM: (name) => this.#onSignal(name), SIGINT: (name) => this.#onSignal(name) };
    if (process.listenerCount("unhandledRejection") === 0) {
      listeners.unhandledRejection = (reason) => note(`a promise that nobody waits for was rejected: ${traceback(reason)}`);
    }
    Object.entries(listeners).forEach(([event, listener]) => process.on(event, listener));
    try {
      this.#file = await SocketFile.make(path, (socket) => this.#accept(socket));
      note(`serving ${this.#parts.targets.names().join(", ")} on ${path}, ${this.#concurrency} at once`);
      if (this.#first !== null) {
        this.#stop();
      }
      await done;
    } finally {
      Object.entries(listeners).forEach(([event, listener]) => process.off(event, listener));
    }
  }

  #accept(socket) {
    const connection = new Connection(socket, this.#parts);
    this.#connections.add(connection);
    connection.start(() => {
      this.#connections.delete(connection);
      this.#leaveWhenDone();
    });
    if (this.#first === "SIGINT") {
      connection.closeWhenIdle();
    }
  }

  #onSignal(name) {
    if (this.#first !== null) {
      this.#file?.close();
      process.exit(128 + constants.signals[name]);
    }
    this.#first = name;
    if (this.#file !== null) {
      this.#stop();
    }
  }

  #stop() {
    this.#file.close();
    if (this.#connections.size > 0) {
      note(`stopping when its ${this.#connections.size} connections are closed`);
    }
    if (this.#first === "SIGINT") {
      this.#connections.forEach((connection) => connection.closeWhenIdle());
    }
    this.#leaveWhenDone();
  }

  #leaveWhenDone() {
    if (this.#first !== null && this.#connections.size === 0) {
      this.#done();
    }
  }
}

function note(text) {
  console.error(`outrigger: ${text}`);
}

function placesFor(given) {
  const text = process.env[CONCURRENCY_VARIABLE] || "1";
  if (given === undefined && !/^\s*[+-]?\d+\s*$/.test(text)) {
    throw new StartError(`${CONCURRENCY_VARIABLE}=${text} is not a whole number`);
  }
  const places = given ?? Number(text);
  if (!Number.isInteger(places) || places < 1) {
    throw new StartError(`a concurrency of ${places} would serve nothing: it is a whole number, 1 or more`);
  }
  return places;
}
