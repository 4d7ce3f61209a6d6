/** The data channels of one other participant, over all the connections to it; runs in the browser tab.
 *
 * `docs/protocol.md`, Data channels of a pair. Frames are sent when something is put, when something arrives and when a
 * buffer is empty, never by a timer: those of a tab in the background are slow.
 */

import { CHUNK } from "./frames";
import { Line, type Port, PROTOCOL } from "./line";
import { type Early, ParkedChannels } from "./parked";

export type { Port } from "./line";

/** Bytes that may wait in the buffers of one connection's data channels: one frame more is always at hand, and a value
 * that is replaced by a newer one did not wait behind much. */
const MAX_BUFFERED = 2 * CHUNK;

export interface LinkEvents {
  /** The data channel of this label was closed for what the other side did on it; `why` says what, without its name. */
  fault(label: string, why: string): void;
}

export class DataLink {
  readonly #events: LinkEvents;
  /** By label; the next to send comes first. */
  readonly #lines = new Map<string, Line>();
  readonly #parked = new ParkedChannels();
  #pc: RTCPeerConnection | null = null;
  #opens = false;
  /** Ends the listening to the present connection. */
  #attached = new AbortController();
  #pumping = false;
  #disposed = false;

  constructor(events: LinkEvents) {
    this.#events = events;
  }

  /** Have a data channel of this label, on the present connection and all later ones. */
  open(label: string, port: Port): void {
    if (this.#disposed) return;
    this.close(label);
    const line = new Line(label, port, {
      fault: (why) => this.#events.fault(label, why),
      create: () => this.#create(line),
      pump: () => this.pump(),
    });
    this.#lines.set(label, line);
    this.#create(line);
    const early = this.#parked.take(label);
    if (early) this.#accept(line, early);
  }

  /** Have it no more: what waits is given up. */
  close(label: string): void {
    const line = this.#lines.get(label);
    this.#lines.delete(label);
    line?.close();
    this.pump(); // its buffer counts no more
  }

  /** There is a new connection, whose first offer is yet to come; `opens` where the data channels are ours to open. */
  attach(pc: RTCPeerConnection, opens: boolean): void {
    this.detach();
    if (this.#disposed) return;
    this.#pc = pc;
    this.#opens = opens;
    const { signal } = this.#attached;
    pc.addEventListener("datachannel", ({ channel }) => this.#offered(channel), { signal });
    for (const line of [...this.#lines.values()]) this.#create(line);
  }

  /** The connection is gone: what was not taken is sent again over the next one. */
  detach(): void {
    this.#attached.abort();
    this.#attached = new AbortController();
    this.#pc = null;
    this.#parked.clear();
    for (const line of this.#lines.values()) line.detach();
  }

  /** There is something new to send: a frame of each in turn, as the buffers allow. */
  pump(): void {
    if (this.#pumping) return; // what is put meanwhile has its turn in the loop that runs
    this.#pumping = true;
    try {
      for (const line of [...this.#lines.values()]) line.reply();
      for (let idle = 0; idle < this.#lines.size && this.#hasRoom(); ) idle = this.#sendNext() ? 0 : idle + 1;
    } finally {
      this.#pumping = false;
    }
  }

  /** There is room for what a sender waits to deliver. */
  advance(label: string): void {
    this.#lines.get(label)?.advance();
  }

  /** The participant left. */
  dispose(): void {
    this.#disposed = true;
    this.detach();
    for (const label of [...this.#lines.keys()]) this.close(label);
  }

  #hasRoom(): boolean {
    let buffered = 0;
    for (const line of this.#lines.values()) buffered += line.buffered;
    return buffered + CHUNK <= MAX_BUFFERED;
  }

  #sendNext(): boolean {
    const [line] = this.#lines.values();
    if (!line) return false;
    this.#lines.delete(line.label);
    this.#lines.set(line.label, line); // at the end: the others have their turn
    return line.send();
  }

  #create(line: Line): void {
    const { label } = line;
    const { ordered, reliable } = line.port;
    if (!this.#pc || !this.#opens || this.#lines.get(label) !== line) return;
    try {
      line.take(
        this.#pc.createDataChannel(label, {
          protocol: PROTOCOL,
          ordered,
          ...(!reliable && { maxRetransmits: 0 }),
        }),
        true,
      );
    } catch {
      line.tryAgain(); // the browser has no data channel left, or its connection is closed already
    }
  }

  /** The other side opened a data channel. */
  #offered(channel: RTCDataChannel): void {
    if (channel.negotiated) return;
    const line = this.#lines.get(channel.label);
    if (this.#opens || channel.protocol !== PROTOCOL) channel.close();
    else if (line) this.#accept(line, { channel, messages: [] });
    else if (!this.#parked.park(channel)) channel.close();
  }

  #accept(line: Line, { channel, messages }: Early): void {
    if (line.expects(channel)) line.take(channel, false, messages);
    else channel.close();
  }
}
