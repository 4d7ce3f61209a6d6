/** The channels that this tab has open, as the room is told of them; runs in the browser tab.
 *
 * The server has no positive answer to a `room.updated`: a ping goes after it, and an error that comes before the pong is the
 * refusal of the whole update. So it is asked for one new channel at a time.
 */

import {
  CHANNEL_DEFAULTS,
  type Channel as ChannelRecord,
  checkChannelName,
  MAX_CHANNELS,
  channel as readRecord,
} from "./channel";
import { Channel } from "./data/channel";
import { invalid, otherOptions, type RoomError, roomFailure, signalingError } from "./errors";
import type { Failure } from "./failure";
import { OpenChannel, sameChannel, type Ways } from "./open_channel";
import type { ClientMessage, Message, Participant } from "./protocol";
import { Repeats } from "./repeats";
import { DecodeError } from "./schema";
import { NOT_PASSED_ON } from "./signaling";

export interface ChannelOptions extends Omit<ChannelRecord, "name"> {
  /** Closes the channel. */
  signal?: AbortSignal;
}

export interface ChannelsHost extends Ways {
  /** Whether messages to the server arrive now; what is open else goes with the next hello. */
  joined(): boolean;
  /** False for what the server would refuse. */
  send(message: ClientMessage): boolean;
  others(): Participant[];
  /** Bytes that a message may have. */
  limit(): number | undefined;
}

/** Ids of announcements: there is no participant before the slash. */
const MARK = "/";

export class OpenChannels {
  readonly #host: ChannelsHost;
  readonly #open = new Map<string, OpenChannel>();
  readonly #repeats = new Repeats(() => this.#repeat());
  /** What the last hello told. */
  #told: OpenChannel[] = [];
  /** The one that the server is asked for. */
  #asking: OpenChannel | null = null;
  /** The id of the newest announcement, "" once the server has read it. */
  #newest = "";
  #count = 0;

  constructor(host: ChannelsHost) {
    this.#host = host;
  }

  /** Open a channel, or have the one of that name that is open already. Errors: `RTCError`. */
  async open(name: string, { signal, ...options }: ChannelOptions): Promise<Channel> {
    signal?.throwIfAborted();
    const entry = this.#entry(read(name, options));
    const stop = () => this.#close(entry, entry.known ? null : signal?.reason);
    signal?.addEventListener("abort", stop, { once: true });
    entry.channel.addEventListener("close", () => signal?.removeEventListener("abort", stop), { once: true });
    this.#ask();
    return entry.opened;
  }

