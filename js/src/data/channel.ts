/** A channel as a page's author holds it: values to and from all others who have it open; runs in the browser tab.
 *
 * ```ts
 * await channel.send(Float32Array.of(1, 2, 3));
 * for await (const { value, sender } of channel) console.log(sender.name, value);
 * ```
 */

import { CHANNEL_DEFAULTS, type Channel as ChannelRecord } from "../channel";
import type { DataLink } from "./data_link";
import { Delivery } from "./delivery";
import { ChannelClosed, PeerNotFound, RTCError, SendTimeout } from "./errors";
import { Mailbox } from "./mailbox";
import { type Patience, patience } from "./patience";
import { type Message, Reader } from "./reader";
import { Receiver, type Sender, type Shared } from "./receiver";
import { Turns } from "./turns";
import { TypedEvents } from "./typed_events";
import { MAX_MESSAGE, pack, type Sendable, type Value } from "./values";

/** Seconds that a send waits where it does not say how long. */
const SEND_TIMEOUT = 30;
/** So many sends may wait together, where their author does not await one before the next; with the bytes of one message. */
const MAX_WAITING = 4096;

export type ChannelOptions = Readonly<Required<Omit<ChannelRecord, "name">>>;

export interface SendOptions extends Patience {
  /** Only to these, by id or name; to all who have the channel open where it is absent. */
  to?: string[];
  /** Called with the bytes of the value that went to the slowest receiver, and those of all of it. */
  progress?: (sent: number, size: number) => void;
}

/** Something went wrong with what a participant sent; the channel goes on. */
export interface Trouble {
  sender: Sender;
  message: string;
}

export interface ChannelEvents {
  message: CustomEvent<Message>;
  error: CustomEvent<Trouble>;
  close: Event;
}

/** Events: "message" (from the first listener on they get all messages, as those of a `MessagePort`), "error", "close".
 *
 * Messages that nobody reads wait in a queue of `maxsize` and `maxbytes`. Then `policy` says: "block" lets the senders wait,
 * "drop_oldest" drops the oldest message. Where the channel is not `reliable`, of each sender only the newest message waits.
 */
export class Channel extends TypedEvents<ChannelEvents> {
  readonly name: string;
  readonly options: ChannelOptions;
  readonly #limit: number;
  readonly #shared: Shared;
  readonly #reader: Reader;
  readonly #receivers = new Map<string, Receiver>();
  readonly #deliveries = new Set<Delivery>();
  /** Bytes of those. */
  #waiting = 0;
  /** Begins the names of our messages, which tell those that are sent again. */
  readonly #prefix = randomHex();
  #sent = 0;
  #closed: Error | null = null;

