// A small signaling hub for the harness: joins, updates, routes; no credentials, no resume. Runs in node.
import { WebSocketServer } from "ws";

const LIMITS = {
  message_bytes: 65536,
  messages_per_second: 500,
  burst: 1000,
  participants: 64,
  resume_seconds: 30,
};
const ROUTED = /^(webrtc|stream)\./;

/** Serve signaling on an HTTP server; rooms come into being with their first participant. */
export function serveSignaling(server) {
  const sockets = new WebSocketServer({ server });
  const rooms = new Map();
  let count = 0;
  sockets.on("connection", (socket, request) => {
    const room = new URL(request.url, "http://harness").searchParams.get("room") ?? "room";
    const people = rooms.get(room) ?? new Map();
    rooms.set(room, people);
    const id = (++count).toString(16).padStart(16, "0");
    socket.on("message", (frame) => receive(people, id, socket, JSON.parse(String(frame)), room));
    socket.on("close", () => {
      people.delete(id);
      tell(people, { type: "room.left", participant_id: id });
    });
  });
}

function receive(people, id, socket, message, room) {
  const me = people.get(id);
  if (message.type === "room.hello") join(people, id, socket, message, room);
  else if (message.type === "room.updated") update(people, me, message);
  else if (message.type === "ice.request") send(socket, { type: "ice.servers", servers: [] });
  else if (message.type === "ping") send(socket, { type: "pong" });
  else if (ROUTED.test(message.type)) send(people.get(message.to)?.socket, { ...message, from: id });
}

/** A hello's `ticket` is taken for a name and a kind here: "Ada" or "kernel:Python". */
function join(people, id, socket, { owners, streams, ticket }, room) {
  const [, kernel, name] = /^(kernel:)?(.*)$/.exec(ticket ?? "You Yourself") ?? [];
  const kind = kernel ? "kernel" : "browser";
  const participant = { id, name, kind, user: name, owners, streams, joined_at: Date.now() / 1000 };
  const others = [...people.values()].map((person) => person.participant);
  tell(people, { type: "room.joined", participant });
  people.set(id, { socket, participant });
  send(socket, {
    type: "room.welcome",
    version: 1,
    room,
    participant,
    participants: others,
    limits: LIMITS,
    resume: "x",
  });
}

function update(people, me, { streams, owners }) {
  if (streams) me.participant.streams = streams;
  if (owners) me.participant.owners = owners;
  for (const person of people.values()) {
    if (person !== me) send(person.socket, { type: "room.updated", participant: me.participant });
  }
}

function tell(people, message) {
  for (const { socket } of people.values()) send(socket, message);
}

function send(socket, message) {
  socket?.send(JSON.stringify(message));
}
