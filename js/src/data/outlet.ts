/** The sending half of a data channel towards one participant: messages become frames, as credit allows; pure, in the browser tab.
 *
 * `docs/protocol.md`, Frames. An outlet outlives its data channel: on the next one (`restart`) everything that was not
 * taken is sent again from its beginning.
 */

import {
  BEGIN_BYTES,
  CHUNK,
  type Credit,
  type Frame,
  INITIAL_CREDIT,
  MESSAGE_COST,
  MORE_BYTES,
  type Taken,
} from "./frames";
import { REMEMBERED } from "./numbers";
import { Violation } from "./violation";

/** One message on its way to one participant; several may share header and body. */
export class Parcel {
  /** Its number on this data channel; 0 before it begins. */
  number = 0;
  /** Bytes of the body that were sent. */
  sent = 0;

  /** `done` is called once: it was taken, it was sent where nobody tells so, or nothing can come of it any more. */
  constructor(
    readonly header: Uint8Array,
    readonly body: Uint8Array,
    readonly done: () => void,
    readonly progress: (sent: number) => void = () => undefined,
  ) {}

  get size(): number {
    return this.body.length;
  }
}

/** How many messages, and bytes of theirs, may wait to begin; and the bytes of those that may be unconfirmed. */
export interface Keep {
  messages: number;
  bytes: number;
}

/** Bounded where it does not wait: of what waits to begin the oldest beyond `keep` go.
 *
 * Without `keep` whoever puts a parcel waits for its `done`, and so bounds it. What is unconfirmed is bounded in both cases:
 * all of it is sent again at `restart`, and a receiver must know it then.
 */
export class Outlet {
  readonly #reliable: boolean;
  readonly #keep: Keep | null;
  /** In order; the first may be begun. */
  #queue: Parcel[] = [];
  /** Bytes of those. */
  #queued = 0;
  /** Sent whole, but not taken yet; by number, the oldest first. */
  readonly #unconfirmed = new Map<number, Parcel>();
  /** Bytes of those. */
  #unconfirmedBytes = 0;
  readonly #aborted: number[] = [];
  #number = 0;
  #spent = 0;
  #credit = INITIAL_CREDIT;

  constructor(reliable = true, keep: Keep | null = null) {
    this.#reliable = reliable;
    this.#keep = keep;
  }

  /** Messages that are not at their receiver for sure. */
  get waiting(): number {
    return this.#queue.length + this.#unconfirmed.size;
  }

  put(parcel: Parcel): void {
    this.#queue.push(parcel);
    this.#queued += parcel.size;
    if (this.#keep) this.#dropOldest(this.#keep);
  }

  /** Nobody waits for it any more: what was begun is aborted. Harmless where it is gone already. */
  withdraw(parcel: Parcel): void {
    const place = this.#queue.indexOf(parcel);
    if (place >= 0) this.#dequeue(place);
    else if (!this.#confirm(parcel)) return;
    if (parcel.number > 0) {
      this.#spent += parcel.size - parcel.sent;
      this.#aborted.push(parcel.number);
    }
    parcel.done();
  }

  /** What the receiver says. Throws a `Violation` where it cannot mean it. */
  receive(frame: Taken | Credit): void {
    if (!this.#reliable) throw new Violation("it confirms messages that need no confirmation");
    if (frame.type === "credit") this.#credit = Math.max(this.#credit, frame.total);
    else this.#taken(frame.number);
  }

  /** There is a new data channel: begin again with all that is not known to have arrived. */
  restart(): void {
    this.#queue = [...this.#unconfirmed.values(), ...this.#queue];
    this.#queued += this.#unconfirmedBytes;
    for (const parcel of this.#queue) parcel.number = parcel.sent = 0;
    this.#unconfirmed.clear();
    this.#unconfirmedBytes = 0;
    this.#aborted.length = this.#number = this.#spent = 0;
    this.#credit = INITIAL_CREDIT;
  }

  /** The receiver is gone, or has the channel open no more. */
  close(): void {
    const parcels = [...this.#unconfirmed.values(), ...this.#queue];
    this.#unconfirmed.clear();
    this.#queue = [];
    this.#queued = this.#unconfirmedBytes = 0;
    for (const parcel of parcels) parcel.done();
  }

  /** The next frame to send, null where there is nothing, no credit for it, or too much that is not confirmed. */
  nextFrame(): Frame | null {
    const aborted = this.#aborted.shift();
    if (aborted !== undefined) return { type: "abort", number: aborted };
    const parcel = this.#queue[0];
    if (!parcel) return null;
    const begun = parcel.number > 0;
    const room = CHUNK - (begun ? MORE_BYTES : BEGIN_BYTES + parcel.header.length);
    const part = Math.min(parcel.size - parcel.sent, room);
    const cost = part + (begun ? 0 : MESSAGE_COST);
    if (this.#reliable && (this.#spent + cost > this.#credit || !(begun || this.#mayBegin()))) return null;
    this.#spent += cost;
    return this.#cut(parcel, part);
  }

  /** Whether a receiver would still know the oldest unconfirmed message if one more came after it. */
  #mayBegin(): boolean {
    const [oldest] = this.#unconfirmed.keys();
    if (oldest === undefined) return true;
    const known = this.#number + 1 - oldest < REMEMBERED;
    return known && this.#unconfirmedBytes <= (this.#keep?.bytes ?? Number.POSITIVE_INFINITY);
  }

  #cut(parcel: Parcel, part: number): Frame {
    const { sent: start, size, header } = parcel;
    const end = start + part;
    const body = parcel.body.subarray(start, end);
    const begun = parcel.number > 0;
    if (!begun) parcel.number = ++this.#number;
    parcel.sent = end;
    const { number } = parcel;
    parcel.progress(end);
    if (end === size) this.#sentWhole(parcel);
    return begun
      ? { type: "more", number, offset: start, body }
      : { type: "begin", number, size, header, body };
  }

  #sentWhole(parcel: Parcel): void {
    this.#dequeue(0);
    if (!this.#reliable) {
      parcel.done();
      return;
    }
    this.#unconfirmed.set(parcel.number, parcel);
    this.#unconfirmedBytes += parcel.size;
  }

  #taken(number: number): void {
    const parcel = this.#unconfirmed.get(number);
    if (parcel) {
      this.#confirm(parcel);
      parcel.done();
    } else if (number > this.#number || number === this.#queue[0]?.number) {
      throw new Violation(`it has taken message ${number}, which was not sent`);
    }
  }

  #dequeue(place: number): void {
    for (const { size } of this.#queue.splice(place, 1)) this.#queued -= size;
  }

  /** It is unconfirmed no more; false where it was not. A number of an earlier data channel may be another's now. */
  #confirm(parcel: Parcel): boolean {
    if (this.#unconfirmed.get(parcel.number) !== parcel) return false;
    this.#unconfirmed.delete(parcel.number);
    this.#unconfirmedBytes -= parcel.size;
    return true;
  }

  /** What is begun goes on; of the rest the newest stay, at least one. */
  #dropOldest({ messages, bytes }: Keep): void {
    const [first] = this.#queue;
    const begun = first && first.number > 0 ? first : null;
    const start = Number(begun !== null);
    let count = this.#queue.length - start;
    let total = this.#queued - (begun?.size ?? 0);
    let end = start;
    for (; count > 1 && (count > messages || total > bytes); count--, end++) {
      total -= this.#queue[end]?.size ?? 0;
    }
    const dropped = this.#queue.splice(start, end - start);
    for (const { size } of dropped) this.#queued -= size;
    for (const parcel of dropped) parcel.done();
  }
}
