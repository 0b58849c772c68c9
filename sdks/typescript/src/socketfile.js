/** The socket's file: made so that only its owner can ever connect, and taken away only by whoever made it. */

import fs from "node:fs";
import net from "node:net";
import path from "node:path";

import { EX_CANTCREAT, StartError } from "./errors.js";

const MAX_PATH = 100;
const BACKLOG = 128;

/** A listening Unix socket and its place in the file system. */
export class SocketFile {
  #server;
  #path;
  #identity;

  constructor(server, place, identity) {
    this.#server = server;
    this.#path = place;
    this.#identity = identity;
  }

  /** Listens at `place`; `onSocket` gets every peer. Throws `StartError` where that cannot be. */
  static async make(place, onSocket) {
    const length = Buffer.byteLength(place);
    if (length > MAX_PATH) {
      throw new StartError(`the socket's path has ${length} bytes, at most ${MAX_PATH} are possible: ${place}`);
    }
    await makeRoom(place);
    // A peer that closes its writing side is still answered.
    const server = net.createServer({ allowHalfOpen: true }, onSocket);
    // Node removes the path that it bound, whoever's socket stands there by then: so it binds another one.
    const draft = `${place}.${process.pid.toString(36)}`;
    try {
      await listen(server, draft);
      fs.linkSync(draft, place);
    } catch (error) {
      server.close();
      throw cannot(place, error);
    } finally {
      fs.rmSync(draft, { force: true });
    }
    return new SocketFile(server, place, identity(place));
  }

  /** Stops listening and removes the file, unless somebody else's stands there by now. */
  close() {
    try {
      if (identity(this.#path) === this.#identity) {
        fs.unlinkSync(this.#path);
      }
    } catch {
      // gone already, with its folder perhaps
    }
    this.#server.close();
  }
}

function listen(server, place) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const mask = process.umask(0o177);
    try {
      server.listen({ path: place, backlog: BACKLOG }, resolve);
    } finally {
      process.umask(mask); // it is bound by now: only the word of it comes later
    }
  });
}

/** Removes what a process that is no more has left; refuses where anything else stands. */
async function makeRoom(place) {
  if (!fs.existsSync(path.dirname(place))) {
    throw new StartError(`cannot make the socket ${place}: there is no folder ${path.dirname(place)}`, EX_CANTCREAT);
  }
  const status = fs.lstatSync(place, { throwIfNoEntry: false });
  if (status === undefined) {
    return;
  }
  if (!status.isSocket()) {
    throw new StartError(`${place} exists and is not a socket: remove it, or choose another path`, EX_CANTCREAT);
  }
  const refused = await connectError(place);
  // EAGAIN is a full backlog: alive, and busy.
  if (refused === null || refused.code === "EAGAIN") {
    throw new StartError(`another process is serving on ${place}: stop it, or choose another path`, EX_CANTCREAT);
  }
  if (refused.code !== "ECONNREFUSED" && refused.code !== "ENOENT") {
    throw new StartError(`cannot use the socket ${place}: ${refused.message}`, EX_CANTCREAT);
  }
  fs.rmSync(place, { force: true });
}

function connectError(place) {
  return new Promise((resolve) => {
    const probe = net.connect(place);
    probe.once("connect", () => {
      probe.destroy();
      resolve(null);
    });
    probe.once("error", resolve);
  });
}

function cannot(place, error) {
  if (error.code === "EEXIST") {
    const why = `another process has just begun to serve on ${place}: stop it, or choose another path`;
    return new StartError(why, EX_CANTCREAT);
  }
  return new StartError(`cannot make the socket ${place}: ${error.message}`, EX_CANTCREAT);
}

function identity(place) {
  const { dev, ino } = fs.lstatSync(place, { bigint: true });
  return `${dev}:${ino}`;
}
