/** The thread that watches the lifeline: at its end the process goes, and a group of its own with it. */

import fs from "node:fs";
import net from "node:net";
import { parentPort, workerData } from "node:worker_threads";

/** Milliseconds in which the process may still leave by itself. */
const GRACE = 1000;

const pipe = new net.Socket({ fd: workerData, readable: true, writable: false });
pipe.on("error", () => {});
pipe.on("close", leave);
pipe.resume();

function leave() {
  try {
    fs.writeSync(2, "outrigger: the parent process has gone, leaving\n");
  } catch {
    // nobody reads it any more
  }
  if (leadsItsGroup()) {
    // The group is ours alone: what the handler has started is not to outlive it.
    process.kill(-process.pid, "SIGKILL");
  }
  parentPort.postMessage("gone");
  setTimeout(() => process.kill(process.pid, "SIGKILL"), GRACE);
}

function leadsItsGroup() {
  try {
    process.kill(-process.pid, 0); // a group of this number is one that this process has made
    return true;
  } catch {
    return false;
  }
}
