/** The m-lines on which a kernel's streams come to us, one for each that is wanted; pure, runs in the browser tab. */

import type { MediaKind, Want } from "./protocol";

interface Line {
  kind: MediaKind;
  stream: string;
}

export class Lines {
  readonly #lines: Line[] = [];

  /** Have a line for each; a line stays with its stream until another one needs it. Returns those that are new, and whether the
   * kernel must be told. */
  fill(wanted: ReadonlyMap<string, MediaKind>): {
    added: [line: number, kind: MediaKind][];
    changed: boolean;
  } {
    const added: [number, MediaKind][] = [];
    let changed = false;
    for (const [stream, kind] of wanted) {
      if (this.#lines.some((line) => line.stream === stream)) continue;
      changed = true;
      const unused = this.#lines.find((line) => line.kind === kind && !wanted.has(line.stream));
      if (unused) unused.stream = stream;
      else added.push([this.#lines.push({ kind, stream }) - 1, kind]);
    }
    return { added, changed };
  }

  /** What an offer is to say: the streams wanted now, each with its m-line. */
  wants(wanted: ReadonlyMap<string, MediaKind>, mids: ReadonlyMap<number, string>): Want[] {
    const wants: Want[] = [];
    for (const [index, { stream }] of this.#lines.entries()) {
      const mid = mids.get(index);
      if (mid !== undefined && wanted.has(stream)) wants.push({ stream, mid });
    }
    return wants;
  }
}
