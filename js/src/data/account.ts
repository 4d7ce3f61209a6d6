/** What a sender may spend on a data channel, and what it has spent, as the receiver counts it; pure, in the browser tab. */

import { type Frame, INITIAL_CREDIT, MESSAGE_COST } from "./frames";
import { Violation } from "./violation";

/** Grants are told by CREDIT frames, small ones together. */
export class Account {
  readonly #replies: Frame[];
  #spent = 0;
  #credit = INITIAL_CREDIT;
  #told = INITIAL_CREDIT;

  constructor(replies: Frame[]) {
    this.#replies = replies;
  }

  /** Throws a `Violation` beyond the credit. */
  spend(size: number, messages = 0): void {
    this.#spent += size + messages * MESSAGE_COST;
    if (this.#spent > this.#credit) {
      throw new Violation(`it spent ${this.#spent} of a credit of ${this.#credit}`);
    }
  }

  /** What an abort costs is not checked: it is granted in the same breath. */
  spendByAbort(size: number): void {
    this.#spent += size;
  }

  /** A message of `size` bytes has its room; `atOnce` where its sender waits for that to go on. */
  grant(size: number, atOnce: boolean): void {
    this.#credit += MESSAGE_COST + size;
    if (!atOnce && this.#credit - this.#told < INITIAL_CREDIT / 4) return;
    this.#told = this.#credit;
    this.#replies.push({ type: "credit", total: this.#credit });
  }
}
