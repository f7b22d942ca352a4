/** BullMQ: queues, workers in this process and in others, events, flows, schedulers, failures. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } from "bullmq";
import { Redis } from "ioredis";
import { host, Mailbox, next, port, range, run, until } from "./harness.mjs";

const connection = { host, port };

/** Jobs that one step waits for at the same time, each with a listener. */
const MOST_AT_ONCE = 100;

/** Closes at the end of a step what the step made, last first. */
class Closing {
  #things = [];

  add(thing) {
    this.#things.unshift(thing);
    return thing;
  }

  queue(name) {
    const queue = this.add(new Queue(name, { connection }));
    queue.setMaxListeners(MOST_AT_ONCE);
    return queue;
  }

  /** A worker that is ready before it takes jobs; its errors would be unhandled otherwise. */
  async worker(name, processor, options = {}) {
    const worker = this.add(new Worker(name, processor, { connection, drainDelay: 1, ...options }));
    worker.failures = new Mailbox();
    worker.on("error", (error) => worker.failures.add(error.message));
    await worker.waitUntilReady();
    return worker;
  }

  /** All events of a queue from its beginning: by default one hears of those since some time after the start. */
  async events(name) {
    const events = this.add(new QueueEvents(name, { connection, lastEventId: "0-0" }));
    events.setMaxListeners(MOST_AT_ONCE);
    await events.waitUntilReady();
    return events;
  }

  /** A worker in a process of its own. */
  async process(name, options = {}) {
    const child = fork(new URL("bullmq_worker.mjs", import.meta.url), [port, name, JSON.stringify(options)]);
    this.add({
      close: async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = next(child, "exit");
        child.send("close");
        assert.deepEqual(await ended, [0, null]);
      },
    });
    assert.deepEqual((await next(child, "message"))[0], "ready");
    return child;
  }

  async close() {
    for (const thing of this.#things) await (thing instanceof Redis ? thing.quit() : thing.close());
  }
}

/** A step with something that closes what it makes, and with a queue of its own. */
function step(name, job) {
  return async () => {
    const closing = new Closing();
    try {
      return await job(closing, closing.queue(name), name);
    } finally {
      await closing.close();
    }
  };
}

const counts = (queue) => queue.getJobCounts("wait", "active", "completed", "failed", "delayed", "prioritized", "waiting-children", "paused");
const nonzero = (object) => Object.fromEntries(Object.entries(object).filter(([, count]) => count));

