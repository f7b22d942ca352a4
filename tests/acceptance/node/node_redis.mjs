/** node-redis, called with the port and the version of RESP that all clients speak. */
import assert from "node:assert/strict";
import { BasicClientSideCache, createClient, createClientPool, defineScript, RESP_TYPES, WatchError } from "redis";
import { host, Mailbox, port, range, run, until } from "./harness.mjs";

const RESP = Number(process.argv[3] ?? 3);

const COMPARE_AND_DELETE = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`,
  parseCommand(parser, key, token) {
    parser.pushKey(key);
    parser.push(token);
  },
  transformReply: (reply) => reply === 1,
});

const LIBRARY = `#!lua name=counting
redis.register_function('count_up', function(keys, args)
  local total = 0
  for _, key in ipairs(keys) do total = total + redis.call('INCRBY', key, args[1]) end
  return total
end)`;

/** Run a job with so many connected clients, and close them after it. */
async function withClients(count, job, options = {}) {
  const clients = range(count).map(() => createClient({ socket: { host, port, reconnectStrategy: false }, RESP, ...options }));
  clients.forEach((client) => client.on("error", () => {}));
  try {
    await Promise.all(clients.map((client) => client.connect()));
    return await job(...clients);
  } finally {
    clients.forEach((client) => client.destroy());
  }
}

const steps = {
  async commands() {
    return withClients(1, async (client) => {
      await client.set("a", "1", { expiration: { type: "EX", value: 100 } });
      assert.equal(await client.incrBy("a", 41), 42);
      assert.equal(await client.set("a", "x", { condition: "NX" }), null);
      await client.hSet("h", { one: "1", two: "2" });
      assert.deepEqual({ ...(await client.hGetAll("h")) }, { one: "1", two: "2" });
      await client.zAdd("z", [{ score: 1.5, value: "a" }, { score: Infinity, value: "b" }]);
      assert.deepEqual(await client.zRangeWithScores("z", 0, -1), [{ value: "a", score: 1.5 }, { value: "b", score: Infinity }]);
      await client.sAdd("s", ["x", "y"]);
      assert.equal(await client.sIsMember("s", "x"), 1);
      await assert.rejects(client.lPush("a", "x"), /^Error: WRONGTYPE|^SimpleError: WRONGTYPE/);
      const bytes = Buffer.from(range(256));
      await client.set("bytes", bytes);
      const raw = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
      assert.deepEqual(await raw.get("bytes"), bytes);
      const all = await Promise.all(range(2000).map((n) => client.set(`many:${n}`, String(n)).then(() => client.get(`many:${n}`))));
      assert.deepEqual(all, range(2000).map(String));
      const info = await client.sendCommand(["CLIENT", "INFO"]);
      return { resp: Number(/ resp=(\d)/.exec(info)[1]), library: / lib-name=(\S*)/.exec(info)[1], ttl: (await client.ttl("a")) > 0 };
    });
  },

  async multi() {
    return withClients(2, async (client, rival) => {
      const replies = await client.multi().set("m", "5").incr("m").hSet("mh", "f", "v").hGetAll("mh").exec();
      assert.deepEqual(replies.slice(0, 3), ["OK", 6, 1]);
      assert.deepEqual({ ...replies[3] }, { f: "v" });
      await client.watch("m");
      await rival.set("m", "theirs");
      await assert.rejects(client.multi().set("m", "mine").exec(), WatchError);
      const failing = await client.multi().set("m", "text").incr("m").get("m").exec().catch((error) => error.replies);
      return { value: await rival.get("m"), mixed: failing.map((reply) => (reply instanceof Error ? "error" : reply)) };
    });
  },

  async pub_sub() {
    return withClients(2, async (subscriber, publisher) => {
      const heard = new Mailbox();
      const binary = new Mailbox();
      await subscriber.subscribe(["news", "sports"], (message, channel) => heard.add([channel, message]));
      await subscriber.pSubscribe("n*", (message, channel) => heard.add(["pattern", channel, message]));
      await subscriber.subscribe("bytes", binary.add, true);
      assert.equal(await publisher.publish("news", "first"), 2);
      assert.equal(await publisher.publish("sports", "second"), 1);
      assert.deepEqual(await publisher.multi().publish("news", "third").exec(), [2]);
      await publisher.publish("bytes", Buffer.from([0, 255]));
      assert.deepEqual((await binary.take(1))[0][0], Buffer.from([0, 255]));
      const messages = await heard.take(5);
      // In RESP3 a subscriber goes on giving commands; in RESP2 it does so after the last UNSUBSCRIBE.
      if (RESP === 3) assert.equal(await subscriber.incr("pubsub:meanwhile"), 1);
      await subscriber.unsubscribe();
      await subscriber.pUnsubscribe();
      assert.equal(await subscriber.incr("pubsub:after"), 1);
      assert.deepEqual(await publisher.pubSubChannels(), []);
      return messages;
    });
  },

  async shards() {
    return withClients(2, async (subscriber, publisher) => {
      const heard = new Mailbox();
      await subscriber.sSubscribe("orders", (message, channel) => heard.add([channel, message]));
      assert.equal(await publisher.sPublish("orders", "one"), 1);
      return heard.take(1);
    });
  },

  async scan_iterators() {
    return withClients(1, async (client) => {
      const names = range(500).map((n) => `scan:${n}`);
      await client.mSet(names.map((name) => [name, "x"]));
      await client.sAdd("scanned", names);
      await client.hSet("scanned:h", Object.fromEntries(names.map((name) => [name, "x"])));
      await client.zAdd("scanned:z", names.map((value, score) => ({ value, score })));
      const gather = async (pages, name = (item) => item) => {
        const found = new Set();
        for await (const page of pages) page.forEach((item) => found.add(name(item)));
        return [...found].toSorted();
      };
      const wanted = names.toSorted();
      assert.deepEqual(await gather(client.scanIterator({ MATCH: "scan:*", COUNT: 50 })), wanted);
      assert.deepEqual(await gather(client.scanIterator({ TYPE: "zset", MATCH: "scanned*" })), ["scanned:z"]);
      assert.deepEqual(await gather(client.sScanIterator("scanned", { COUNT: 50 })), wanted);
      assert.deepEqual(await gather(client.hScanIterator("scanned:h", { COUNT: 50 }), (item) => item.field), wanted);
      assert.deepEqual(await gather(client.zScanIterator("scanned:z", { COUNT: 50 }), (item) => item.value), wanted);
      return { found: wanted.length };
    });
  },

  async stream_with_a_consumer_group() {
    return withClients(2, async (producer, consumer) => {
      await producer.xGroupCreate("stream", "workers", "0", { MKSTREAM: true });
      const done = new Mailbox();
      const work = (async () => {
        for (let seen = 0; seen < 20; ) {
          const read = await consumer.xReadGroup("workers", "one", { key: "stream", id: ">" }, { COUNT: 5, BLOCK: 10_000 });
          for (const { id, message } of read[0].messages) {
            assert.equal(await consumer.xAck("stream", "workers", id), 1);
            done.add(message.number);
            seen += 1;
          }
        }
      })();
      for (const n of range(20)) await producer.xAdd("stream", "*", { number: String(n) });
      await work;
      assert.deepEqual(await done.take(20), range(20).map(String));
      const { pending } = await producer.xPending("stream", "workers");
      const groups = await producer.xInfoGroups("stream");
      return { pending, length: await producer.xLen("stream"), lag: groups[0].lag };
    });
  },

  async blocking_pops_from_a_pool() {
    const pool = createClientPool({ socket: { host, port }, RESP }, { minimum: 2, maximum: 5 });
    await pool.connect();
    try {
      const waiting = range(4).map(() => pool.blPop(["jobs"], 10));
      await pool.rPush("jobs", range(4).map(String));
      const popped = await Promise.all(waiting);
      return popped.map(({ element }) => element).toSorted();
    } finally {
      pool.destroy();
    }
  },

  async a_lost_connection() {
    return withClients(1, (admin) => withClients(1, async (client) => {
      const heard = new Mailbox();
      const id = await client.clientId();
      await client.subscribe("lost", (message) => heard.add(message));
      const listed = await admin.clientList({ TYPE: "PUBSUB" });
      assert.ok(listed.some((other) => other.id === id && other.sub === 1));
      assert.equal(await admin.clientKill({ filter: "ID", id }), 1);
      await until(async () => (await admin.publish("lost", "again")) === 1, "subscribed again");
      return heard.take(1);
    }, { socket: { host, port } }));
  },

  async scripts() {
    return withClients(1, async (client) => {
      await client.scriptFlush();
      await client.set("lock", "token");
      assert.equal(await client.compareAndDelete("lock", "other"), false);
      assert.deepEqual(await client.multi().compareAndDelete("lock", "token").exists("lock").exec(), [true, 0]);
      const values = await client.eval("return {1, 'two', {3, false}, cjson.decode('[4]')[1]}");
      await assert.rejects(client.eval("return redis.call('NOSUCH')"), /Unknown Redis command/);
      return values;
    }, { scripts: { compareAndDelete: COMPARE_AND_DELETE } });
  },

  async functions() {
    const countUp = {
      NUMBER_OF_KEYS: 2,
      parseCommand(parser, one, two, by) {
        parser.pushKeys([one, two]);
        parser.push(String(by));
      },
      transformReply: undefined,
    };
    return withClients(1, async (client) => {
      assert.equal(await client.functionLoad(LIBRARY, { REPLACE: true }), "counting");
      const total = await client.counting.count_up("counted:a", "counted:b", 5);
      const [{ library_name, functions }] = await client.functionList({ LIBRARYNAME: "counting" });
      assert.equal(await client.functionDelete("counting"), "OK");
      return { total, library_name, functions: functions.length };
    }, { functions: { counting: { count_up: countUp } } });
  },
};

if (RESP === 3) {
  steps.client_side_cache = async () => {
    const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 100, evictPolicy: "LRU" });
    return withClients(1, (writer) => withClients(1, async (reader) => {
      await writer.set("cached", "old");
      const before = [await reader.get("cached"), await reader.get("cached"), await reader.get("cached")];
      assert.deepEqual(before, ["old", "old", "old"]);
      const { hitCount, missCount } = cache.stats();
      await writer.set("cached", "new");
      await until(async () => (await reader.get("cached")) === "new", "the writer's change is seen");
      const flushed = new Promise((resolve) => cache.once("invalidate", resolve));
      await writer.flushDb();
      await flushed;
      assert.equal(await reader.get("cached"), null);
      return { hitCount, missCount };
    }, { clientSideCache: cache }));
  };
}

await run(steps);
