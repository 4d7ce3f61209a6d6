/** Counts who shows the session and ends it when nobody does; pure but for a timer, runs in the browser tab.
 *
 * Running a cell again removes its output before the new one is drawn, so the end waits a little: the next view finds
 * the session as it was, camera included.
 */

export const GRACE = 3_000;

/** A view's hold on the session, on behalf of a kernel ("" while the kernel has no id yet). */
export interface Hold {
  owner: string;
}

export class Lifetime {
  readonly #end: () => void;
  readonly #ownersChanged: () => void;
  readonly #holds = new Set<Hold>();
  /** The owners when the last view went; kept during the grace. */
  #last: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(end: () => void, ownersChanged: () => void) {
    this.#end = end;
    this.#ownersChanged = ownersChanged;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The kernels whose notebooks this tab shows, the last shown last. */
  get owners(): string[] {
    if (this.#holds.size === 0) return this.#last;
    const owners = [...this.#holds].map(({ owner }) => owner).filter((owner) => owner !== "");
    // A kernel that is shown twice counts where it was shown last.
    return owners.filter((owner, index) => owners.lastIndexOf(owner) === index).slice(-16);
  }

  hold(owner: string): Hold {
    clearTimeout(this.#timer);
    const hold = { owner };
    this.#change(() => this.#holds.add(hold));
    return hold;
  }

  /** The kernel got its id, or another one. */
  setOwner(hold: Hold, owner: string): void {
    if (hold.owner !== owner) this.#change(() => (hold.owner = owner));
  }

  /** Let go; the last one to do so ends the session after the grace. Doing it twice is harmless. */
  release(hold: Hold): void {
    const { owners } = this;
    if (!this.#holds.has(hold)) return;
    this.#change(() => this.#holds.delete(hold));
    if (this.#holds.size > 0 || this.#ended) return;
    this.#last = owners;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.finish(), GRACE);
  }

  /** End now (the page goes away). */
  finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#end();
  }

  #change(change: () => void): void {
    const before = this.owners.join();
    change();
    if (this.#holds.size > 0 && this.owners.join() !== before) this.#ownersChanged();
  }
}
