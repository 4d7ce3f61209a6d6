/** Who waits for room in a mailbox, in the order in which they asked; pure, runs in the browser tab. */

/** Somebody whose messages wait. */
export interface Waiting {
  /** Ask again for the message that comes next, and for those behind it. */
  advance(): void;
}

/** One message each in turn, so that who sends much does not keep the others out; at most one entry a sender. */
export class Turns {
  readonly #waiting: Waiting[] = [];
  /** Whose turn it is. */
  #served: Waiting | null = null;
  #planned = false;

  /** Ask for room by `reserve`; false means to wait for a turn. */
  ask(who: Waiting, reserve: () => boolean): boolean {
    const turn = this.#served === who;
    const next = turn || this.#waiting.length === 0;
    if (next && reserve()) {
      if (turn) this.#served = null;
      return true;
    }
    if (turn) this.#waiting.unshift(who);
    else if (!this.#waiting.includes(who)) this.#waiting.push(who);
    if (!next) this.serve(); // whoever is first may have given its message up
    return false;
  }

  /** There may be room: serve those who wait, soon. */
  serve(): void {
    if (this.#planned || this.#waiting.length === 0) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#serveAll();
    });
  }

  /** Who left waits no more. */
  forget(who: Waiting): void {
    const place = this.#waiting.indexOf(who);
    if (place >= 0) this.#waiting.splice(place, 1);
    this.serve();
  }

  #serveAll(): void {
    for (let who = this.#waiting.shift(); who; who = this.#waiting.shift()) {
      this.#served = who;
      who.advance();
      this.#served = null;
      if (this.#waiting[0] === who) return; // there is no room for its message
    }
  }
}
