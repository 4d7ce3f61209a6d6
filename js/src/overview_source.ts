/** What one kernel tells of its data, over a data channel that is there while somebody looks; runs in the browser tab. */

import { MAX_CHANNELS } from "./channel";
import type { DataLink, Port } from "./data/data_link";
import { Inlet } from "./data/inlet";
import { Outlet } from "./data/outlet";
import type { Store } from "./data/receiving";
import { type GoneHeader, type ItemHeader, type Of, type Preview, readTold } from "./overview_item";

const LABEL = "overview";
const MOST: Record<Of, number> = { channel: MAX_CHANNELS, shared: 4096 };
/** Bytes of all previews of a kernel; beyond that the oldest go. */
const MAX_PREVIEWS = 16 * 1024 * 1024;
/** Milliseconds for which things of a data channel that ended are shown, so that the next one may tell them again. */
const KEEP = 5_000;

/** The newest message on a channel, or the value of a key. */
export interface Item extends Omit<ItemHeader, "kind" | "preview"> {
  /** Who told it: the writer, or a kernel that has what somebody left behind. */
  teller: string;
  preview: Preview | null;
}

type Items = Record<Of, Map<string, Item>>;
const none = (): Items => ({ channel: new Map(), shared: new Map() });

export class Source implements Store {
  readonly #id: string;
  readonly #changed: () => void;
  #items = none();
  /** Those of a data channel before this one that were not told again yet. */
  #old = none();
  /** Things with a preview, the one told first comes first; and the bytes of those. */
  readonly #pictured = new Set<Item>();
  #bytes = 0;
  #link: DataLink | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `changed` is called whenever there is something else to show. */
  constructor(id: string, changed: () => void) {
    this.#id = id;
    this.#changed = changed;
  }

  get(of: Of, name: string): Item | undefined {
    return this.#items[of].get(name) ?? this.#old[of].get(name);
  }

  names(of: Of): string[] {
    return [...this.#old[of].keys(), ...this.#items[of].keys()];
  }

  /** Look, by means of this link; harmless where it is looked already. */
  open(link: DataLink): void {
    if (this.#link === link) return;
    this.close();
    this.#link = link;
    link.open(LABEL, this.#port());
  }

  /** Look no more. What was told stays, for whoever looks again. */
  close(): void {
    this.#link?.close(LABEL);
    this.#link = null;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  // ---- for the inlet ----

  check(header: Uint8Array, size: number): string {
    const told = readTold(header, size);
    const items = this.#items[told.of];
    if (told.kind === "item" && !items.has(told.name) && items.size >= MOST[told.of]) {
      throw new Error(`there are at most ${MOST[told.of]} of its kind`);
    }
    return "";
  }

  admit(): boolean {
    return true; // as small as `check` lets it be
  }

  deliver(header: Uint8Array, body: Uint8Array<ArrayBuffer>): void {
    const told = readTold(header, body.length);
    this.#drop(this.#old, told);
    this.#drop(this.#items, told);
    if (told.kind === "item") this.#put(told, body);
    this.#changed();
  }

  giveUp(): void {}

  /** There is another data channel, or none any more. */
  restarted(): void {
    for (const of of ["channel", "shared"] as const) {
      for (const [name, item] of this.#items[of]) this.#old[of].set(name, item);
    }
    this.#items = none();
    if (this.#link) this.#timer ??= setTimeout(() => this.#forgetOld(), KEEP);
  }

  #port(): Port {
    return { ordered: true, reliable: true, outlet: new Outlet(), inlet: new OverviewInlet(this) };
  }

  #put({ kind: _, preview: shown, time, ...rest }: ItemHeader, body: Uint8Array<ArrayBuffer>): void {
    const preview = shown ? { ...shown, body } : null;
    // A clock that is ahead must not make it newer than all that comes later.
    const item: Item = { ...rest, time: Math.min(time, Date.now() / 1000), teller: this.#id, preview };
    this.#items[item.of].set(item.name, item);
    if (!preview) return;
    this.#pictured.add(item);
    this.#bytes += body.length;
    for (const oldest of this.#pictured) {
      if (this.#bytes <= MAX_PREVIEWS) break;
      this.#unpicture(oldest);
    }
  }

  #drop(items: Items, { of, name }: ItemHeader | GoneHeader): void {
    const item = items[of].get(name);
    if (item) this.#unpicture(item);
    items[of].delete(name);
  }

  #unpicture(item: Item): void {
    if (!this.#pictured.delete(item)) return;
    this.#bytes -= item.preview?.body.length ?? 0;
    item.preview = null;
  }

  #forgetOld(): void {
    this.#timer = undefined;
    for (const items of Object.values(this.#old)) for (const item of items.values()) this.#unpicture(item);
    this.#old = none();
    this.#changed();
  }
}

class OverviewInlet extends Inlet {
  readonly #source: Source;

  constructor(source: Source) {
    super(source);
    this.#source = source;
  }

  override restart(): void {
    super.restart();
    this.#source.restarted();
  }
}
