/**
 * Leaves when the parent has gone: an inherited pipe reads its end, however the parent died.
 *
 * Watched by a thread of its own, which a handler that keeps the event loop busy does not hold up.
 */

import fs from "node:fs";
import { Worker } from "node:worker_threads";

import { StartError } from "./errors.js";

const VARIABLE = "OUTRIGGER_HANDLER_LIFELINE";

/** Watches the descriptor that the environment names, if it names one; a second call does nothing. */
export function hold() {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  if (!text) {
    return;
  }
  const number = /^\d+$/.test(text) ? Number(text) : -1;
  if (!isPipe(number)) {
    throw new StartError(`${VARIABLE}=${text} is not the number of an open pipe`);
  }
  const watcher = new Worker(new URL("./watch.js", import.meta.url), {
    workerData: number === 0 ? freeStdin() : number,
    execArgv: [],
    stdout: false,
    stderr: false,
  });
  watcher.on("message", () => process.exit(1));
  watcher.unref();
}

function isPipe(number) {
  try {
    const status = fs.fstatSync(number);
    return status.isFIFO() || status.isSocket();
  } catch {
    return false;
  }
}

/** Moves the pipe out of the way, so that a handler that reads its input does not take it away. */
function freeStdin() {
  let number;
  try {
    number = fs.openSync("/dev/fd/0", fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch {
    return 0; // not a pipe that can be opened a second time: the handler has to leave its input alone
  }
  fs.closeSync(0);
  fs.openSync("/dev/null", "r"); // the lowest number that is free: 0
  return number;
}
