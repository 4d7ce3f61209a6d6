/** When to say again what the server did not pass on to one participant; a timer and no more, runs in the browser tab. */

import { backoff } from "./backoff";

/** Between 1 s and 8 s: the jitter of `backoff` takes up to half away. */
const FIRST = 2_000;
const MOST = 8_000;
/** So long after the last repetition without a refusal, the next one counts as the first. */
const CALM = 10_000;

export class Repeats {
  readonly #again: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #repeated = 0;

  constructor(again: () => void) {
    this.#again = again;
  }

  /** Something was refused: `again` is called in a while, once for all that is refused meanwhile. */
  refused(): void {
    if (this.#timer !== undefined) return;
    if (Date.now() - this.#repeated > CALM) this.#attempt = 0;
    this.#timer = setTimeout(() => this.#repeat(), backoff(this.#attempt++, FIRST, MOST));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #repeat(): void {
    this.#timer = undefined;
    this.#repeated = Date.now();
    this.#again();
  }
}