await run({
  results_of_a_worker_process: step("squares", async (closing, queue, name) => {
    const child = await closing.process(name, { concurrency: 5 });
    const events = await closing.events(name);
    const heard = new Mailbox();
    events.on("progress", heard.add);
    const one = await queue.add("square", { n: 12 });
    const { square, pid } = await one.waitUntilFinished(events, 15_000);
    assert.deepEqual([square, pid], [144, child.pid]);
    const many = await queue.addBulk(range(50).map((n) => ({ name: "square", data: { n } })));
    const results = await Promise.all(many.map((job) => job.waitUntilFinished(events, 15_000)));
    assert.deepEqual(results.map(({ square }) => square), range(50).map((n) => n * n));
    assert.deepEqual((await queue.getJobLogs(one.id)).logs, ["squaring 12"]);
    assert.equal((await heard.take(51))[0][0].data.percent, 50);
    const done = await queue.getJob(one.id);
    assert.ok(done.finishedOn >= done.processedOn && done.processedOn >= done.timestamp);
    return { state: await done.getState(), counts: nonzero(await counts(queue)) };
  }),

  every_job_is_done_once: step("once", async (closing, queue, name) => {
    const done = new Mailbox();
    const count = 300;
    const half = Math.floor(count / 2);
    for (const n of range(3)) await closing.worker(name, async (job) => done.add([n, job.data.n]), { concurrency: 10 });
    await queue.addBulk(range(half).map((n) => ({ name: "job", data: { n } })));
    await Promise.all(range(count - half).map((n) => queue.add("job", { n: half + n }, { removeOnComplete: true })));
    const seen = await done.take(count);
    await until(async () => (await queue.getCompletedCount()) === half, "the kept jobs are completed");
    await until(async () => (await queue.getActiveCount()) === 0, "no job is active");
    assert.equal(done.items.length, 0);
    assert.deepEqual(seen.map(([, n]) => n).toSorted((a, b) => a - b), range(count));
    return { workers: new Set(seen.map(([worker]) => worker)).size, counts: nonzero(await counts(queue)) };
  }),

  delayed_and_promoted: step("delayed", async (closing, queue, name) => {
    const done = new Mailbox();
    await queue.add("later", {}, { delay: 300 });
    await queue.add("soon", {}, { delay: 50 });
    const hour = await queue.add("in an hour", {}, { delay: 3_600_000 });
    assert.deepEqual(nonzero(await counts(queue)), { delayed: 3 });
    await closing.worker(name, async (job) => done.add([job.name, Date.now() - job.timestamp]));
    const [[first, after], [second, longer]] = await done.take(2);
    assert.ok(after >= 50 && longer >= 300, `${after} ms, ${longer} ms`);
    await hour.changeDelay(1_800_000);
    await hour.promote();
    const [[third]] = await done.take(1);
    return [first, second, third];
  }),

  priorities: step("priorities", async (closing, queue, name) => {
    const done = new Mailbox();
    for (const priority of [3, 1, 2, 1, 0]) await queue.add(`priority ${priority}`, {}, priority ? { priority } : {});
    const last = await queue.add("lifo", {}, { lifo: true });
    assert.deepEqual(nonzero(await counts(queue)), { wait: 2, prioritized: 4 });
    assert.deepEqual(await queue.getCountsPerPriority([0, 1, 2, 3]), { 0: 2, 1: 2, 2: 1, 3: 1 });
    const changed = await queue.add("changed", {}, { priority: 9 });
    await changed.changePriority({ priority: 2 });
    assert.equal(await last.getState(), "waiting");
    await closing.worker(name, async (job) => done.add(job.name));
    return done.take(7);
  }),

  retries_with_backoff: step("retries", async (closing, queue, name) => {
    const tries = new Mailbox();
    const failed = new Mailbox();
    const worker = await closing.worker(name, async (job) => {
      tries.add([job.name, job.attemptsMade, Date.now()]);
      if (job.name === "hopeless") throw new UnrecoverableError("no way");
      if (job.attemptsMade < 2) throw new Error(`attempt ${job.attemptsMade}`);
      return "at last";
    });
    worker.on("failed", (job, error) => failed.add([job.name, error.message]));
    const events = await closing.events(name);
    const job = await queue.add("flaky", {}, { attempts: 3, backoff: { type: "exponential", delay: 40 } });
    assert.equal(await job.waitUntilFinished(events, 15_000), "at last");
    const times = (await tries.take(3)).map(([, , time]) => time);
    assert.ok(times[1] - times[0] >= 40 && times[2] - times[1] >= 80, `${times}`);
    assert.deepEqual(await failed.take(2), [["flaky", "attempt 0"], ["flaky", "attempt 1"]]);
    const hopeless = await queue.add("hopeless", {}, { attempts: 5 });
    await assert.rejects(hopeless.waitUntilFinished(events, 15_000), /no way/);
    assert.deepEqual(await failed.take(1), [["hopeless", "no way"]]);
    const kept = await queue.getJob(hopeless.id);
    assert.match(kept.stacktrace[0], /no way/);
    assert.deepEqual((await queue.getFailed()).map(({ id }) => id), [hopeless.id]);
    await kept.retry();
    assert.deepEqual(await failed.take(1), [["hopeless", "no way"]]);
    return { state: await kept.getState(), reason: (await queue.getJob(hopeless.id)).failedReason, counts: nonzero(await counts(queue)) };
  }),

  rate_limiter: step("limited", async (closing, queue, name) => {
    const done = new Mailbox();
    await queue.addBulk(range(6).map((n) => ({ name: "job", data: { n } })));
    await closing.worker(name, async () => done.add(Date.now()), { limiter: { max: 2, duration: 200 }, concurrency: 6 });
    const times = await done.take(6);
    // Three windows of 200 ms with two jobs each; the first job opens the first window.
    assert.ok(times[5] - times[0] >= 390, `${times.map((time) => time - times[0])}`);
    return { done: times.length };
  }),

  parents_wait_for_children: step("parents", async (closing, queue, name) => {
    const flows = closing.add(new FlowProducer({ connection }));
    const children = closing.queue("children");
    const child = (n, grandchildren = []) => ({ name: `child ${n}`, queueName: "children", data: { n }, children: grandchildren });
    const tree = await flows.add({
      name: "sum",
      queueName: name,
      children: [child(1), child(2), child(3, [child(30), child(31)])],
    });
    assert.equal(await tree.job.getState(), "waiting-children");
    const events = await closing.events(name);
    const sum = async (job) => {
      const values = Object.values(await job.getChildrenValues());
      return values.reduce((total, value) => total + value, job.data.n ?? 0);
    };
    await closing.worker("children", sum, { concurrency: 3 });
    await closing.worker(name, sum);
    const total = await tree.job.waitUntilFinished(events, 15_000);
    const { processed, unprocessed } = await tree.job.getDependencies();
    const flow = await flows.getFlow({ id: tree.job.id, queueName: name });
    assert.deepEqual(unprocessed, []);
    return { total, processed: Object.values(processed).toSorted((a, b) => a - b), tree: flow.children.length, children: nonzero(await counts(children)) };
  }),

  a_failed_child_fails_its_parent: step("strict parents", async (closing, queue, name) => {
    const flows = closing.add(new FlowProducer({ connection }));
    const events = await closing.events(name);
    await closing.worker("bad children", async () => {
      throw new Error("a bad child");
    });
    await closing.worker(name, async () => "never");
    const bad = { name: "bad", queueName: "bad children", opts: { failParentOnFailure: true } };
    const { job } = await flows.add({ name: "parent", queueName: name, children: [bad] });
    await assert.rejects(job.waitUntilFinished(events, 15_000), /^Error: child bull:bad children:\S+ failed$/);
    return { state: await job.getState() };
  }),

  schedulers: step("scheduled", async (closing, queue, name) => {
    const done = new Mailbox();
    await closing.worker(name, async (job) => done.add([job.name, job.data.n, Date.now()]));
    await queue.upsertJobScheduler("often", { every: 60, limit: 4 }, { name: "tick", data: { n: 1 } });
    const times = (await done.take(4)).map(([job, n, time]) => {
      assert.deepEqual([job, n], ["tick", 1]);
      return time;
    });
    assert.ok(times[3] - times[0] >= 120, `${times}`);
    await queue.upsertJobScheduler("daily", { pattern: "0 0 3 * * *", tz: "UTC" }, { name: "report" });
    await queue.upsertJobScheduler("daily", { pattern: "0 0 4 * * *", tz: "UTC" }, { name: "report" });
    const daily = await queue.getJobScheduler("daily");
    assert.equal(new Date(daily.next).toISOString().slice(11), "04:00:00.000Z");
    assert.deepEqual(nonzero(await counts(queue)), { completed: 4, delayed: 1 });
    const listed = (await queue.getJobSchedulers()).map(({ key }) => key);
    assert.equal(await queue.removeJobScheduler("daily"), true);
    return { listed: listed.includes("daily"), left: (await queue.getJobSchedulers()).filter(({ key }) => key === "daily").length, counts: nonzero(await counts(queue)) };
  }),

  events_of_a_job: step("told", async (closing, queue, name) => {
    const events = await closing.events(name);
    const heard = new Mailbox();
    for (const event of ["added", "waiting", "active", "completed", "failed", "removed", "paused", "resumed", "drained"]) {
      events.on(event, ({ jobId }) => heard.add([event, jobId]));
    }
    await queue.pause();
    const job = await queue.add("job", {}, { jobId: "told-1" });
    assert.equal(await queue.isPaused(), true);
    assert.equal(await queue.count(), 1);
    await closing.worker(name, async () => "done");
    await queue.resume();
    await job.waitUntilFinished(events, 15_000);
    await until(() => heard.items.some(([event]) => event === "drained"), "the queue is told to be empty");
    await queue.remove("told-1");
    await until(() => heard.items.some(([event]) => event === "removed"), "the job is told to be removed");
    return heard.items.map(([event]) => event);
  }),

  duplicates_are_dropped: step("duplicates", async (closing, queue) => {
    const same = await Promise.all(range(5).map(() => queue.add("job", {}, { jobId: "same" })));
    const alike = await Promise.all(range(5).map((n) => queue.add("job", { n }, { deduplication: { id: "alike" } })));
    assert.equal(new Set(same.map(({ id }) => id)).size, 1);
    return { alike: new Set(alike.map(({ id }) => id)).size, counts: nonzero(await counts(queue)) };
  }),

  a_killed_process_loses_no_job: step("killed", async (closing, queue, name) => {
    const impatient = { lockDuration: 500, stalledInterval: 100, maxStalledCount: 1 };
    const child = await closing.process(name, impatient);
    const events = await closing.events(name);
    const stalled = next(events, "stalled");
    const started = next(child, "message");
    const job = await queue.add("hang", {});
    assert.deepEqual((await started)[0], { started: job.id });
    const ended = next(child, "exit");
    child.kill("SIGKILL");
    await ended;
    await closing.worker(name, async ({ attemptsStarted }) => `done at start ${attemptsStarted}`, impatient);
    const result = await job.waitUntilFinished(events, 15_000);
    assert.equal((await stalled)[0].jobId, job.id);
    return { result, counts: nonzero(await counts(queue)) };
  }),

  clean_drain_obliterate: step("cleaned", async (closing, queue, name) => {
    const worker = await closing.worker(name, async (job) => {
      if (job.name === "bad") throw new Error("bad");
    });
    const events = await closing.events(name);
    const jobs = await queue.addBulk(range(20).map((n) => ({ name: n % 4 ? "good" : "bad", data: { n } })));
    await Promise.allSettled(jobs.map((job) => job.waitUntilFinished(events, 15_000)));
    await worker.close();
    assert.deepEqual(nonzero(await counts(queue)), { completed: 15, failed: 5 });
    assert.equal((await queue.clean(0, 10, "completed")).length, 10);
    assert.equal((await queue.clean(0, 0, "failed")).length, 5);
    await queue.addBulk(range(8).map((n) => ({ name: "waiting", data: { n }, opts: n % 2 ? { delay: 60_000 } : {} })));
    const page = await queue.getJobs(["waiting"], 1, 2, true);
    assert.deepEqual(page.map(({ data }) => data.n), [2, 4]);
    await queue.drain();
    const drained = nonzero(await counts(queue));
    await queue.obliterate({ force: true });
    const redis = closing.add(new Redis({ host, port }));
    return { drained, keys: await redis.keys(`bull:${name}:*`) };
  }),
});
