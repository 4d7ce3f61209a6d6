/** How fast something may be done: a token bucket that says how long to wait; pure, runs in the browser tab. */
export class Pace {
  #burst = 1;
  #rate = 1;
  #tokens: number;
  #at = Date.now();

  /** `burst` times at once, then `rate` times a second. */
  constructor(burst: number, rate: number) {
    this.change(burst, rate);
    this.#tokens = this.#burst;
  }

  /** Other limits, without forgetting what was done. */
  change(burst: number, rate: number): void {
    this.#burst = Math.max(1, burst);
    this.#rate = Math.max(0.1, rate);
  }

  /** Take one; returns the milliseconds to wait where there is none. */
  take(): number {
    const now = Date.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate);
    this.#at = now;
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / this.#rate) * 1000);
    this.#tokens -= 1;
    return 0;
  }
}