  get names(): string[] {
    return [...this.#open.values()].filter(({ known }) => known).map(({ record }) => record.name);
  }

  /** What the next hello says. */
  introduce(): ChannelRecord[] {
    this.#told = [...this.#open.values()];
    return this.#told.map(({ record }) => record);
  }

  /** The server's answer to the hello: what is missing in it others have open with other options. */
  welcomed({ channels = [] }: Participant): void {
    this.#asking = null;
    const there = new Set(channels.map(({ name }) => name));
    for (const entry of this.#told.splice(0)) {
      if (there.has(entry.record.name)) entry.accept();
      else this.#drop(entry, refusal(entry.record.name));
    }
    for (const person of this.#host.others()) this.met(person);
    // What waited to be sent is older than the hello, but arrives after it.
    const stale = this.#newest !== "" || JSON.stringify(this.#records()) !== JSON.stringify(channels);
    if (!this.#ask() && stale) this.#announce();
  }

  /** The pong of this id came. */
  answered(id: string | undefined): void {
    if (id !== this.#newest) return;
    this.#newest = "";
    this.#asking?.accept();
    this.#asking = null;
    this.#ask();
  }

  /** An error came; returns true if it was about an announcement, and no surprise. */
  refused({ code, message, reply_to }: Message<"error">): boolean {
    if (reply_to === undefined || !isAnnouncement(reply_to)) return false;
    if (NOT_PASSED_ON.has(code) || reply_to !== this.#newest) return true; // `lost` follows, or a newer one was sent
    const asking = this.#asking;
    const why = code === "channel-options" ? otherOptions(message) : signalingError(code, message);
    if (asking) this.#refuse(asking, why);
    return asking !== null;
  }

  /** An announcement did not get through: it is said again in a while. */
  lost(): void {
    this.#newest = MARK; // which no pong has
    this.#repeats.refused();
  }

  /** Somebody's record, new or changed. */
  met(participant: Participant): void {
    for (const entry of this.#open.values()) if (this.#isTold(entry)) entry.met(participant);
  }

  /** Somebody left. */
  gone(participant: string): void {
    for (const entry of this.#open.values()) entry.part(participant);
  }

  /** The data channel of this label was closed for what a participant did on it. */
  fault(participant: string, label: string, why: string): void {
    const [, name = ""] = /^c\/(.*)$/s.exec(label) ?? [];
    this.#open.get(name)?.channel.fault(participant, why);
  }

  /** The room was left, or is lost for good. */
  end(failure: Failure | null): void {
    this.#repeats.stop();
    this.#asking = null;
    this.#newest = "";
    const entries = [...this.#open.values()];
    this.#open.clear();
    const why = failure && roomFailure(failure);
    for (const entry of entries) entry.end(why);
  }

  #entry(record: ChannelRecord): OpenChannel {
    const { name } = record;
    const last = this.#open.get(name);
    if (last?.channel.closed) this.#close(last, null); // a turn before its event
    const existing = this.#open.get(name);
    if (existing && sameChannel(existing.record, record)) return existing;
    if (existing)
      throw otherOptions(`channel ${quoted(name)} is open in this page with other options: ${SAME}`);
    if (this.#open.size >= MAX_CHANNELS) {
      throw invalid(`${MAX_CHANNELS} channels are open, the most there may be: close one first`);
    }
    const entry = new OpenChannel(record, new Channel(record, this.#host.limit()), this.#host);
    entry.channel.addEventListener("close", () => this.#close(entry, null), { once: true });
    this.#open.set(name, entry);
    return entry;
  }

  /** Ask the server for the next channel that it does not know; false where there is none, or one is asked for already. */
  #ask(): boolean {
    if (this.#asking || !this.#host.joined()) return false;
    this.#asking = [...this.#open.values()].find((entry) => !entry.known) ?? null;
    if (!this.#asking) return false;
    // Whoever has it hears of us as soon as we hear of the answer, and may begin.
    for (const person of this.#host.others()) this.#asking.met(person);
    this.#announce();
    return true;
  }

  /** Say which channels are open, the one that is asked for among them. */
  #announce(): void {
    const asking = this.#asking;
    const id = `${MARK}${++this.#count}`;
    const fits = this.#host.send({ type: "room.updated", id, channels: this.#records() });
    this.#newest = id;
    if (fits) this.#host.send({ type: "ping", id });
    else if (asking)
      this.#refuse(asking, invalid("the server takes no list of channels that long: close one first"));
  }

  #records(): ChannelRecord[] {
    const told = [...this.#open.values()].filter((entry) => this.#isTold(entry));
    return told.map(({ record }) => record);
  }

  #isTold(entry: OpenChannel): boolean {
    return entry.known || entry === this.#asking;
  }

  /** What is refused is refused whole: what else was new in it is said again. */
  #refuse(entry: OpenChannel, why: RoomError): void {
    this.#asking = null;
    this.#drop(entry, why);
    this.#sayAnew();
  }

  #close(entry: OpenChannel, why: unknown): void {
    if (this.#open.get(entry.record.name) !== entry) return;
    const told = this.#isTold(entry);
    if (this.#asking === entry) this.#asking = null;
    this.#drop(entry, why);
    if (told && this.#host.joined()) this.#sayAnew();
  }

  #drop(entry: OpenChannel, why: unknown): void {
    if (this.#open.get(entry.record.name) === entry) this.#open.delete(entry.record.name);
    entry.end(why);
  }

  #sayAnew(): void {
    if (!this.#ask()) this.#announce();
  }

  #repeat(): void {
    if (this.#host.joined()) this.#announce(); // or else the next hello says it
  }
}

/** Whether a message of this id told the room of channels. */
export function isAnnouncement(id: string): boolean {
  return id.startsWith(MARK);
}

/** The record of a channel, without what has its default. Errors: `RoomError`. */
function read(name: string, options: Omit<ChannelRecord, "name">): ChannelRecord {
  const given = Object.entries({ ...options, name }).filter(([, value]) => value !== undefined);
  const unknown = given.find(([key]) => !(key in CHANNEL_DEFAULTS) && key !== "name");
  if (unknown) {
    throw invalid(
      `a channel has no option ${unknown[0]}: there are ${Object.keys(CHANNEL_DEFAULTS).join(", ")}`,
    );
  }
  try {
    checkChannelName(String(name));
    return readRecord(Object.fromEntries(given), "");
  } catch (error) {
    throw error instanceof DecodeError ? invalid(error.message) : error;
  }
}

const SAME = "open it with the same ones, or choose another name";
const quoted = (name: string) => JSON.stringify(name);
const refusal = (name: string) => otherOptions(`channel ${quoted(name)} is open with other options: ${SAME}`);
