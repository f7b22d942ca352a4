/**
 * One of several Socket.IO servers that share rooms by Redis: a child process of socketio.mjs.
 *
 * Called with the port of Redis and the kind of adapter; sends its own port to its parent once it listens, does what
 * the parent's messages ask, and ends with its parent.
 */
import { createServer } from "node:http";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { host, port } from "./harness.mjs";

const kind = process.argv[3];
const options = { requestsTimeout: 10_000, heartbeatInterval: 200 };

async function connect() {
  return createClient({ socket: { host, port } }).connect();
}

async function adapter() {
  switch (kind) {
    case "pubsub":
      return createAdapter(await connect(), await connect(), options);
    case "sharded":
      return createShardedAdapter(await connect(), await connect(), options);
    case "streams":
    case "recovery":
      return createStreamsAdapter(await connect(), { ...options, blockTimeInMs: 1000 });
    default:
      throw new Error(`no such adapter: ${kind}`);
  }
}

const http = createServer();
const recovery = kind === "recovery" ? { connectionStateRecovery: { maxDisconnectionDuration: 60_000 } } : {};
const io = new Server(http, { adapter: await adapter(), ...recovery });

io.on("connection", (socket) => {
  socket.on("join", async (room, done) => {
    await socket.join(room);
    done(socket.id);
  });
  socket.on("say", (room, ...words) => io.to(room).emit("said", ...words));
  socket.on("tell others", (...words) => socket.broadcast.emit("said", ...words));
});
io.on("server side", (question, answer) => answer(`${question} ${process.pid}`));

/** What the parent may ask for. */
const TASKS = {
  alone: async () => (await io.of("/").adapter.serverCount()) < 2,
  broadcast: async (...words) => io.emit("said", ...words),
  ask: async (question) => io.timeout(10_000).emitWithAck("question", question),
  sockets: async () => (await io.fetchSockets()).map(({ id, rooms }) => [id, [...rooms].filter((room) => room !== id)]),
  "other servers": async () => io.serverSideEmitWithAck("server side", "pid"),
  "join all": async (from, room) => io.in(from).socketsJoin(room),
  "throw out": async (room) => io.in(room).disconnectSockets(),
  "local sockets": async () => io.of("/").sockets.size,
};

process.on("message", async ({ id, task, words }) => {
  try {
    process.send({ id, value: await TASKS[task](...words) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
process.on("disconnect", () => process.exit());

http.listen(0, host, () => process.send({ port: http.address().port }));
