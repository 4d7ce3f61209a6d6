/** What waits to be sent over signaling: a queue for each receiver, served in turn; pure, runs in the browser tab.
 *
 * Others decide how much a tab has to answer. With a queue of its own, whoever makes us say much delays only what we
 * say to them.
 */

import { type ClientMessage, decodeClient, encode, MAX_MESSAGE } from "./protocol";
import { DecodeError } from "./schema";

/** Messages for one receiver; more than that is a sign that the conversation is stale. */
const MAX_WAITING = 256;
/** Bytes that the server adds to a message that it passes on: who sent it. */
const ROOM_FOR_SENDER = 128;
/** The queue of what the server itself is to read. */
const SERVER = "";

/** Bounded: a message beyond `MAX_WAITING` for a receiver drops all that waits for that one. */
export class Outbox {
  /** The next to be served comes first. */
  readonly #queues = new Map<string, ClientMessage[]>();
  #messageBytes = MAX_MESSAGE;

  /** The server's limit, as its welcome tells it. */
  limit(messageBytes: number): void {
    this.#messageBytes = Math.min(messageBytes, MAX_MESSAGE);
  }

  get empty(): boolean {
    return this.#queues.size === 0;
  }

  /** Queue a message; returns what is dropped for it. Throws a `DecodeError` for what the server would refuse. */
  put(message: ClientMessage): ClientMessage[] {
    this.#check(message);
    const receiver = message.to ?? SERVER;
    const queue = this.#queues.get(receiver) ?? [];
    const place = queue.findIndex((waiting) => isVoid(waiting, message));
    const kept = queue.filter((waiting) => !isVoid(waiting, message));
    // In the place of the older one, as the candidates behind it may belong to the newer.
    kept.splice(place < 0 ? kept.length : place, 0, message);
    const stale = kept.length > MAX_WAITING ? kept.splice(0, kept.length - 1) : [];
    this.#queues.set(receiver, kept);
    return stale;
  }

  /** The next message: one for the server, or one for the receiver whose turn it is. */
  take(): ClientMessage | undefined {
    const receiver = this.#queues.has(SERVER) ? SERVER : this.#queues.keys().next().value;
    if (receiver === undefined) return undefined;
    const queue = this.#queues.get(receiver) ?? [];
    const message = queue.shift();
    this.#queues.delete(receiver);
    if (queue.length > 0) this.#queues.set(receiver, queue); // at the end: the others have their turn
    return message;
  }

  /** The receiver is gone. */
  forget(receiver: string): void {
    this.#queues.delete(receiver);
  }

  /** Others have a say in our answers and candidates (their m-lines and mids), and the server counts bad ones as ours. */
  #check(message: ClientMessage): void {
    const frame = encode(message);
    const most = this.#messageBytes - ROOM_FOR_SENDER;
    if (new TextEncoder().encode(frame).length > most) throw new DecodeError(`more than ${most} bytes`);
    decodeClient(frame);
  }
}

/** An answer makes void whatever description still waits for its pair, an offer the offer before it. */
function isVoid(waiting: ClientMessage, newer: ClientMessage): boolean {
  if (waiting.type === "webrtc.offer") return newer.type === "webrtc.offer" || newer.type === "webrtc.answer";
  return waiting.type === "webrtc.answer" && newer.type === "webrtc.answer";
}
