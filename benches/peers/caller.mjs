// Calls `echo` with the client for Node, one call at a time: `caller.mjs ipc|http SOCKET|URL WARM_UP CALLS`.
//
// Prints the median and the 99th percentile of the calls after the warm-up, in nanoseconds.

import { SidecarClient } from "../../sdks/typescript/src/index.js";

const [mode, place, warmUp, calls] = process.argv.slice(2);
const client = new SidecarClient({ mode, socket: place, url: mode === "http" ? place : undefined });
const text = "x".repeat(1020);
const times = [];
for (let number = -Number(warmUp); number < Number(calls); number++) {
  const begun = process.hrtime.bigint();
  const result = await client.call("echo", [text]);
  const taken = process.hrtime.bigint() - begun;
  if (result !== text) throw new Error(`echo gave back ${JSON.stringify(result)}`);
  if (number >= 0) times.push(Number(taken));
}
await client.close();
times.sort((a, b) => a - b);
const within = (percent) => times[Math.ceil((times.length * percent) / 100) - 1];
console.log(`${within(50)} ${within(99)}`);
