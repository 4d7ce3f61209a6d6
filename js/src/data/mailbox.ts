/** What arrived on a channel and was not read yet, from all its senders; pure, runs in the browser tab. */

import type { Channel as Options } from "../channel";
import type { Sender } from "./receiver";

/** A message as it came. */
export interface Arrived {
  sender: Sender;
  header: Uint8Array;
  body: Uint8Array<ArrayBuffer>;
}

/** Bounded by the messages in it and their bytes, those included that are still coming in.
 *
 * It holds its senders up, or, where it `drops`, lets the oldest messages go; where messages are not `reliable`, of each sender all
 * but the newest.
 */
export class Mailbox {
  readonly #maxsize: number;
  readonly #maxbytes: number;
  readonly #drops: boolean;
  readonly #latest: boolean;
  #queue: Arrived[] = [];
  /** Bytes of those. */
  #queued = 0;
  /** Messages that have their room, but are not there yet, and their bytes. */
  #coming = 0;
  #comingBytes = 0;

  constructor(options: Required<Pick<Options, "maxsize" | "maxbytes" | "policy" | "reliable">>) {
    this.#maxsize = options.maxsize;
    this.#maxbytes = options.maxbytes;
    this.#drops = options.policy === "drop_oldest" || !options.reliable;
    this.#latest = !options.reliable;
  }

  /** Reserve room for a message, where there is any. One that is too large for the whole mailbox has it when that is empty. */
  admit(size: number): boolean {
    if (this.#drops ? !this.#canMakeRoom(size) : !this.#hasRoom(size)) return false;
    while (this.#drops && this.#queued + this.#comingBytes + size > this.#maxbytes && this.take());
    this.#coming += 1;
    this.#comingBytes += size;
    return true;
  }

  /** A message that had room will not come. */
  giveUp(size: number): void {
    this.#coming -= 1;
    this.#comingBytes -= size;
  }

  /** A message that had room is there. */
  put(arrived: Arrived): void {
    this.giveUp(arrived.body.length);
    if (this.#latest) this.#dropEarlier(arrived.sender.id);
    this.#queue.push(arrived);
    this.#queued += arrived.body.length;
    while (this.#drops && this.#queue.length > this.#maxsize) this.take();
  }

  /** The oldest message. */
  take(): Arrived | undefined {
    const arrived = this.#queue.shift();
    this.#queued -= arrived?.body.length ?? 0;
    return arrived;
  }

  #dropEarlier(sender: string): void {
    this.#queue = this.#queue.filter((waiting) => waiting.sender.id !== sender);
    this.#queued = this.#queue.reduce((sum, { body }) => sum + body.length, 0);
  }

  #hasRoom(size: number): boolean {
    const count = this.#queue.length + this.#coming;
    const bytes = this.#queued + this.#comingBytes;
    return count === 0 || (count < this.#maxsize && bytes + size <= this.#maxbytes);
  }

  /** Only the bytes of those still coming are in the way; their number is not, or one slow sender would keep all others out. */
  #canMakeRoom(size: number): boolean {
    return this.#coming === 0 || this.#comingBytes + size <= this.#maxbytes;
  }
}
