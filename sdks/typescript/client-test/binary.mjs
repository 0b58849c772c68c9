/** Where the binary is that the tests run against. */

import path from "node:path";
import { fileURLToPath } from "node:url";

export const BINARY = path.resolve(process.env.OUTRIGGER_BIN ?? fileURLToPath(new URL("../../../target/debug/outrigger", import.meta.url)));
