/** How much is under way to the server; pure, runs in the browser tab.
 *
 * A stall of the network or of the server makes one burst of what was sent over seconds, and whoever goes on at the
 * pace meanwhile is over the rate when it ends: far enough, and the server closes the connection for good (4413). So no
 * more is under way than the server takes at once. A ping now and then asks whether it has read the messages before it.
 */
/** Servers that take less at once are not worth a ping for every other message. */
const LEAST = 20;

export class Unread {
  readonly #most: number;
  #count = 0;
  /** Of these messages a ping asks; null where none is under way. */
  #asked: number | null = null;

  constructor(most: number) {
    this.#most = Math.max(LEAST, most);
  }

  get full(): boolean {
    return this.#count >= this.#most;
  }

  /** A message was sent; returns true where a ping should follow. */
  sent(): boolean {
    this.#count += 1;
    return this.#ask();
  }

  /** A pong came (an earlier ping's will do: a lost answer must not stop us); returns true for another ping. */
  read(): boolean {
    this.#count -= this.#asked ?? 0;
    this.#asked = null;
    return this.#ask();
  }

  #ask(): boolean {
    if (this.#asked !== null || this.#count < this.#most / 2) return false;
    this.#asked = this.#count;
    return true;
  }
}
