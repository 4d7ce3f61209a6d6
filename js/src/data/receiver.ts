/** One other participant that has a channel open: both directions of it, and where its messages go; runs in the browser tab. */

import type { Channel } from "../channel";
import type { DataLink, Port } from "./data_link";
import { Inlet } from "./inlet";
import { LossyInlet } from "./lossy";
import type { Arrived, Mailbox } from "./mailbox";
import { Outlet } from "./outlet";
import type { Store } from "./receiving";
import type { Turns, Waiting } from "./turns";
import { check, parseHeader } from "./values";

/** Who sent a message. */
export interface Sender {
  readonly id: string;
  readonly name: string;
}

/** What a channel has in common for all its participants. */
export interface Shared {
  label: string;
  options: Required<Omit<Channel, "name">>;
  /** Whether its messages replace older ones, and so never wait. */
  drops: boolean;
  /** Bytes of a message. */
  limit: number;
  mailbox: Mailbox;
  turns: Turns;
  arrived(arrived: Arrived): void;
}

export class Receiver implements Port, Store, Waiting {
  readonly id: string;
  name: string;
  readonly link: DataLink;
  readonly ordered: boolean;
  readonly reliable: boolean;
  readonly outlet: Outlet;
  readonly inlet: Inlet | LossyInlet;
  readonly #shared: Shared;

  constructor({ id, name }: Sender, link: DataLink, shared: Shared) {
    const { ordered, reliable, maxsize, maxbytes } = shared.options;
    this.id = id;
    this.name = name;
    this.link = link;
    this.#shared = shared;
    this.ordered = ordered;
    this.reliable = reliable;
    const keep = { messages: reliable ? maxsize : 1, bytes: maxbytes };
    this.outlet = new Outlet(reliable, shared.drops ? keep : null);
    this.inlet = reliable ? new Inlet(this, ordered) : new LossyInlet(this, ordered);
  }

  open(): void {
    this.link.open(this.#shared.label, this);
  }

  close(): void {
    this.link.close(this.#shared.label);
    this.outlet.close(); // also where the participant left, and the link knows of no label any more
    this.inlet.restart();
    this.#shared.turns.forget(this);
  }

  advance(): void {
    this.link.advance(this.#shared.label);
  }

  check(header: Uint8Array, size: number): string {
    const read = parseHeader(header);
    check(read, size, this.#shared.limit);
    return read.id ?? "";
  }

  admit(size: number): boolean {
    const { mailbox, turns } = this.#shared;
    const reserve = () => mailbox.admit(this.id, size);
    if (!this.reliable) return reserve(); // what may be lost does not wait
    // When something of its own ends it asks again; until then others must not wait behind it.
    return !mailbox.isInItsOwnWay(this.id, size) && turns.ask(this, reserve);
  }

  deliver(header: Uint8Array, body: Uint8Array<ArrayBuffer>): void {
    const { arrived, turns } = this.#shared;
    arrived({ sender: { id: this.id, name: this.name }, header: parseHeader(header), body });
    turns.serve(); // where messages are dropped, what is complete is in nobody's way any more
  }

  giveUp(size: number): void {
    this.#shared.mailbox.giveUp(this.id, size);
    this.#shared.turns.serve();
  }
}
