/** One label of a data link: its port, and its present data channel; runs in the browser tab. */

import { CHUNK, decode, encode, type Frame } from "./frames";
import type { Inlet } from "./inlet";
import type { LossyInlet } from "./lossy";
import type { Outlet } from "./outlet";
import { Violation } from "./violation";

export const PROTOCOL = "forge-rtc-nb";

/** Milliseconds before a data channel that ended is opened again, at first and at most: twice as many each time, until one
 * has stayed open for as long. */
const AGAIN_FIRST = 1_000;
const AGAIN_MOST = 30_000;
/** Bytes in the buffer of a data channel whose other side sends, but does not take what it is told about that. */
const MAX_UNTAKEN = 4 * CHUNK;

/** What goes over the data channels of one label: the two halves, which outlive them. */
export interface Port {
  readonly ordered: boolean;
  readonly reliable: boolean;
  readonly outlet: Outlet;
  readonly inlet: Inlet | LossyInlet;
}

export interface LineEvents {
  fault(why: string): void;
  /** It is time to open a data channel again. */
  create(): void;
  /** There may be something to send, and room for it. */
  pump(): void;
}

export class Line {
  readonly label: string;
  readonly port: Port;
  readonly #on: LineEvents;
  #channel: RTCDataChannel | null = null;
  /** Whether we opened it, and so open the next one. */
  #mine = false;
  /** Ends the listening to the present data channel. */
  #listening = new AbortController();
  /** Milliseconds before the next one. */
  #again = AGAIN_FIRST;
  #openedAt = 0;
  /** None is taken from the other side before that: it broke the rules on the one before. */
  #shutUntil = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(label: string, port: Port, events: LineEvents) {
    this.label = label;
    this.port = port;
    this.#on = events;
  }

  /** Bytes that wait in the buffer of its data channel. */
  get buffered(): number {
    return this.#open?.bufferedAmount ?? 0;
  }

  /** Whether a data channel that the other side opened is the one to have. */
  expects({ ordered, maxRetransmits, maxPacketLifeTime }: RTCDataChannel): boolean {
    const present = this.#channel?.readyState;
    return (
      performance.now() >= this.#shutUntil &&
      ordered === this.port.ordered &&
      maxRetransmits === (this.port.reliable ? null : 0) &&
      maxPacketLifeTime === null &&
      present !== "open" &&
      present !== "connecting"
    );
  }

  /** There is a new data channel, on which this came already: both halves begin anew on it. */
  take(channel: RTCDataChannel, mine: boolean, early: readonly ArrayBuffer[] = []): void {
    this.#drop();
    this.#channel = channel;
    this.#mine = mine;
    this.port.outlet.restart();
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = 0;
    const { signal } = this.#listening;
    const pump = () => this.#on.pump();
    const opened = () => {
      this.#openedAt = performance.now();
      pump();
    };
    channel.addEventListener("open", opened, { signal });
    channel.addEventListener("bufferedamountlow", pump, { signal });
    channel.addEventListener("message", ({ data }) => this.#received(data), { signal });
    channel.addEventListener("close", () => this.#ended(), { signal });
    if (channel.readyState === "open")
      opened(); // where the other side opened it
    else pump();
    for (const data of early) if (!signal.aborted) this.#received(data);
  }

  /** Send what the receiving half has to say; that waits for nothing. */
  reply(): void {
    const { replies } = this.port.inlet;
    this.#guard(() => {
      for (let next = replies[0]; next && this.#open; next = replies[0]) {
        if (this.buffered > MAX_UNTAKEN) throw new Violation("it sends, but takes nothing");
        replies.shift();
        this.#transmit(next);
      }
    });
  }

  /** Send one frame; false where there is none, or no data channel to send it on. */
  send(): boolean {
    if (!this.#open) return false;
    return this.#guard(() => {
      const frame = this.port.outlet.nextFrame();
      if (frame) this.#transmit(frame);
      return frame !== null;
    });
  }

  /** There is room for what waits to be delivered. */
  advance(): void {
    this.#guard(() => this.port.inlet.advance());
    this.reply();
  }

  /** Open a data channel again in a while. */
  tryAgain(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#on.create(), this.#wait());
  }

  /** The connection is gone. */
  detach(): void {
    this.#drop();
  }

  close(): void {
    const channel = this.#channel;
    this.#drop();
    channel?.close();
    this.port.outlet.close();
  }

  get #open(): RTCDataChannel | null {
    return this.#channel?.readyState === "open" ? this.#channel : null;
  }

  /** Milliseconds until there may be another data channel. */
  #wait(): number {
    if (performance.now() - this.#openedAt > AGAIN_MOST) this.#again = AGAIN_FIRST;
    const wait = this.#again;
    this.#again = Math.min(2 * wait, AGAIN_MOST);
    return wait;
  }

  #transmit(frame: Frame): void {
    this.#open?.send(encode(frame));
  }

  #received(data: unknown): void {
    this.#guard(() => {
      const frame = decode(data as ArrayBuffer | string); // as `binaryType` says
      if (frame.type === "taken" || frame.type === "credit") this.port.outlet.receive(frame);
      else this.port.inlet.receive(frame);
    });
    this.#on.pump();
  }

  /** Do it; what fails costs this data channel. False where it failed, or said so. */
  #guard(action: () => unknown): boolean {
    try {
      return action() !== false;
    } catch (error) {
      const channel = this.#channel;
      // Half of what whoever opens waits: nobody who keeps to the rules is turned away.
      if (!this.#mine) this.#shutUntil = performance.now() + this.#wait() / 2;
      this.#ended();
      channel?.close();
      this.#on.fault(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  /** The data channel is over, the connection is not: whoever opened it opens another one. */
  #ended(): void {
    this.#drop();
    if (this.#mine) this.tryAgain();
    this.#on.pump(); // its buffer counts no more
  }

  /** Forget the data channel, and what did not come whole. */
  #drop(): void {
    clearTimeout(this.#timer);
    this.#listening.abort();
    this.#listening = new AbortController();
    this.#channel = null;
    this.port.inlet.restart();
  }
}
