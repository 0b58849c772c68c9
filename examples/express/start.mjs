/** Starts the sidecar and the app, and ends both with one Ctrl-C. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

const built = ["release", "debug"].map((profile) => path.join(import.meta.dirname, "../../target", profile, "outrigger"));
// Under npm the runtime for handlers stands before it in the PATH, under the same name.
const installed = process.env.PATH.split(path.delimiter).filter((it) => !it.endsWith("node_modules/.bin")).map((it) => path.join(it, "outrigger"));
const binary = process.env.OUTRIGGER_BIN ?? [...built, ...installed].find((it) => existsSync(it)) ?? built.at(-1);
const sidecar = spawn(binary, ["up"], { cwd: import.meta.dirname, stdio: "inherit" });
let isStopping = false;
sidecar.on("error", ({ code }) => {
  console.error(`the sidecar does not start (${binary}: ${code}) and the app goes on without it: \`cargo build\` makes it, or OUTRIGGER_BIN says where it is`);
});
sidecar.on("exit", (code, signal) => {
  if (!isStopping) console.error(`the sidecar has ended (${signal ?? `exit code ${code}`}): the app goes on without it`);
});
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    isStopping = true;
    sidecar.once("exit", () => process.exit(0));
    if (!sidecar.kill("SIGTERM")) process.exit(0);
  });
}
// An app that cannot start leaves no sidecar behind.
process.once("exit", () => sidecar.kill("SIGTERM"));
await import("./app.mjs");
