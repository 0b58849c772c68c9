/** Before the tests: whether what they need is there. */

import fs from "node:fs";

import { BINARY } from "./binary.mjs";

const wanting = [
  [fs.existsSync(new URL("node_modules/outrigger", import.meta.url)), "the packages of these tests are missing: `npm ci` in sdks/typescript/client-test installs them, and so does `cargo xtask setup`"],
  [fs.existsSync(BINARY), `there is no outrigger at ${BINARY}: \`cargo build\` makes it, or OUTRIGGER_BIN names another`],
].filter(([isThere]) => !isThere);
for (const [, complaint] of wanting) {
  console.error(complaint);
}
process.exit(wanting.length === 0 ? 0 : 1);
