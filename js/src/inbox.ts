/** What one participant asks a tab to work on, at a bounded rate; pure but for a timer, runs in the browser tab. */

import type { PairMessage } from "./negotiation";
import { Pace } from "./pace";

/** Offers (and requests for them) worked on at once, and a second from then on. Whoever sends them decides how often, and
 * each costs the browser a description or a connection; browsers offer when something changes, and wait for the answer. */
const BURST = 6;
const RATE = 1;
/** Messages that wait behind an offer: mostly its candidates, of which a browser finds a dozen. More are dropped. */
const MAX_HELD = 128;

/** Bounded: a newer offer replaces one that waits, for it says all that its sender wants. */
export class Inbox {
  readonly #deliver: (message: PairMessage) => void;
  readonly #pace = new Pace(BURST, RATE);
  readonly #held: PairMessage[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(deliver: (message: PairMessage) => void) {
    this.#deliver = deliver;
  }

  put(message: PairMessage): void {
    const costly = work(message);
    const older = costly ? this.#held.findIndex((held) => work(held) === costly) : -1;
    if (older >= 0) this.#held[older] = message;
    else if (costly || this.#held.length < MAX_HELD) this.#held.push(message);
    if (this.#timer === undefined) this.#serve();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#held.length = 0;
  }

  #serve(): void {
    this.#timer = undefined;
    for (let next = this.#held[0]; next; next = this.#held[0]) {
      const wait = work(next) ? this.#pace.take() : 0;
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#serve(), wait);
        return;
      }
      this.#held.shift();
      this.#deliver(next);
    }
  }
}

/** Which kind of costly work a message asks for, or null. */
function work(message: PairMessage): string | null {
  if (message.type === "webrtc.offer") return "answer";
  if (message.type === "webrtc.negotiate") return message.restart ? "restart" : "offer";
  return null;
}
