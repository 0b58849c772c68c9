/**
 * What a handler is told about its call, and what it can tell while it works.
 *
 * `new Context()` alone is the form for a unit test: what the handler tells is kept in `reported`.
 */

import { Canceled } from "./errors.js";
import { encode } from "./json.cjs";

/** What only the runtime does with a context. */
export let calls;

/** One call of a handler. */
export class Context {
  #report = null;
  #canceled = false;
  #ended = false;
  #watchers = new Set();
  #abort = null;

  constructor({ id = "test", actor = "", function: name = null, attempt = 1, deadline = null, headers = {} } = {}) {
    this.id = id;
    this.actor = actor;
    this.function = name;
    this.attempt = attempt;
    this.deadline = deadline;
    this.headers = headers;
    this.reported = [];
  }

  /** Nobody waits for the answer any more; long work looks at this between two steps. */
  get canceled() {
    return this.#canceled;
  }

  /** An AbortSignal that is aborted when the call is canceled, for `fetch` and its like. */
  get signal() {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#canceled) {
        this.#abort.abort(new Canceled());
      }
    }
    return this.#abort.signal;
  }

  /** Seconds until the deadline, never below 0; null where there is none. */
  get remaining() {
    return this.deadline === null ? null : Math.max(0, (this.deadline.getTime() - Date.now()) / 1000);
  }

  /** Reports how far the work is: `progress(40)`, `progress(40, "half")`, `progress("half")`. */
  progress(percent, message) {
    if (typeof percent === "string" && message === undefined) {
      [percent, message] = [undefined, percent];
    }
    if (percent == null && message == null) {
      throw new TypeError("progress() needs a percent, a message, or both");
    }
    return this.#tell({ status: "progress", percent: percent ?? undefined, message: message ?? undefined });
  }

  /** Streams a piece of the answer to whoever follows the job; it is not routed on. */
  partial(data) {
    return this.#tell({ status: "partial", data: data ?? null });
  }

  /** Says that the work goes on, where an idle timeout is set. */
  heartbeat() {
    return this.#tell({ status: "heartbeat" });
  }

  /** Marks the call as canceled, as a closed connection does; in a test, what the handler then meets. */
  cancel() {
    if (this.#canceled) {
      return;
    }
    this.#canceled = true;
    this.#abort?.abort(new Canceled());
    for (const watcher of this.#watchers) {
      watcher();
    }
    this.#watchers.clear();
  }

  #tell(told) {
    const text = encode(told);
    if (this.#canceled) {
      throw new Canceled();
    }
    if (this.#ended) {
      throw new Error("this call has ended: its context cannot report any more");
    }
    if (this.#report !== null) {
      return this.#report(text);
    }
    this.reported.push(JSON.parse(text));
    return Promise.resolve();
  }

  static {
    calls = {
      /** The context of a request that `meta` was sent ahead of; every field of it may be missing. */
      begin(meta, actor, report) {
        const context = new Context({
          id: text(meta.id) ?? "",
          actor: text(meta.actor) || actor,
          function: text(meta.function),
          attempt: Number.isInteger(meta.attempt) ? meta.attempt : 1,
          deadline: parseTime(meta.deadline),
          headers: isObject(meta.headers) ? meta.headers : {},
        });
        context.#report = report;
        return context;
      },
      /** After this nothing is reported: the final frame is the last one of an exchange. */
      end(context) {
        context.#ended = true;
        context.#watchers.clear();
      },
      /** Calls `watcher` once when the call is canceled; gives back what takes it off again. */
      whenCanceled(context, watcher) {
        context.#watchers.add(watcher);
        return () => context.#watchers.delete(watcher);
      },
    };
  }
}

/** Whether a value is what JSON calls an object. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An RFC 3339 time, to the millisecond; null for anything else. */
export function parseTime(value) {
  const match = typeof value === "string" ? RFC3339.exec(value) : null;
  if (match === null) {
    return null;
  }
  // A leap second is the first of the next minute: a Date has no other place for it.
  const leap = match[3] === "60";
  const time = Date.parse(`${match[1]}T${match[2]}:${leap ? "59" : match[3]}${match[4] ?? ""}${match[5].toUpperCase()}`);
  return Number.isNaN(time) ? null : new Date(time + (leap ? 1000 : 0));
}

function text(value) {
  return typeof value === "string" ? value : null;
}

const RFC3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
