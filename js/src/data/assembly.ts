/** One message that is being put together from its parts, in place once there is room for it; pure, runs in the browser tab. */

import type { Begin } from "./frames";
import { Violation } from "./violation";

/** Separate ranges of a message: what is under way at once, where parts come in any order, leaves fewer holes. */
const RANGES = 4096;

interface Span {
  start: number;
  end: number;
}

/** Parts may come in any order, each byte once. Until there is a place for them they are kept: whoever adds them bounds them. */
export class Assembly {
  readonly number: number;
  /** Empty once it is ignored. */
  header: Uint8Array;
  readonly size: number;
  /** The sender's name of this message, the same when it is sent again on another data channel; "" for none. */
  readonly identity: string;
  got = 0;
  #admitted = false;
  #ignored = false;
  #place: Uint8Array<ArrayBuffer> | null = null;
  #parts: { offset: number; part: Uint8Array }[] = [];
  /** What is there, in order, adjacent ones merged. */
  readonly #there: Span[] = [];

  constructor({ number, header, size, body }: Begin, identity: string) {
    this.number = number;
    this.header = header.slice(); // a view of a frame would keep the frame
    this.size = size;
    this.identity = identity;
    if (body.length > 0) this.add(0, body);
  }

  get admitted(): boolean {
    return this.#admitted;
  }

  get ignored(): boolean {
    return this.#ignored;
  }

  /** Parts that are kept, each an object of its own. */
  get kept(): number {
    return this.#parts.length;
  }

  get complete(): boolean {
    return this.got === this.size;
  }

  /** The whole body, once it is admitted and complete. */
  get body(): Uint8Array<ArrayBuffer> {
    return this.#place ?? new Uint8Array();
  }

  /** Throws a `Violation` where it lies outside of the body, or where another part was already. */
  add(offset: number, part: Uint8Array): void {
    const end = offset + part.length;
    if (end > this.size) {
      throw new Violation(`message ${this.number} of ${this.size} bytes goes on to byte ${end}`);
    }
    this.#note(offset, end);
    this.got += part.length;
    if (this.#place) this.#place.set(part, offset);
    else if (!this.#admitted) this.#parts.push({ offset, part });
  }

  /** There is room for it. Throws a `Violation` where this page has no memory for it after all. */
  admit(): void {
    this.#admitted = true;
    this.#place = this.#allocate();
    for (const { offset, part } of this.#parts) this.#place.set(part, offset);
    this.#parts = [];
  }

  /** Only count what comes: it is here already. */
  ignore(): void {
    this.#admitted = this.#ignored = true;
    this.#parts = [];
    this.header = new Uint8Array();
  }

  #allocate(): Uint8Array<ArrayBuffer> {
    try {
      return new Uint8Array(this.size);
    } catch {
      throw new Violation(
        `message ${this.number} of ${this.size} bytes is more than this page has memory for`,
      );
    }
  }

  #note(start: number, end: number): void {
    const there = this.#there;
    const at = this.#after(start);
    const before = there[at - 1];
    const after = there[at];
    if ((before && before.end > start) || (after && after.start < end)) {
      throw new Violation(`message ${this.number} says bytes ${start} to ${end} twice`);
    }
    const merges = before?.end === start;
    const merged = { start: merges ? before.start : start, end: after?.start === end ? after.end : end };
    there.splice(merges ? at - 1 : at, Number(merges) + Number(after?.start === end), merged);
    if (there.length > RANGES) {
      throw new Violation(`message ${this.number} comes in more than ${RANGES} separate ranges`);
    }
  }

  /** The place of the first span that begins at `start` or behind it. */
  #after(start: number): number {
    let low = 0;
    let high = this.#there.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#there[middle] as Span).start < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
