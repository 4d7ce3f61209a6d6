// A small signaling hub for tests and the harness: joins, updates, routes; no credentials, no resume. Runs anywhere.

const LIMITS = {
  message_bytes: 65536,
  messages_per_second: 500,
  burst: 1000,
  participants: 64,
  resume_seconds: 30,
};
const ROUTED = /^(webrtc|stream)\./;

/** The rooms; they come into being with their first participant. */
export class Hub {
  rooms = new Map();
  #count = 0;

  /**
   * A new connection; `write` gets the messages for it.
   * @param {string} room
   * @param {(message: object) => void} write
   */
  connect(room, write) {
    const people = this.rooms.get(room) ?? new Map();
    this.rooms.set(room, people);
    this.#count += 1;
    return new Connection(people, this.#count.toString(16).padStart(16, "0"), room, write);
  }
}

class Connection {
  /**
   * @param {Map<string, Connection>} people
   * @param {string} id
   * @param {string} room
   * @param {(message: object) => void} write
   */
  constructor(people, id, room, write) {
    this.people = people;
    this.id = id;
    this.room = room;
    this.write = write;
    this.participant = {};
  }

  /** @param {any} message */
  receive(message) {
    if (message.type === "room.hello") this.#join(message);
    else if (message.type === "room.updated") this.#update(message);
    else if (message.type === "ice.request") this.write({ type: "ice.servers", servers: [] });
    else if (message.type === "ping") this.write({ type: "pong", id: message.id });
    else if (ROUTED.test(message.type)) this.people.get(message.to)?.write({ ...message, from: this.id });
  }

  close() {
    if (this.people.delete(this.id)) this.#tell({ type: "room.left", participant_id: this.id });
  }

  /** A hello's `ticket` is taken for a name and a kind here: "Ada" or "kernel:Python". */
  #join({ owners, streams, channels = [], ticket, name: wanted = "You Yourself" }) {
    const [, kernel, name] = /^(kernel:)?(.*)$/.exec(ticket ?? wanted) ?? [];
    const { id, room, people } = this;
    const kind = kernel ? "kernel" : "browser";
    const agreed = channels.filter((channel) => !this.#otherOptions(channel));
    const said = { owners, streams, channels: agreed };
    this.participant = { id, name, kind, user: name, ...said, joined_at: Date.now() / 1000 };
    const participants = [...people.values()].map(({ participant }) => participant);
    this.#tell({ type: "room.joined", participant: this.participant });
    people.set(id, this);
    const me = { participant: this.participant, participants, limits: LIMITS, resume: `resume-${id}` };
    this.write({ type: "room.welcome", version: 1, room, ...me });
  }

  #update({ id, streams, owners, channels }) {
    const refused = channels?.find((channel) => this.#otherOptions(channel));
    if (refused) {
      const message = `channel '${refused.name}' is open with other options`;
      this.write({ type: "error", code: "channel-options", message, reply_to: id });
      return;
    }
    Object.assign(this.participant, streams && { streams }, owners && { owners }, channels && { channels });
    this.#tell({ type: "room.updated", participant: this.participant });
  }

  /** Whether somebody else has a channel of this name open with other options. */
  #otherOptions(channel) {
    const others = [...this.people.values()].filter((person) => person !== this);
    const theirs = others.flatMap(({ participant }) => participant.channels ?? []);
    return theirs.some((one) => one.name === channel.name && JSON.stringify(one) !== JSON.stringify(channel));
  }

  #tell(message) {
    for (const person of this.people.values()) if (person !== this) person.write(message);
  }
}
