/** The types, written by hand, against TypeScript's compiler: by `import` and by `require`, and against what is there. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";

import * as outrigger from "outrigger";
import * as forst from "outrigger/forst";

const HERE = import.meta.dirname;
const require = createRequire(import.meta.url);
const TSC = require.resolve("typescript/bin/tsc");
const SETTINGS = { module: "nodenext", target: "es2022", strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noEmit: true };

/** Checks files that stand in a folder beside the packages. */
function check(t, settings, files) {
  const folder = fs.mkdtempSync(path.join(HERE, "node_modules/.types-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  for (const [name, source] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.copyFileSync(path.join(HERE, source), path.join(folder, name));
  }
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...SETTINGS, ...settings }, include: ["**/*"] }));
  const { stdout, status } = spawnSync(process.execPath, [TSC, "-p", folder], { encoding: "utf8" });
  assert.deepEqual([stdout, status], ["", 0]);
}

for (const kind of ["mts", "cts"]) {
  test(`what is right passes and what is wrong is refused, in a .${kind} file`, (t) => {
    // The declarations of others are not for us to check.
    check(t, { lib: ["es2023"], types: ["node"], esModuleInterop: true, skipLibCheck: true }, { [`client.${kind}`]: "types/client.ts" });
  });
}

test("the declarations are sound themselves, and need nobody else's", (t) => {
  check(t, { lib: ["es2022", "dom"], types: [] }, {
    "client/index.d.cts": "../src/client/index.d.cts",
    "client/forst.d.cts": "../src/client/forst.d.cts",
    "client/forst.d.ts": "../src/client/forst.d.ts",
    "index.d.ts": "../src/index.d.ts",
  });
});

test("require and import give the same classes", () => {
  for (const name of ["outrigger", "outrigger/forst"]) {
    const imported = name === "outrigger" ? outrigger : forst;
    for (const [key, value] of Object.entries(require(name))) assert.equal(imported[key], value, key);
  }
});

test("what is required is what the types name, where a module cannot be required", () => {
  const words = process.features.require_module ? ["--no-experimental-require-module"] : [];
  for (const [name, file] of [
    ["outrigger", "index.d.cts"],
    ["outrigger/forst", "forst.d.cts"],
  ]) {
    const source = `console.log(Object.keys(require("${name}")).sort().join())`;
    const { stdout } = spawnSync(process.execPath, [...words, "-e", source], { cwd: HERE, encoding: "utf8" });
    const types = fs.readFileSync(path.join(HERE, "../src/client", file), "utf8");
    const named = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map((match) => match[1]);
    assert.equal(stdout, `${named.sort()}\n`);
  }
});
