/** The receiving half of a data channel on which frames may be lost: the newest message wins; pure, runs in the browser tab. */

import { Assembly } from "./assembly";
import type { Begin, More } from "./frames";
import { Receiving, type Store } from "./receiving";
import { Violation } from "./violation";

/** Messages that are put together at once: parts of several may be under way where they come in any order. */
const ASSEMBLIES = 4;
/** Parts kept whose message has not begun: those of one frame that was overtaken. */
const ORPHANS = 16;

/** As `Inlet`, without credit and confirmation; a message older than one that is complete is dropped. */
export class LossyInlet extends Receiving {
  readonly #assemblies = new Map<number, Assembly>();
  #orphans: More[] = [];
  /** The newest message that is complete. */
  #over = 0;

  constructor(store: Store, ordered = true) {
    super(store, ordered);
  }

  /** What there was no room for is lost. */
  override advance(): void {}

  override restart(): void {
    this.#drop([...this.#assemblies.keys()]);
    this.#orphans = [];
    this.#over = 0;
  }

  protected override begin(frame: Begin): void {
    const { number, size } = frame;
    if (this.#assemblies.has(number)) throw new Violation(`message ${number} begins twice`);
    if (number <= this.#over) return;
    this.checked(frame);
    if (!this.#makeRoom(number, size)) return;
    const assembly = new Assembly(frame, "");
    this.#assemblies.set(number, assembly);
    assembly.admit();
    const early = this.#orphans.filter((part) => part.number === number);
    this.#orphans = this.#orphans.filter((part) => part.number !== number);
    for (const { offset, body } of early) assembly.add(offset, body);
    this.#finish(assembly);
    this.#drop([...this.#assemblies.keys()].sort((one, other) => one - other).slice(0, -ASSEMBLIES));
  }

  protected override more(frame: More): void {
    const assembly = this.#assemblies.get(frame.number);
    if (assembly) {
      assembly.add(frame.offset, frame.body);
      this.#finish(assembly);
    } else if (frame.number > this.#over && !this.ordered) {
      this.#orphans = [...this.#orphans, frame].slice(-ORPHANS);
    }
  }

  protected override abort(number: number): void {
    this.#drop([number]);
  }

  /** Older messages of this sender that miss something make room for a newer one; where parts come in order nothing of them comes
   * any more. */
  #makeRoom(number: number, size: number): boolean {
    const older = [...this.#assemblies.keys()]
      .filter((other) => other < number)
      .sort((one, other) => one - other);
    if (this.ordered) this.#drop(older.splice(0));
    while (!this.store.admit(size)) {
      if (older.length === 0) return false;
      this.#drop(older.splice(0, 1));
    }
    return true;
  }

  #finish(assembly: Assembly): void {
    if (!assembly.complete) return;
    this.#assemblies.delete(assembly.number);
    this.#over = Math.max(this.#over, assembly.number);
    this.#drop([...this.#assemblies.keys()].filter((number) => number < assembly.number));
    this.store.deliver(assembly.header, assembly.body);
  }

  #drop(numbers: number[]): void {
    for (const number of numbers) {
      const assembly = this.#assemblies.get(number);
      if (assembly && this.#assemblies.delete(number)) this.store.giveUp(assembly.size);
    }
  }
}
