/** Socket.IO over two server processes and several clients, with each of its adapters for Redis. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { io } from "socket.io-client";
import { host, Mailbox, next, port, range, run, until, within } from "./harness.mjs";

/** A server process that does tasks when asked. */
class ServerProcess {
  #process;
  #asked = new Map();
  #last = 0;

  static async start(kind) {
    const server = new ServerProcess();
    server.#process = fork(new URL("socketio_server.mjs", import.meta.url), [port, kind]);
    const [message] = await next(server.#process, "message");
    server.url = `http://${host}:${message.port}`;
    server.pid = server.#process.pid;
    server.#process.on("message", ({ id, value, error }) => {
      const { resolve, reject } = server.#asked.get(id);
      server.#asked.delete(id);
      error ? reject(new Error(error)) : resolve(value);
    });
    return server;
  }

  ask(task, ...words) {
    const id = ++this.#last;
    const answer = new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
    this.#process.send({ id, task, words });
    return within(answer, `task ${task}`);
  }

  async stop() {
    const ended = next(this.#process, "exit");
    this.#process.disconnect();
    await ended;
  }
}

/** A connected client that keeps what it hears. */
async function client({ url }) {
  const socket = io(url, { transports: ["websocket"], forceNew: true, reconnection: false });
  const heard = new Mailbox();
  socket.on("said", heard.add);
  socket.on("question", (question, answer) => answer(`${question} ${socket.id}`));
  await next(socket, "connect");
  return { socket, heard, join: (room) => within(socket.emitWithAck("join", room), `join ${room}`) };
}

async function withTwoServers(kind, job) {
  const servers = await Promise.all([ServerProcess.start(kind), ServerProcess.start(kind)]);
  const clients = [];
  try {
    await until(async () => !(await servers[0].ask("alone")) && !(await servers[1].ask("alone")), "the servers know each other");
    for (const n of range(4)) clients.push(await client(servers[n % 2]));
    return await job(servers, clients);
  } finally {
    clients.forEach(({ socket }) => socket.disconnect());
    await Promise.all(servers.map((server) => server.stop()));
  }
}

async function roomsAndBroadcasts([left, right], clients) {
  const [a, b, c, d] = clients;
  await Promise.all([a, b].map(({ join }) => join("kitchen")));
  await left.ask("broadcast", "hello", { from: "left" });
  for (const { heard } of clients) assert.deepEqual(await heard.take(1), [["hello", { from: "left" }]]);
  c.socket.emit("say", "kitchen", "dinner");
  for (const { heard } of [a, b]) assert.deepEqual(await heard.take(1), ["dinner"]);
  d.socket.emit("tell others", Buffer.from([0, 255]));
  for (const { heard } of [a, b, c]) assert.deepEqual(await heard.take(1), [Buffer.from([0, 255])]);
  await right.ask("join all", "kitchen", "hall");
  await until(async () => (await left.ask("sockets")).filter(([, rooms]) => rooms.includes("hall")).length === 2, "two in the hall");
  for (const n of range(100)) (n % 2 ? right : left).ask("broadcast", n);
  for (const { heard } of clients) {
    const numbers = await heard.take(100);
    assert.deepEqual(numbers.toSorted((x, y) => x - y), range(100));
    assert.deepEqual(numbers.filter((n) => n % 2), range(100).filter((n) => n % 2));
  }
}

async function questions([left, right], clients) {
  const answers = await left.ask("ask", "who");
  assert.deepEqual(answers.toSorted(), clients.map(({ socket }) => `who ${socket.id}`).toSorted());
  assert.deepEqual(await right.ask("other servers"), [`pid ${left.pid}`]);
  const sockets = await right.ask("sockets");
  assert.deepEqual(sockets.map(([id]) => id).toSorted(), clients.map(({ socket }) => socket.id).toSorted());
  return answers.length;
}

async function somebodyIsThrownOut([left], clients) {
  const gone = clients.slice(0, 2).map(({ socket }) => next(socket, "disconnect"));
  await left.ask("throw out", "kitchen");
  await Promise.all(gone);
  await until(async () => (await left.ask("sockets")).length === 2, "two are left");
}

async function allOfIt(kind) {
  return withTwoServers(kind, async (servers, clients) => {
    await roomsAndBroadcasts(servers, clients);
    const answers = await questions(servers, clients);
    await somebodyIsThrownOut(servers, clients);
    return { answers, silent: clients.every(({ heard }) => heard.items.length === 0) };
  });
}

await run({
  pubsub: () => allOfIt("pubsub"),
  sharded_pubsub: () => allOfIt("sharded"),
  streams: () => allOfIt("streams"),

  async what_a_client_missed_is_given_to_it_later() {
    // With recovery each message ends with its place in the stream, which the client names when it comes again.
    const messages = async ({ heard }) => (await heard.take(1)).map(([message]) => message);
    return withTwoServers("recovery", async ([left, right], [a, b]) => {
      await right.ask("broadcast", "before");
      assert.deepEqual([await messages(a), await messages(b)], [["before"], ["before"]]);
      const { id } = a.socket;
      a.socket.io.engine.close();
      await until(async () => (await left.ask("local sockets")) === 1, "the server has noticed");
      await right.ask("broadcast", "meanwhile");
      assert.deepEqual(await messages(b), ["meanwhile"]);
      a.socket.connect();
      await next(a.socket, "connect");
      return { recovered: a.socket.recovered, same: a.socket.id === id, missed: await messages(a) };
    });
  },
});
