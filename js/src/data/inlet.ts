/** The receiving half of a data channel from one participant: frames become messages, as there is room; pure, in the browser tab.
 *
 * `docs/protocol.md`, Frames. Like an outlet it outlives its data channel, and forgets what was not complete at `restart`.
 */

import { Account } from "./account";
import { Assembly } from "./assembly";
import type { Begin, Frame, More } from "./frames";
import { Numbers, REMEMBERED } from "./numbers";
import { Receiving, type Store } from "./receiving";
import { Violation } from "./violation";

/** Parts that are kept until there is a place for them: credit bounds their bytes, this what it costs to keep them. */
const KEPT = 1024;

/** Of a reliable data channel. */
export class Inlet extends Receiving {
  /** The names of the newest messages, the oldest first. */
  readonly #seen = new Set<string>();
  readonly #assemblies = new Map<number, Assembly>();
  /** Those that were not admitted yet, in order. */
  readonly #outside: Assembly[] = [];
  /** Parts that came before the beginning of their message. */
  readonly #orphans = new Map<number, More[]>();
  /** Messages that were aborted before they began -> bytes of theirs that are paid for. */
  readonly #aborted = new Map<number, number>();
  #newest = 0;
  #numbers = new Numbers();
  #account = new Account(this.replies);

  constructor(store: Store, ordered = true) {
    super(store, ordered);
  }

  override restart(): void {
    for (const assembly of this.#assemblies.values()) this.#giveUp(assembly);
    for (const kept of [this.#assemblies, this.#orphans, this.#aborted]) kept.clear();
    this.#outside.length = this.replies.length = this.#newest = 0;
    this.#numbers = new Numbers();
    this.#account = new Account(this.replies);
  }

  override receive(frame: Frame): void {
    super.receive(frame);
    this.advance();
  }

  /** Admit what there is room for now, in the order in which it came. Throws a `Violation` where memory is short. */
  override advance(): void {
    for (let next = this.#outside[0]; next && this.store.admit(next.size); next = this.#outside[0]) {
      this.#outside.shift();
      next.admit();
      this.#account.grant(next.size, !next.complete);
      this.#finish(next);
    }
  }

  protected override begin(frame: Begin): void {
    const { number } = frame;
    this.#checkNumber(number);
    if (this.#aborted.has(number)) {
      this.#beginAborted(frame);
      return;
    }
    const identity = this.checked(frame);
    this.#account.spend(frame.body.length, 1);
    this.#newest = Math.max(this.#newest, number);
    const assembly = new Assembly(frame, identity);
    this.#assemblies.set(number, assembly);
    for (const { offset, body } of this.#orphans.get(number) ?? []) assembly.add(offset, body);
    this.#orphans.delete(number);
    if (this.#seen.has(identity)) {
      this.#remember(identity);
      assembly.ignore();
      this.#account.grant(assembly.size, true);
      this.#finish(assembly);
    } else {
      this.#outside.push(assembly);
      this.#checkKept();
    }
  }

  protected override more(frame: More): void {
    const { number, offset, body } = frame;
    const assembly = this.#assemblies.get(number);
    if (assembly) {
      if (this.ordered && offset !== assembly.got) {
        throw new Violation(`message ${number} goes on at byte ${offset}, but has ${assembly.got}`);
      }
      this.#account.spend(body.length);
      assembly.add(offset, body);
      if (assembly.kept > 0) this.#checkKept();
      this.#finish(assembly);
    } else if (this.ordered) {
      throw new Violation(`message ${number} goes on, but is not under way`);
    } else if (!this.#aborted.has(number) && !this.#numbers.isOver(number)) {
      // What comes after its message was aborted is paid for already.
      this.#checkDistance(number);
      this.#account.spend(body.length);
      const parts = this.#orphans.get(number);
      if (parts) parts.push(frame);
      else this.#orphans.set(number, [frame]);
      this.#checkKept();
    }
  }

  protected override abort(number: number): void {
    const assembly = this.#assemblies.get(number);
    if (!assembly) {
      this.#abortUnknown(number);
      return;
    }
    this.#assemblies.delete(number);
    this.#account.spendByAbort(assembly.size - assembly.got);
    const place = this.#outside.indexOf(assembly);
    if (place >= 0) {
      this.#outside.splice(place, 1);
      this.#account.grant(assembly.size, true);
    } else {
      this.#giveUp(assembly);
    }
    this.#numbers.end(number);
  }

  #abortUnknown(number: number): void {
    if (this.#numbers.isOver(number)) return; // it was taken while this was on its way
    if (this.ordered) throw new Violation(`message ${number} is aborted before it began`);
    this.#checkDistance(number);
    if (this.#aborted.has(number)) throw new Violation(`message ${number} is aborted twice`);
    const parts = this.#orphans.get(number) ?? [];
    this.#orphans.delete(number);
    this.#aborted.set(
      number,
      parts.reduce((sum, { body }) => sum + body.length, 0),
    );
  }

  /** Its ABORT, which paid for what was not sent, came first. */
  #beginAborted({ number, size, body }: Begin): void {
    const paid = (this.#aborted.get(number) ?? 0) + body.length;
    this.#aborted.delete(number);
    if (paid > size) throw new Violation(`message ${number} of ${size} bytes has more of them`);
    this.#account.spend(body.length, 1);
    this.#account.spendByAbort(size - paid);
    this.#account.grant(size, true);
    this.#newest = Math.max(this.#newest, number);
    this.#numbers.end(number);
  }

  #checkNumber(number: number): void {
    if (!this.ordered) {
      this.#checkDistance(number);
      if (this.#assemblies.has(number) || this.#numbers.isOver(number)) {
        throw new Violation(`message ${number} begins twice`);
      }
      return;
    }
    if (number !== this.#newest + 1) {
      throw new Violation(`message ${number} follows message ${this.#newest}`);
    }
    const before = this.#assemblies.get(this.#newest);
    if (before && !before.complete) {
      throw new Violation(`message ${number} begins before the one before it has ended`);
    }
  }

  #checkDistance(number: number): void {
    if (this.#numbers.isTooFar(number)) {
      throw new Violation(`message ${number} is too far ahead of those before it`);
    }
  }

  #checkKept(): void {
    let kept = 0;
    for (const assembly of this.#outside) kept += assembly.kept;
    for (const parts of this.#orphans.values()) kept += parts.length;
    if (kept > KEPT) {
      throw new Violation(`it sends more than ${KEPT} parts of messages that cannot be put together yet`);
    }
  }

  #finish(assembly: Assembly): void {
    if (!assembly.admitted || !assembly.complete) return;
    this.#assemblies.delete(assembly.number);
    this.#numbers.end(assembly.number);
    this.replies.push({ type: "taken", number: assembly.number });
    if (assembly.ignored) return;
    this.#remember(assembly.identity);
    this.store.deliver(assembly.header, assembly.body);
  }

  #remember(identity: string): void {
    if (identity === "") return;
    this.#seen.delete(identity); // one that comes again counts as the newest
    this.#seen.add(identity);
    // Twice as many as are under way: new ones may overtake those that are sent again.
    if (this.#seen.size <= 2 * REMEMBERED) return;
    for (const oldest of this.#seen) {
      this.#seen.delete(oldest);
      break;
    }
  }

  #giveUp(assembly: Assembly): void {
    if (assembly.admitted && !assembly.ignored) this.store.giveUp(assembly.size);
  }
}
