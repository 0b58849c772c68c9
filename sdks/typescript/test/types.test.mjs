/** The types, written by hand, against what TypeScript's own compiler makes of them. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

import * as outrigger from "outrigger";

import { PACKAGE } from "./support.mjs";

const TSC = path.join(PACKAGE, "../../target/npm/node_modules/typescript/bin/tsc");

test("an example with every feature passes the compiler, and what is wrong in it is refused", () => {
  assert.ok(fs.existsSync(TSC), `${TSC} is missing: \`cargo xtask setup\` installs it`);
  const { stdout, status } = spawnSync(process.execPath, [TSC, "-p", path.join(PACKAGE, "test/types")], { encoding: "utf8" });
  assert.equal(stdout, "");
  assert.equal(status, 0);
});

test("the types name what the package exports, and nothing else", () => {
  const files = ["src/index.d.ts", "src/client/index.d.cts"];
  const types = files.map((file) => fs.readFileSync(path.join(PACKAGE, file), "utf8")).join("");
  const declared = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map((match) => match[1]);
  assert.deepEqual(declared.sort(), Object.keys(outrigger).sort());
});
