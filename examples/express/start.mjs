/** Starts the sidecar and the app, and ends both with one Ctrl-C. */

import { spawn } from "node:child_process";

const sidecar = spawn(process.env.OUTRIGGER_BIN ?? "outrigger", ["up"], { cwd: import.meta.dirname, stdio: "inherit" });
sidecar.on("error", (error) => console.error(`the sidecar does not start (${error.code}): the app goes on without it`));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    sidecar.once("exit", () => process.exit(0));
    if (!sidecar.kill("SIGTERM")) process.exit(0);
  });
}
await import("./app.mjs");
