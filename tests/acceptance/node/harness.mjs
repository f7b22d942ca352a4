/**
 * What the programs share: where the server is, steps with names, deadlines.
 *
 * A program is called with the port of the server. Its steps run one after the other; each checks what it gets and
 * returns what it found in a few words. Standard output is one JSON object, step by step; of a step that failed it
 * tells the stack. The program ends by itself once all is closed: one that stays alive has left a connection behind.
 */
import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

const DEADLINE_MS = 15_000;
const STEP_DEADLINE_MS = 30_000;
/** When to stop trying further steps, so that the program can tell of those that failed. */
const PATIENCE_MS = 60_000;
const POLL_MS = 5;

export const port = Number(process.argv[2]);
export const host = "127.0.0.1";

/** Run the steps in order; a failed one is told and the next one tried, but the exit code is 1. */
export async function run(steps) {
  const results = {};
  for (const [name, step] of Object.entries(steps)) {
    try {
      if (performance.now() > PATIENCE_MS) throw new Error("not tried: those before it took too long");
      results[name] = await within(step(), `step ${name}`, STEP_DEADLINE_MS);
    } catch (error) {
      results[name] = { failed: error?.stack ?? String(error) };
      process.exitCode = 1;
    }
  }
  // What a failed step left open would keep the program alive.
  const end = process.exitCode ? () => process.exit() : () => {};
  process.stdout.write(`${JSON.stringify(results)}\n`, end);
}

/** The promise's value; an error that says `what` when it does not come in time. */
export async function within(promise, what, limit_ms = DEADLINE_MS) {
  const stop = new AbortController();
  const late = sleep(limit_ms, null, { signal: stop.signal }).then(() => {
    throw new Error(`not within ${limit_ms} ms: ${what}`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}

/** The arguments of an emitter's next event of this name. */
export function next(emitter, event) {
  return within(once(emitter, event), `event ${event}`);
}

/** Ask until the answer is true. */
export async function until(condition, what) {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    }
    await sleep(POLL_MS);
  }
}

/** Gathers what comes, so that one can wait for a number of things that come at any time. */
export class Mailbox {
  #arrived = new EventEmitter();
  items = [];

  add = (...item) => {
    this.items.push(item.length === 1 ? item[0] : item);
    this.#arrived.emit("item");
  };

  /** The first `count` items, once there are so many. */
  async take(count) {
    const all = (async () => {
      while (this.items.length < count) {
        await once(this.#arrived, "item");
      }
    })();
    await within(all, `${count} items: there are ${JSON.stringify(this.items)}`);
    return this.items.splice(0, count);
  }
}

/** Whole numbers from 0. */
export function range(count) {
  return Array.from({ length: count }, (_, number) => number);
}
