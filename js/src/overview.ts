/** What the kernels of a room tell of their data, while somebody looks at it; runs in the browser tab.
 *
 * docs/protocol.md, The overview. Each kernel tells of what it sent and wrote itself, and of what those wrote who left.
 */

import type { DataLink } from "./data/data_link";
import type { Of } from "./overview_item";
import { type Item, Source } from "./overview_source";
import type { Participant } from "./protocol";

export type { Of, Preview } from "./overview_item";
export type { Item } from "./overview_source";

/** Milliseconds in which changes are collected: a kernel with many keys tells them one by one. */
const COLLECT = 50;

export interface OverviewHost {
  others(): Participant[];
  link(participant: string): DataLink | null;
  needData(participant: string): () => void;
}

/** Events: "change". */
export class Overview extends EventTarget {
  readonly #host: OverviewHost;
  readonly #sources = new Map<string, Source>();
  /** What ends the wishes for connections, by kernel. */
  readonly #releases = new Map<string, () => void>();
  #watchers = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: OverviewHost) {
    super();
    this.#host = host;
  }

  /** Somebody looks, until the returned function is called. */
  watch(): () => void {
    this.#watchers += 1;
    this.refresh();
    let done = false;
    return () => {
      if (done) return;
      done = true;
      this.#watchers -= 1;
      this.refresh();
    };
  }

  /** Who is there, or what they have, may have changed. */
  refresh(): void {
    const kernels = new Set(
      this.#host
        .others()
        .filter(hasData)
        .map(({ id }) => id),
    );
    for (const id of this.#sources.keys()) if (!kernels.has(id)) this.#forget(id);
    for (const id of kernels) {
      if (this.#watchers > 0) this.#open(id);
      else this.#close(id);
    }
  }

  /** The room was left. */
  end(): void {
    for (const id of [...this.#sources.keys()]) this.#forget(id);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The newest message on a channel, or the value of a key, that is known. */
  get(of: Of, name: string): Item | null {
    let newest: Item | null = null;
    for (const source of this.#sources.values()) {
      const item = source.get(of, name);
      if (item && (!newest || item.time > newest.time)) newest = item;
    }
    return newest;
  }

  /** The keys of the shared mapping that are known, in order. */
  get keys(): string[] {
    const keys = new Set([...this.#sources.values()].flatMap((source) => source.names("shared")));
    return [...keys].sort();
  }

  #open(id: string): void {
    const source = this.#sources.get(id) ?? new Source(id, () => this.#changed());
    this.#sources.set(id, source);
    if (!this.#releases.has(id)) this.#releases.set(id, this.#host.needData(id));
    const link = this.#host.link(id);
    if (link) source.open(link);
  }

  #close(id: string): void {
    this.#sources.get(id)?.close();
    this.#releases.get(id)?.();
    this.#releases.delete(id);
  }

  #forget(id: string): void {
    this.#close(id);
    this.#sources.delete(id);
    this.#changed();
  }

  #changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.dispatchEvent(new Event("change"));
    }, COLLECT);
  }
}

/** Whether a participant may have something to tell. */
function hasData({ kind, channels = [], shared }: Participant): boolean {
  return kind === "kernel" && (channels.length > 0 || shared === true);
}
