/** Which messages of a sender are over, by their numbers; pure, runs in the browser tab. */

/** Messages whose names a receiver remembers, to know one that is sent again: so many may be unconfirmed. */
export const REMEMBERED = 64;

/** How far a number may be ahead of what is over, where parts come in any order: credit allows 256 unfinished messages. */
export const AHEAD = 1024;

/** Numbers count from 1; memory is bounded by `AHEAD` as long as nobody adds one that is too far. */
export class Numbers {
  /** Every number up to here is over. */
  #floor = 0;
  readonly #over = new Set<number>();

  isOver(number: number): boolean {
    return number <= this.#floor || this.#over.has(number);
  }

  isTooFar(number: number): boolean {
    return number > this.#floor + AHEAD;
  }

  end(number: number): void {
    if (number > this.#floor) this.#over.add(number);
    while (this.#over.delete(this.#floor + 1)) this.#floor += 1;
  }
}
