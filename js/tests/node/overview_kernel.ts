/** A kernel that tells of its data what a test says, over connections in memory. */

import { DataLink } from "../../src/data/data_link";
import { Inlet } from "../../src/data/inlet";
import { Outlet, Parcel } from "../../src/data/outlet";
import type { Participant } from "../../src/protocol";
import { Queue, utf8 } from "./data_ends";
import { type FakeConnection, fakePair } from "./fake_rtc";

/** A kernel that says what a test lets it say, and the tab's link to it. */
export class FakeKernel {
  readonly faults: string[] = [];
  link = this.#newLink();
  #theirs = new DataLink({ fault: () => undefined });
  readonly #outlet = new Outlet();
  #connections: [FakeConnection, FakeConnection] | null = null;

  constructor(
    readonly id: string,
    public record: Partial<Participant> = { shared: true },
  ) {
    this.#listen();
    this.connect();
  }

  get participant(): Participant {
    return { id: this.id, name: this.id, kind: "kernel", user: this.id, ...this.record };
  }

  /** How many data channels the tab has opened so far. */
  get count(): number {
    return this.#connections?.[0].count("overview") ?? 0;
  }

  get isOpen(): boolean {
    return this.count > 0 && this.#connections?.[0].channel("overview").readyState === "open";
  }

  /** There is a new connection. */
  connect(): void {
    this.disconnect();
    this.#connections = fakePair();
    this.link.attach(this.#connections[0].pc, true);
    this.#theirs.attach(this.#connections[1].pc, false);
  }

  disconnect(): void {
    this.link.detach();
    this.#theirs.detach();
    for (const connection of this.#connections ?? []) connection.die();
  }

  /** It leaves, as the session learns. */
  leave(): void {
    this.link.dispose();
    this.disconnect();
  }

  /** It is back, and the session has another link to it. */
  comeBack(): void {
    this.link = this.#newLink();
    this.#theirs = new DataLink({ fault: () => undefined });
    this.#listen();
    this.connect();
  }

  say(header: object | Uint8Array, body: Uint8Array = new Uint8Array()): void {
    const bytes = header instanceof Uint8Array ? header : utf8(JSON.stringify(header));
    this.#outlet.put(new Parcel(bytes, body, () => undefined));
    this.#theirs.pump();
  }

  /** What it said is forgotten, as it begins anew on each data channel. */
  beginAnew(): void {
    this.#outlet.close();
  }

  #newLink(): DataLink {
    return new DataLink({ fault: (label, why) => this.faults.push(`${label}: ${why}`) });
  }

  #listen(): void {
    const inlet = new Inlet(new Queue());
    this.#theirs.open("overview", { ordered: true, reliable: true, outlet: this.#outlet, inlet });
  }
}

/** What is said of a key, and of a channel's message. */
export const item = (name: string, more: object = {}) => ({
  kind: "item",
  of: "shared",
  name,
  time: 100,
  writer: "k",
  value: { kind: "str", time: 1 },
  size: 4,
  ...more,
});
export const message = (name: string, more: object = {}) => item(name, { of: "channel", ...more });
export const gone = (name: string, of = "shared") => ({ kind: "gone", of, name });
export const picture = (shape: number[], dtype = "|u1") => ({ preview: { dtype, shape } });
