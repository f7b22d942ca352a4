/** Sessions of express-session kept by connect-redis: several applications in turn, cookies, expiry, removal. */
import assert from "node:assert/strict";
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";
import { host, port, range, run, until } from "./harness.mjs";

/** An application that counts a visitor's visits; `ttl_s` is how long a session lives. */
async function start(client, ttl_s) {
  const store = new RedisStore({ client, prefix: "session:", ttl: ttl_s });
  const application = express();
  application.use(session({ store, secret: "for a test", resave: false, saveUninitialized: false }));
  application.get("/visit", (request, response) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    response.json({ id: request.sessionID, visits: request.session.visits });
  });
  application.get("/look", (request, response) => response.json({ visits: request.session.visits ?? 0 }));
  application.get("/leave", (request, response, fail) => {
    request.session.destroy((error) => (error ? fail(error) : response.json({ left: true })));
  });
  const listener = application.listen(0, host);
  await new Promise((resolve) => listener.once("listening", resolve));
  return { store, listener, url: `http://${host}:${listener.address().port}` };
}

/** Start an application for a job and stop it after it. */
async function withApplication(job, ttl_s = 1000) {
  const client = await createClient({ socket: { host, port } }).connect();
  const { store, listener, url } = await start(client, ttl_s);
  try {
    return await job(url, client, store);
  } finally {
    listener.closeAllConnections();
    listener.close();
    client.destroy();
  }
}

/** A visitor with a cookie jar for one cookie. */
class Visitor {
  #cookie;

  async get(url) {
    const response = await fetch(url, { headers: this.#cookie ? { cookie: this.#cookie } : {} });
    assert.equal(response.status, 200);
    this.#cookie = response.headers.get("set-cookie")?.split(";")[0] ?? this.#cookie;
    return response.json();
  }
}

const visitor = new Visitor();

await run({
  async visits_are_counted() {
    return withApplication(async (url, client) => {
      const { id } = await visitor.get(`${url}/visit`);
      await visitor.get(`${url}/visit`);
      const stored = JSON.parse(await client.get(`session:${id}`));
      const ttl = await client.ttl(`session:${id}`);
      return { visits: stored.visits, ttl: ttl > 900 && ttl <= 1000 };
    });
  },

  async another_application_knows_the_visitor() {
    return withApplication(async (url) => ({ visits: (await visitor.get(`${url}/visit`)).visits }));
  },

  async many_visitors() {
    return withApplication(async (url, client, store) => {
      const visitors = range(30).map(() => new Visitor());
      for (const wanted of [1, 2]) {
        const seen = await Promise.all(visitors.map((one) => one.get(`${url}/visit`)));
        assert.deepEqual(seen.map(({ visits }) => visits), visitors.map(() => wanted));
      }
      const all = await store.all();
      assert.equal(await store.length(), 31);
      return { sessions: all.length, visits: all.reduce((sum, { visits }) => sum + visits, 0) };
    });
  },

  async a_visitor_leaves() {
    return withApplication(async (url, client, store) => {
      await visitor.get(`${url}/leave`);
      return { sessions: await store.length(), visits: (await visitor.get(`${url}/look`)).visits };
    });
  },

  async a_session_expires() {
    return withApplication(async (url, client) => {
      const brief = new Visitor();
      const { id } = await brief.get(`${url}/visit`);
      assert.equal(await client.exists(`session:${id}`), 1);
      await until(async () => (await client.exists(`session:${id}`)) === 0, "the session is gone");
      return await brief.get(`${url}/look`);
    }, 1);
  },

  async all_sessions_are_removed() {
    return withApplication(async (url, client, store) => {
      await store.clear();
      return { sessions: await store.length() };
    });
  },
});
