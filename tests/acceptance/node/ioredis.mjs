/** ioredis: each step works as a program of its own would, on connections of its own. */
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { host, Mailbox, next, port, range, run, until } from "./harness.mjs";

/** Run a job with so many clients, each ready, and close them after it. */
async function withClients(count, job, options = {}) {
  const clients = range(count).map(() => new Redis({ host, port, maxRetriesPerRequest: 0, ...options }));
  try {
    await Promise.all(clients.map((client) => next(client, "ready")));
    return await job(...clients);
  } finally {
    clients.forEach((client) => client.disconnect());
  }
}

/** A compare-and-delete lock, a counter with a limit, and what a script sees of types and errors. */
const SCRIPTS = {
  unlock: {
    numberOfKeys: 1,
    lua: `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`,
  },
  limited: {
    numberOfKeys: 1,
    lua: `
      local now = tonumber(redis.call("GET", KEYS[1]) or "0")
      if now >= tonumber(ARGV[1]) then return redis.error_reply("LIMIT reached") end
      redis.call("INCR", KEYS[1])
      return {now + 1, {ok = "COUNTED"}, false, cjson.encode({count = now + 1})}`,
  },
};

await run({
  async pipeline() {
    return withClients(1, async (redis) => {
      const written = await redis
        .pipeline()
        .set("pipeline:a", "1")
        .incrby("pipeline:a", 41)
        .lpush("pipeline:a", "x")
        .hset("pipeline:h", { one: 1, two: 2 })
        .hgetall("pipeline:h")
        .exec();
      assert.deepEqual(written.filter(([error]) => !error).map(([, reply]) => reply), ["OK", 42, 2, { one: "1", two: "2" }]);
      assert.match(written[2][0].message, /^WRONGTYPE/);
      const many = redis.pipeline();
      range(2000).forEach((n) => many.set(`pipeline:${n}`, n));
      range(2000).forEach((n) => many.get(`pipeline:${n}`));
      const replies = await many.exec();
      assert.deepEqual(replies.slice(2000), range(2000).map((n) => [null, String(n)]));
      return { replies: replies.length };
    });
  },

  async multi() {
    return withClients(2, async (redis, rival) => {
      const replies = await redis.multi().set("multi:a", "5").incr("multi:a").get("multi:a").exec();
      assert.deepEqual(replies, [[null, "OK"], [null, 6], [null, "6"]]);
      await redis.watch("multi:a");
      await rival.set("multi:a", "changed");
      const lost = await redis.multi().set("multi:a", "mine").exec();
      assert.equal(lost, null);
      await assert.rejects(redis.multi().set("multi:a").get("multi:a").exec(), /EXECABORT/);
      return { value: await redis.get("multi:a") };
    });
  },

  async values() {
    return withClients(1, async (redis) => {
      const bytes = Buffer.from(range(256));
      await redis.set("values:bytes", bytes);
      assert.deepEqual(await redis.getBuffer("values:bytes"), bytes);
      assert.equal(await redis.set("values:lock", "me", "PX", 60_000, "NX"), "OK");
      assert.equal(await redis.set("values:lock", "you", "PX", 60_000, "NX"), null);
      await redis.zadd("values:z", 1.5, "a", 2, "b", "+inf", "c");
      assert.deepEqual(await redis.zrange("values:z", 0, -1, "WITHSCORES"), ["a", "1.5", "b", "2", "c", "inf"]);
      await redis.geoadd("values:geo", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania");
      return { distance: await redis.geodist("values:geo", "Palermo", "Catania", "km"), ttl: (await redis.pttl("values:lock")) > 0 };
    });
  },

  async replies_of_resp3() {
    return withClients(1, async (redis) => {
      await redis.hset("resp3:h", { field: "value" });
      await redis.zadd("resp3:z", 1.5, "a");
      return { hash: await redis.hgetall("resp3:h"), score: await redis.zscore("resp3:z", "a") };
    }, { protocol: 3, replyMapping: "resp3" });
  },

  async pub_sub() {
    return withClients(2, async (subscriber, publisher) => {
      const heard = new Mailbox();
      subscriber.on("message", (channel, message) => heard.add([channel, message]));
      subscriber.on("pmessage", (pattern, channel, message) => heard.add([pattern, channel, message]));
      assert.equal(await subscriber.subscribe("news", "sports"), 2);
      assert.equal(await subscriber.psubscribe("n*"), 3);
      assert.equal(await publisher.publish("news", "first"), 2);
      assert.equal(await publisher.publish("sports", "second"), 1);
      assert.equal(await publisher.publish("nobody", "third"), 1);
      assert.deepEqual(await publisher.pubsub("NUMSUB", "news", "unknown"), ["news", 1, "unknown", 0]);
      const exec = await publisher.multi().publish("sports", "in a transaction").exec();
      assert.deepEqual(exec, [[null, 1]]);
      const messages = await heard.take(5);
      assert.equal(await subscriber.unsubscribe("news", "sports"), 1);
      assert.equal(await subscriber.punsubscribe("n*"), 0);
      assert.equal(await subscriber.set("pubsub:after", "1"), "OK");
      return messages;
    });
  },

  async shards() {
    return withClients(2, async (subscriber, publisher) => {
      const heard = new Mailbox();
      subscriber.on("smessage", (channel, message) => heard.add([channel, message]));
      assert.equal(await subscriber.ssubscribe("orders"), 1);
      assert.equal(await publisher.spublish("orders", "one"), 1);
      return heard.take(1);
    });
  },

  async subscriptions_survive_a_lost_connection() {
    return withClients(2, async (subscriber, publisher) => {
      const heard = new Mailbox();
      subscriber.on("message", (channel, message) => heard.add([channel, message]));
      const id = await subscriber.client("ID");
      await subscriber.subscribe("lost");
      assert.match(await publisher.client("LIST", "ID", id), /flags=P .* sub=1 psub=0 /);
      const closed = next(subscriber, "close");
      assert.equal(await publisher.client("KILL", "ID", id), 1);
      await closed;
      await until(async () => (await publisher.publish("lost", "again")) === 1, "subscribed again");
      return heard.take(1);
    });
  },

  async stream_with_a_consumer_group() {
    return withClients(3, async (producer, ...consumers) => {
      await producer.xgroup("CREATE", "stream", "workers", "$", "MKSTREAM");
      const done = [];
      const consume = async (consumer, name) => {
        for (;;) {
          const read = await consumer.xreadgroup("GROUP", "workers", name, "COUNT", 1, "BLOCK", 10_000, "STREAMS", "stream", ">");
          for (const [id, [, number]] of read[0][1]) {
            if (number === "end") return;
            done.push(Number(number));
            if (Number(number) % 10 !== 0) assert.equal(await consumer.xack("stream", "workers", id), 1);
          }
        }
      };
      const work = consumers.map((consumer, n) => consume(consumer, `worker-${n}`));
      for (const n of range(50)) await producer.xadd("stream", "*", "number", n);
      await Promise.all(consumers.map(() => producer.xadd("stream", "*", "number", "end")).concat(work));
      assert.deepEqual(done.toSorted((a, b) => a - b), range(50));
      const [pending] = await producer.xpending("stream", "workers");
      const [, claimed] = await producer.xautoclaim("stream", "workers", "cleaner", 0, "0-0");
      const numbers = claimed.map(([, [, number]]) => number).filter((number) => number !== "end");
      assert.deepEqual(numbers, ["0", "10", "20", "30", "40"]);
      const groups = await producer.xinfo("GROUPS", "stream");
      return { pending, length: await producer.xlen("stream"), group: groups[0].slice(0, 4) };
    });
  },

  async blocking_pops() {
    return withClients(3, async (one, two, feeder) => {
      const first = one.blpop("blocking:a", "blocking:b", 10);
      await until(async () => (await feeder.client("LIST")).includes("cmd=blpop"), "the first client waits");
      const second = two.bzpopmin("blocking:z", 10);
      await feeder.rpush("blocking:b", "item");
      await feeder.zadd("blocking:z", 2, "late", 1, "early");
      assert.deepEqual(await first, ["blocking:b", "item"]);
      assert.deepEqual(await second, ["blocking:z", "early", "1"]);
      assert.equal(await one.blpop("blocking:a", 0.01), null);
      const moved = one.blmove("blocking:from", "blocking:to", "LEFT", "RIGHT", 10);
      await feeder.multi().rpush("blocking:from", "x", "y").rpush("blocking:from", "z").exec();
      assert.equal(await moved, "x");
      return { from: await feeder.lrange("blocking:from", 0, -1), to: await feeder.lrange("blocking:to", 0, -1) };
    });
  },

  async scan_streams() {
    return withClients(1, async (redis) => {
      const names = range(500).map((n) => `scan:${n}`);
      await redis.mset(new Map(names.map((name) => [name, "x"])));
      await redis.sadd("scanned", ...names);
      await redis.hset("scanned:h", Object.fromEntries(names.map((name) => [name, "x"])));
      await redis.zadd("scanned:z", ...names.flatMap((name, n) => [n, name]));
      const gather = async (stream, step = 1) => {
        const found = new Set();
        for await (const page of stream) page.forEach((item, at) => at % step === 0 && found.add(item));
        return [...found].toSorted();
      };
      const wanted = names.toSorted();
      assert.deepEqual(await gather(redis.scanStream({ match: "scan:*", count: 50 })), wanted);
      assert.deepEqual(await gather(redis.scanStream({ match: "scann*", type: "set" })), ["scanned"]);
      assert.deepEqual(await gather(redis.sscanStream("scanned", { count: 50 })), wanted);
      assert.deepEqual(await gather(redis.hscanStream("scanned:h", { count: 50 }), 2), wanted);
      assert.deepEqual(await gather(redis.zscanStream("scanned:z", { match: "*9" }), 2), wanted.filter((name) => name.endsWith("9")));
      return { found: wanted.length };
    });
  },

  async auto_pipelining() {
    return withClients(1, async (redis) => {
      const jobs = range(500).map(async (n) => {
        await redis.set(`auto:${n}`, n);
        return redis.incrby(`auto:${n}`, 1);
      });
      assert.deepEqual(await Promise.all(jobs), range(500).map((n) => n + 1));
      const failing = await Promise.allSettled([redis.get("auto:1"), redis.lpush("auto:1", "x"), redis.get("auto:2")]);
      return failing.map(({ value, reason }) => value ?? reason.message.split(" ")[0]);
    }, { enableAutoPipelining: true });
  },

  async prefixes() {
    const job = async (plain, prefixed) => {
      await prefixed.mset({ key: "value", other: "1" });
      await prefixed.sadd("set", "a");
      assert.deepEqual(await prefixed.sunion("set", "missing"), ["a"]);
      assert.deepEqual(await prefixed.multi().get("key").exists("other").exec(), [[null, "value"], [null, 1]]);
      return (await plain.keys("app:*")).toSorted();
    };
    return withClients(1, (plain) => withClients(1, (prefixed) => job(plain, prefixed), { keyPrefix: "app:" }));
  },

  async databases() {
    return withClients(2, async (one, two) => {
      await one.select(1);
      await one.set("databases", "one");
      assert.equal(await two.get("databases"), "one");
      assert.equal(await two.move("databases", 2), 1);
      await two.select(2);
      return { there: await two.get("databases"), left: await one.exists("databases") };
    }, { db: 1 });
  },

  async keyspace_notifications() {
    return withClients(2, async (redis, subscriber) => {
      const before = await redis.config("GET", "notify-keyspace-events");
      await redis.config("SET", "notify-keyspace-events", "KEA");
      try {
        const heard = new Mailbox();
        subscriber.on("pmessage", (pattern, channel, event) => heard.add([channel.replace("__keyspace@0__:", ""), event]));
        await subscriber.psubscribe("__keyspace@0__:noted*");
        await redis.set("noted", "1", "PX", 30);
        return await heard.take(3);
      } finally {
        await redis.config("SET", "notify-keyspace-events", before[1]);
      }
    });
  },

  async scripts() {
    return withClients(1, async (redis) => {
      await redis.script("FLUSH");
      await redis.set("script:lock", "token");
      assert.equal(await redis.unlock("script:lock", "other"), 0);
      assert.equal(await redis.unlock("script:lock", "token"), 1);
      assert.equal(await redis.exists("script:lock"), 0);
      const [count, status, nothing, json] = await redis.limited("script:count", 2);
      assert.deepEqual([count, status, nothing, JSON.parse(json)], [1, "COUNTED", null, { count: 1 }]);
      const replies = await redis.pipeline().limited("script:count", 2).limited("script:count", 2).get("script:count").exec();
      assert.match(replies[1][0].message, /LIMIT reached/);
      const inside = await redis.multi().unlock("script:count", "2").exists("script:count").exec();
      assert.deepEqual(inside, [[null, 1], [null, 0]]);
      const sha = await redis.script("LOAD", "return {KEYS[1], ARGV[1], #ARGV}");
      assert.deepEqual(await redis.evalsha(sha, 1, "k", "a", "b"), ["k", "a", 2]);
      await assert.rejects(redis.evalsha("0".repeat(40), 0), /NOSCRIPT/);
      assert.deepEqual(await redis.evalBuffer("return ARGV[1]", 0, Buffer.from([0, 255])), Buffer.from([0, 255]));
      return { count: replies[0][1][0], left: replies[2][1] };
    }, { scripts: SCRIPTS });
  },
});
