/**
 * A BullMQ worker in a process of its own: a child of bullmq.mjs, called with Redis's port, the queue and the worker's
 * options as JSON. Says "ready" once it takes jobs, closes the worker when it is asked for anything, and ends with its parent.
 */
import { Worker } from "bullmq";
import { host, port } from "./harness.mjs";

const [queue, options] = process.argv.slice(3);

/** What the jobs of this worker mean, by their names. */
const JOBS = {
  square: async (job) => {
    await job.log(`squaring ${job.data.n}`);
    await job.updateProgress({ percent: 50 });
    return { square: job.data.n ** 2, pid: process.pid };
  },
  // Never ends: its process is killed while it works.
  hang: async (job) => {
    process.send({ started: job.id });
    return new Promise(() => {});
  },
};

const worker = new Worker(queue, (job) => JOBS[job.name](job), { connection: { host, port }, ...JSON.parse(options) });
worker.on("error", (error) => process.send({ error: error.stack }));
process.on("message", async () => {
  await worker.close();
  process.disconnect();
});
process.on("disconnect", () => process.exit());
await worker.waitUntilReady();
process.send("ready");
