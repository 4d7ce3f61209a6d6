/** One row of the data section: a channel or a shared key. */

import type { Item, Of } from "../overview";
import { ageWords, sizeWords, whatWords } from "./data_words";
import { button, element, setAttribute, setText } from "./dom";
import { icon } from "./icons";
import { drawPreview } from "./preview";

/** What a row shows. */
export interface Entry {
  of: Of;
  name: string;
  /** The newest message, or the value; null where nothing is known of it. */
  item: Item | null;
  writer: string;
  /** The names of those who have the channel open. */
  openTo: string[];
  /** What to say where there is nothing to show. */
  note: string;
}

export class Row {
  readonly root = element("li", "datum", { "data-empty": true });
  /** Shows the preview large, or small again. */
  readonly #preview = button("preview", [], () => this.#setLarge(!this.#large));
  readonly #name = element("span", "datum-name");
  readonly #what = element("span", "datum-what");
  readonly #size = element("span", "datum-size");
  readonly #age = element("time", "datum-age");
  readonly #writer = element("span", "datum-writer");
  readonly #openTo = element("span", "datum-open");
  readonly #openCount = element("span", "");
  readonly #openNames = element("span", "hidden");
  #item: Item | null = null;
  #large = false;

  constructor(of: Of) {
    const kind = element("span", "hidden", {}, of === "channel" ? "channel " : "shared value ");
    const title = element(
      "span",
      "datum-title",
      {},
      icon(of === "channel" ? "channel" : "key"),
      kind,
      this.#name,
    );
    this.#openTo.append(icon("browser"), this.#openCount, this.#openNames);
    this.#openTo.hidden = of !== "channel";
    setAttribute(this.root, "data-of", of);
    this.#setLarge(false);
    const rest = element("span", "datum-rest", {}, this.#size, this.#age, this.#writer);
    this.root.append(this.#preview, title, this.#openTo, this.#what, rest);
  }

  update({ name, item, writer, openTo, note }: Entry): void {
    setAttribute(this.root, "data-name", name);
    setText(this.#name, name);
    this.#name.title = name;
    this.#updateOpen(openTo);
    setText(this.#writer, item ? writer : "");
    this.#writer.title = item ? writer : "";
    setAttribute(this.#preview, "aria-label", `Preview of ${name}`);
    if (item !== this.#item) this.#show(item);
    if (!item?.preview) this.#preview.hidden = true; // also where there is no room to keep it any more
    if (!item) setText(this.#what, note);
    this.grow();
  }

  /** Say the age anew. Returns it in seconds. */
  grow(): number {
    const age = this.#item ? Math.max(0, Date.now() / 1000 - this.#item.time) : Number.POSITIVE_INFINITY;
    setText(this.#age, this.#item ? ageWords(age) : "");
    return age;
  }

  #show(item: Item | null): void {
    this.#item = item;
    setAttribute(this.root, "data-empty", item ? null : "");
    if (item) setText(this.#what, whatWords(item.value));
    this.#what.title = item ? whatWords(item.value) : "";
    setText(this.#size, item ? sizeWords(item.size) : "");
    this.#size.title = item ? `${item.size.toLocaleString()} bytes` : "";
    const time = item && new Date(1000 * item.time);
    setAttribute(this.#age, "datetime", time ? time.toISOString() : null);
    this.#age.title = time ? time.toLocaleString() : "";
    this.#preview.hidden = false;
    this.#preview.replaceChildren(...(item?.preview ? [drawPreview(item.preview)] : []));
  }

  #setLarge(large: boolean): void {
    this.#large = large;
    setAttribute(this.root, "data-large", large ? "" : null);
    setAttribute(this.#preview, "aria-pressed", String(large));
    this.#preview.title = large ? "Show it small" : "Show it large";
  }

  #updateOpen(names: string[]): void {
    setText(this.#openCount, String(names.length));
    setText(this.#openNames, `open in ${names.join(", ")}`);
    this.#openTo.title = `Open in ${names.join(", ")}`;
  }
}