  /** `limit` is how many bytes a message may have. */
  constructor(record: ChannelRecord, limit = MAX_MESSAGE) {
    super();
    const { name, ordered, reliable, policy, maxsize, maxbytes } = { ...CHANNEL_DEFAULTS, ...record };
    this.name = name;
    this.options = Object.freeze({ ordered, reliable, policy, maxsize, maxbytes });
    this.#limit = limit;
    const drops = policy === "drop_oldest" || !reliable;
    const mailbox = new Mailbox(this.options);
    const turns = new Turns();
    this.#reader = new Reader(this.#words, mailbox, {
      message: (message) => this.dispatchEvent(new CustomEvent("message", { detail: message })),
      unreadable: (sender, why) => this.#report(sender, `sent what cannot be read: ${why}`),
      room: () => turns.serve(),
    });
    this.#shared = {
      label: `c/${name}`,
      options: this.options,
      drops,
      limit,
      mailbox,
      turns,
      arrived: (arrived) => this.#reader.arrived(arrived),
    };
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  /** Send a value as it is now; resolves when every receiver's queue has taken it, at once where the channel drops.
   *
   * `timeout` is in seconds. Errors: `SendTimeout` names those who were too slow, the others have the value; the signal's
   * reason; `PeerNotFound`, `ChannelClosed`, `MessageTooLarge`; a `TypeError` or `RangeError` for what cannot be sent.
   */
  async send(value: Sendable, options: SendOptions = {}): Promise<void> {
    if (this.#closed) throw this.#closed;
    options.signal?.throwIfAborted();
    const receivers = this.#choose(options.to);
    const id = this.options.reliable ? `${this.#prefix}-${++this.#sent}` : "";
    const packed = pack(value, Date.now() / 1000, { id, limit: this.#limit });
    const delivery = new Delivery(packed, receivers, options.progress);
    if (this.#shared.drops) delivery.start();
    else await this.#await(delivery, options);
  }

  /** The oldest message that was not read, or the next that comes; `timeout` is in seconds, without one it waits.
   *
   * Errors: `RTCTimeout`, `ChannelClosed`, the signal's reason.
   */
  receive(options: Patience = {}): Promise<Message> {
    return this.#reader.receive(options);
  }

  /** As `receive`, the value alone. */
  async recv(options: Patience = {}): Promise<Value> {
    return (await this.receive(options)).value;
  }

  /** Message after message, until the channel is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, void> {
    while (!this.#closed) {
      try {
        yield await this.receive();
      } catch (error) {
        if (error !== this.#closed) throw error;
      }
    }
  }

  protected override listened(type: string): void {
    if (type === "message") this.#reader.flow();
  }

  /** Nothing is sent or received any more; what waits fails with `why`, or a `ChannelClosed`. Doing it twice is harmless. */
  close(why: Error | null = null): void {
    if (this.#closed) return;
    const error = why ?? new ChannelClosed(`${this.#words} is closed`);
    this.#closed = error;
    for (const delivery of [...this.#deliveries]) delivery.fail(error);
    for (const id of [...this.#receivers.keys()]) this.removeReceiver(id);
    this.#reader.close(error);
    queueMicrotask(() => this.dispatchEvent(new Event("close")));
  }

  // ---- for the session ----

  /** A participant has the channel open; again with another name, or another link. */
  addReceiver(id: string, name: string, link: DataLink): void {
    if (this.#closed) return;
    const existing = this.#receivers.get(id);
    if (existing) existing.name = name;
    if (existing?.link === link) return;
    this.removeReceiver(id);
    const receiver = new Receiver({ id, name }, link, this.#shared);
    this.#receivers.set(id, receiver);
    receiver.open();
  }

  /** A participant left, or has the channel open no more: what waits for it is done. */
  removeReceiver(id: string): void {
    const receiver = this.#receivers.get(id);
    this.#receivers.delete(id);
    receiver?.close();
  }

  /** The data channel to a participant was closed for what it did. */
  fault(id: string, why: string): void {
    const receiver = this.#receivers.get(id);
    if (receiver) this.#report({ id, name: receiver.name }, why);
  }

  get #words(): string {
    return `channel ${JSON.stringify(this.name)}`;
  }

  #choose(to: string[] | undefined): Receiver[] {
    const all = [...this.#receivers.values()];
    if (to === undefined) return all;
    const chosen = to.map((who) => {
      const receiver = this.#receivers.get(who) ?? all.find(({ name }) => name === who);
      if (receiver) return receiver;
      throw new PeerNotFound(this.#words, who, names(all));
    });
    return [...new Set(chosen)];
  }

  async #await(delivery: Delivery, { timeout = SEND_TIMEOUT, signal }: Patience): Promise<void> {
    this.#checkWaiting(delivery.size);
    this.#deliveries.add(delivery);
    this.#waiting += delivery.size;
    const stop = patience(
      { timeout, signal },
      () => delivery.fail(new SendTimeout(this.#words, names(delivery.waiting), timeout)),
      (reason) => delivery.fail(reason),
    );
    delivery.start();
    try {
      await delivery.settled;
    } finally {
      stop();
      this.#deliveries.delete(delivery);
      this.#waiting -= delivery.size;
    }
  }

  #checkWaiting(size: number): void {
    const count = this.#deliveries.size;
    if (count < MAX_WAITING && this.#waiting + size <= this.#limit) return;
    throw new RTCError(`${count} messages on ${this.#words} wait already: await a send before the next`);
  }

  #report(sender: Sender, message: string): void {
    queueMicrotask(() => this.dispatchEvent(new CustomEvent("error", { detail: { sender, message } })));
  }
}

const names = (receivers: Receiver[]) => receivers.map(({ name }) => name);

function randomHex(): string {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  return number.toString(16).padStart(8, "0");
}
