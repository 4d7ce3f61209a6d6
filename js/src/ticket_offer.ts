/** Offers a waiting kernel one ticket after the other, until the kernel is in; pure but for a timer, runs in the browser tab. */

import { backoff } from "./backoff";

export const FIRST = 1_000;
export const MOST = 30_000;

export class TicketOffer {
  readonly #offer: () => Promise<void>;
  #offered = false;
  #refusals = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `offer` gets a ticket and sends it to the kernel; the signal ends the offers. */
  constructor(offer: () => Promise<void>, signal: AbortSignal) {
    this.#offer = offer;
    signal.addEventListener("abort", () => this.update(false));
  }

  /** Whether the kernel waits: then it gets one ticket, and no other before that one was refused. */
  update(waiting: boolean): void {
    if (!waiting) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#offered = false;
      this.#refusals = 0;
    } else if (!this.#offered) {
      this.#offered = true;
      void this.#try();
    }
  }

  /** What was offered is no good (any more): another one after a while. */
  refused(): void {
    if (!this.#offered || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#try(), backoff(this.#refusals++, FIRST, MOST));
  }

  async #try(): Promise<void> {
    this.#timer = undefined;
    try {
      await this.#offer();
    } catch (error) {
      console.warn("forge_rtc_nb: no ticket for the kernel:", error);
      this.refused();
    }
  }
}
