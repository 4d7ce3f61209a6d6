/** The section of the widget that shows a room's data: its channels and shared values, as the kernels tell of them.
 *
 * While it is closed, or out of sight, no kernel is asked for anything.
 */

import type { Item, Of } from "../overview";
import type { Participant } from "../protocol";
import type { Session } from "../session";
import { type Entry, Row } from "./data_row";
import { dataWords, untilOlder } from "./data_words";
import { arrange, button, element, setAttribute, setText } from "./dom";
import { icon } from "./icons";
import type { Visibility } from "./visibility";

/** Rows at first, and so many more with each click. */
const ROWS = 100;

export class DataSection {
  readonly root = element("section", "data", { "aria-label": "Data", hidden: true });
  readonly #summary = element("span", "data-summary");
  readonly #toggle: HTMLButtonElement;
  readonly #list = element("ul", "data-list", { "aria-label": "Channels and shared values", tabindex: "0" });
  readonly #more: HTMLButtonElement;
  readonly #body: HTMLElement;
  readonly #visibility: Visibility;
  readonly #rows = new Map<string, Row>();
  #session: Session | null = null;
  /** Ends the listening to the present session. */
  #listening = new AbortController();
  #open = false;
  #seen = false;
  #most = ROWS;
  #unwatch: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(visibility: Visibility) {
    this.#visibility = visibility;
    const title = element("strong", "", {}, "Data");
    this.#toggle = button("data-toggle", [icon("open"), title, this.#summary], () => this.#flip());
    this.#more = button("data-more", [], () => this.#showMore());
    this.#body = element("div", "data-body", { hidden: true }, this.#list, this.#more);
    this.root.append(this.#toggle, this.#body);
    setAttribute(this.#toggle, "aria-expanded", "false");
    visibility.watch(this.root, (seen) => {
      this.#seen = seen;
      this.#update();
    });
  }

  update(session: Session | null): void {
    if (session !== this.#session) this.#listen(session);
    this.#update();
  }

  close(): void {
    this.#visibility.forget(this.root);
    this.update(null);
  }

  #listen(session: Session | null): void {
    this.#listening.abort();
    this.#listening = new AbortController();
    this.#unwatch?.();
    this.#unwatch = null;
    this.#session = session;
    const { signal } = this.#listening;
    session?.overview.addEventListener("change", () => this.#update(), { signal });
  }

  #flip(): void {
    this.#open = !this.#open;
    this.#most = ROWS;
    setAttribute(this.#toggle, "aria-expanded", String(this.#open));
    this.#body.hidden = !this.#open;
    this.#update();
  }

  #showMore(): void {
    this.#most += ROWS;
    this.#update();
    if (this.#more.hidden) this.#list.focus(); // or else the focus is lost with the button
  }

  #update(): void {
    const session = this.#session;
    const channels = session ? openChannels(session) : new Map<string, OpenTo>();
    const shared = session?.others.some((person) => person.shared) ?? false;
    this.root.hidden = channels.size === 0 && !shared;
    const shown = this.#open && !this.root.hidden;
    this.#watch(shown && this.#seen);
    const keys = shown && session ? session.overview.keys : [];
    const known = keys.length > 0 || (shown && session?.others.every((person) => isHeard(session, person)));
    setText(this.#summary, dataWords(channels.size, shared && !known ? null : keys.length));
    this.#showRows(shown && session ? entries(session, channels, keys) : []);
  }

  #watch(watching: boolean): void {
    if (watching) {
      this.#unwatch ??= this.#session?.overview.watch() ?? null;
    } else {
      this.#unwatch?.();
      this.#unwatch = null;
    }
  }

  #showRows(all: Entry[]): void {
    const shown = all.slice(0, this.#most);
    const rows = new Map(shown.map((entry) => [`${entry.of}/${entry.name}`, entry]));
    for (const id of this.#rows.keys()) if (!rows.has(id)) this.#rows.delete(id);
    for (const [id, entry] of rows) this.#row(id, entry.of).update(entry);
    arrange(
      this.#list,
      [...rows].map(([id, { of }]) => this.#row(id, of).root),
    );
    this.#more.hidden = all.length <= shown.length;
    setText(this.#more, `Show more: ${all.length - shown.length} are left`);
    this.#growLater();
  }

  #row(id: string, of: Of): Row {
    const row = this.#rows.get(id) ?? new Row(of);
    this.#rows.set(id, row);
    return row;
  }

  /** Keep the ages up to date, while somebody looks. */
  #growLater(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#unwatch || this.#rows.size === 0) return;
    const youngest = Math.min(...[...this.#rows.values()].map((row) => row.grow()));
    if (Number.isFinite(youngest)) this.#timer = setTimeout(() => this.#growLater(), untilOlder(youngest));
  }
}

/** Whether somebody has told what there is to tell, or will in a moment. */
function isHeard(session: Session, { id, shared }: Participant): boolean {
  return !shared || session.peerState(id) === "connected";
}

/** Who has a channel open. */
interface OpenTo {
  names: string[];
  /** Ids of the kernels among them. */
  kernels: string[];
  /** Whether there is a page among them, whose messages nobody tells of. */
  page: boolean;
}

/** All channels of the room by name, in order. */
function openChannels(session: Session): Map<string, OpenTo> {
  const all = new Map<string, OpenTo>();
  const of = (name: string) => {
    const openTo = all.get(name) ?? { names: [], kernels: [], page: false };
    all.set(name, openTo);
    return openTo;
  };
  for (const channel of session.channels) {
    of(channel).names.push(`${session.me?.name ?? "You"} (you)`);
    of(channel).page = true;
  }
  for (const { id, name, kind, channels = [] } of session.others) {
    for (const channel of channels) {
      of(channel.name).names.push(name);
      if (kind === "kernel") of(channel.name).kernels.push(id);
      else of(channel.name).page = true;
    }
  }
  return new Map([...all].sort(([one], [other]) => (one < other ? -1 : 1)));
}

function entries(session: Session, channels: Map<string, OpenTo>, keys: string[]): Entry[] {
  const names = new Map(session.others.map(({ id, name }) => [id, name]));
  const entry = (of: Of, name: string, openTo: string[], note: string): Entry => {
    const item: Item | null = session.overview.get(of, name);
    const writer = (item && names.get(item.writer)) ?? "left the room";
    return { of, name, item, writer, openTo, note };
  };
  return [
    ...[...channels].map(([name, openTo]) => entry("channel", name, openTo.names, noteOf(session, openTo))),
    ...keys.map((key) => entry("shared", key, [], "")),
  ];
}

/** What to say of a channel of which no message is known. */
function noteOf(session: Session, { kernels, page }: OpenTo): string {
  if (kernels.some((id) => session.peerState(id) !== "connected")) return "Connecting…";
  return page ? "no message of a kernel yet" : "no message yet";
}
