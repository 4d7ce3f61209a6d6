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
 * It holds its senders up, or, where it `drops`, lets the oldest messages go.
 */
export class Mailbox {
  readonly #maxsize: number;
  readonly #maxbytes: number;
  readonly #drops: boolean;
  readonly #queue: Arrived[] = [];
  /** Messages in the queue and on their way into it, and their bytes. */
  #count = 0;
  #bytes = 0;

  constructor({ maxsize, maxbytes }: Required<Pick<Options, "maxsize" | "maxbytes">>, drops: boolean) {
    this.#maxsize = maxsize;
    this.#maxbytes = maxbytes;
    this.#drops = drops;
  }

  /** Reserve room for a message, where there is any. One that is too large for the whole mailbox has it when that is empty. */
  admit(size: number): boolean {
    // Those still coming in count as messages only where nothing is dropped: one slow sender would keep all others out.
    while (this.#drops && this.#bytes + size > this.#maxbytes && this.take());
    const full = (!this.#drops && this.#count >= this.#maxsize) || this.#bytes + size > this.#maxbytes;
    if (full && this.#count > 0) return false;
    this.#count += 1;
    this.#bytes += size;
    return true;
  }

  /** A message that had room will not come. */
  giveUp(size: number): void {
    this.#count -= 1;
    this.#bytes -= size;
  }

  /** A message that had room is there. */
  put(arrived: Arrived): void {
    this.#queue.push(arrived);
    while (this.#drops && this.#queue.length > this.#maxsize) this.take();
  }

  /** The oldest message. */
  take(): Arrived | undefined {
    const arrived = this.#queue.shift();
    if (arrived) this.giveUp(arrived.body.length);
    return arrived;
  }
}
