/** What arrived on a channel and was not read yet, from all its senders; pure, runs in the browser tab. */

import type { Channel as Options } from "../channel";
import type { Sender } from "./receiver";
import type { ValueHeader } from "./values";

/** A message as it came. */
export interface Arrived {
  sender: Sender;
  /** What was read of it: those who send must not have what else was in there kept. */
  header: ValueHeader;
  body: Uint8Array<ArrayBuffer>;
}

interface Tally {
  count: number;
  bytes: number;
}

/** Bounded by the messages in it and their bytes, those included that are still coming in, but for those of one sender.
 *
 * It holds its senders up, or, where it `drops`, lets the oldest messages go when a new one is complete; where messages are not
 * `reliable`, of each sender all but the newest.
 */
export class Mailbox {
  readonly #maxsize: number;
  readonly #maxbytes: number;
  readonly #drops: boolean;
  readonly #latest: boolean;
  #queue: Arrived[] = [];
  /** Bytes of those. */
  #queued = 0;
  /** By sender: messages that have their room, but are not there yet. */
  readonly #coming = new Map<string, Tally>();

  constructor(options: Required<Pick<Options, "maxsize" | "maxbytes" | "policy" | "reliable">>) {
    this.#maxsize = options.maxsize;
    this.#maxbytes = options.maxbytes;
    this.#drops = options.policy === "drop_oldest" || !options.reliable;
    this.#latest = !options.reliable;
  }

  /** Reserve room for a message, where there is any. One that is too large for the whole mailbox has it when that is empty.
   *
   * One of the other senders does not count: who never ends a message, or is slow, must not keep everybody else out.
   */
  admit(sender: string, size: number): boolean {
    if (!this.#hasRoom(sender, size)) return false;
    const { count, bytes } = this.#of(sender);
    this.#coming.set(sender, { count: count + 1, bytes: bytes + size });
    return true;
  }

  /** Whether what a sender has under way itself leaves no room for a message, however empty the mailbox becomes. */
  isInItsOwnWay(sender: string, size: number): boolean {
    const { count, bytes } = this.#of(sender);
    return !this.#fits(count, bytes + size);
  }

  /** A message that had room will not come. */
  giveUp(sender: string, size: number): void {
    const { count, bytes } = this.#of(sender);
    if (count > 1) this.#coming.set(sender, { count: count - 1, bytes: bytes - size });
    else this.#coming.delete(sender);
  }

  /** A message that had room is there. */
  put(arrived: Arrived): void {
    const { sender, body } = arrived;
    this.giveUp(sender.id, body.length);
    if (this.#latest) this.#dropEarlier(sender.id);
    this.#queue.push(arrived);
    this.#queued += body.length;
    while (this.#drops && this.#isOverfull()) this.take();
  }

  /** The oldest message. */
  take(): Arrived | undefined {
    const arrived = this.#queue.shift();
    this.#queued -= arrived?.body.length ?? 0;
    return arrived;
  }

  #of(sender: string): Tally {
    return this.#coming.get(sender) ?? { count: 0, bytes: 0 };
  }

  #dropEarlier(sender: string): void {
    this.#queue = this.#queue.filter((waiting) => waiting.sender.id !== sender);
    this.#queued = this.#queue.reduce((sum, { body }) => sum + body.length, 0);
  }

  /** The newest message stays, however large it is. */
  #isOverfull(): boolean {
    const count = this.#queue.length;
    return count > 1 && (count > this.#maxsize || this.#queued > this.#maxbytes);
  }

  #hasRoom(sender: string, size: number): boolean {
    // What is dropped when there is something newer is in nobody's way.
    let count = this.#drops ? 0 : this.#queue.length;
    let bytes = size + (this.#drops ? 0 : this.#queued);
    for (const tally of this.#coming.values()) {
      count += tally.count;
      bytes += tally.bytes;
    }
    if (this.#fits(count, bytes)) return true;
    for (const [other, tally] of this.#coming) {
      if (other !== sender && this.#fits(count - tally.count, bytes - tally.bytes)) return true;
    }
    return false;
  }

  /** Whether a message fits that makes it so many bytes, beside so many others. Where messages are dropped only bytes are in the
   * way: with a `maxsize` of 1 few senders could have anything under way. */
  #fits(count: number, bytes: number): boolean {
    return count === 0 || ((this.#drops || count < this.#maxsize) && bytes <= this.#maxbytes);
  }
}
