/**
 * `outrigger handler.mjs:process`: loads what is named and serves it.
 *
 * Exit codes: 0 after an orderly stop; 1 where importing the handler, or making its class, threw; 64 for a wrong
 * command line; 73 where the socket cannot be made; 78 for a handler or a setting that cannot be.
 */

import fs from "node:fs";
import { parseArgs } from "node:util";

import { EX_USAGE, marked, marks } from "./errors.js";
import { collect } from "./functions.js";
import { hold } from "./lifeline.js";
import { load } from "./load.js";
import { traceback } from "./replies.js";
import { listen } from "./server.js";

const USAGE = "usage: outrigger [--socket PATH] [--concurrency N] [--max-frame BYTES] HANDLER";
const HELP = `${USAGE}

Serves a handler to an Outrigger sidecar.

  HANDLER            handler.mjs:function; several names with commas
  --socket PATH      where to listen (OUTRIGGER_HANDLER_SOCKET)
  --concurrency N    calls at once (OUTRIGGER_HANDLER_CONCURRENCY, 1)
  --max-frame BYTES  the largest frame (268435456)
  --version          says which this is`;

/** Runs the command; the process leaves with its exit code, whatever a handler has left open. */
export async function main(words) {
  const options = parse(words);
  try {
    hold();
    const targets = await loaded(options.handler);
    await listen(targets, options);
  } catch (error) {
    if (!marked(error, marks.start)) {
      throw error;
    }
    console.error(`outrigger: ${error.message}`);
    process.exit(error.exitCode);
  }
  process.exit(0);
}

async function loaded(spec) {
  try {
    return collect(await load(spec));
  } catch (error) {
    if (marked(error, marks.start)) {
      throw error;
    }
    if (error instanceof SyntaxError) {
      // Only Node itself knows the line, and tells it only of what nobody has caught.
      console.error(`outrigger: ${spec} could not be loaded`);
      throw error;
    }
    console.error(`${traceback(error)}\noutrigger: ${spec} could not be loaded`);
    return process.exit(1);
  }
}

function parse(words) {
  let parsed;
  try {
    parsed = parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        socket: { type: "string" },
        concurrency: { type: "string" },
        "max-frame": { type: "string" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean" },
      },
    });
  } catch (error) {
    misused(error.message);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  if (values.version) {
    const { version } = JSON.parse(fs.readFileSync(new URL("../package.json", import.meta.url), "utf8"));
    console.log(`outrigger ${version}`);
    process.exit(0);
  }
  if (positionals.length !== 1) {
    misused(positionals.length === 0 ? "say which handler" : `one handler, not ${positionals.length}`);
  }
  return {
    handler: positionals[0],
    socket: values.socket,
    concurrency: number("--concurrency", values.concurrency),
    maxFrame: number("--max-frame", values["max-frame"]),
  };
}

function number(flag, text) {
  if (text !== undefined && !/^[+-]?\d+$/.test(text)) {
    misused(`${flag} ${text} is not a whole number`);
  }
  return text === undefined ? undefined : Number(text);
}

function misused(why) {
  console.error(`${USAGE}\noutrigger: ${why}`);
  process.exit(EX_USAGE);
}
