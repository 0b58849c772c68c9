/** What the package has when it is packed, and somebody has nothing else of the repository. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

test("the package has its license, and a page whose links lead somewhere", () => {
  const [{ files }] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  const packed = new Set(files.map((it) => it.path));
  assert.ok(packed.has("LICENSE") && packed.has("README.md"), [...packed].join(" "));
  assert.equal(fs.readFileSync(`${ROOT}LICENSE`, "utf8"), fs.readFileSync(`${ROOT}../../LICENSE`, "utf8"));
  for (const [, target] of fs.readFileSync(`${ROOT}README.md`, "utf8").matchAll(/\]\(([^)#]+)/g)) {
    assert.ok(/^https?:/.test(target) || packed.has(target), `${target} is not in the package`);
  }
});
