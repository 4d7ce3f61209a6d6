/** Outlets and inlets joined by a data channel that a test drives frame by frame. */

import { decode, encode, type Frame } from "../../src/data/frames";
import { Inlet } from "../../src/data/inlet";
import type { LossyInlet } from "../../src/data/lossy";
import { Outlet, Parcel } from "../../src/data/outlet";
import type { Store } from "../../src/data/receiving";

export const utf8 = (text: string) => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A store of so many messages and bytes; headers are the names of messages, and "bad" ones are refused. */
export class Queue implements Store {
  count = 0;
  size = 0;
  readonly messages: { name: string; body: Uint8Array }[] = [];
  #read = 0;

  constructor(
    readonly maxsize = 64,
    readonly maxbytes = 2 ** 30,
    readonly named = true,
  ) {}

  get names(): string[] {
    return this.messages.map(({ name }) => name);
  }

  check(header: Uint8Array): string {
    const name = textOf(header);
    if (name === "bad") throw new Error("it is bad");
    return this.named ? name : "";
  }

  admit(size: number): boolean {
    if (this.count > 0 && (this.count >= this.maxsize || this.size + size > this.maxbytes)) return false;
    this.count += 1;
    this.size += size;
    return true;
  }

  deliver(header: Uint8Array, body: Uint8Array): void {
    this.messages.push({ name: textOf(header), body });
  }

  giveUp(size: number): void {
    this.count -= 1;
    this.size -= size;
  }

  /** Somebody reads the oldest message that was not read: its room is free. False where there is none. */
  read(): boolean {
    const message = this.messages[this.#read];
    if (!message) return false;
    this.#read += 1;
    this.giveUp(message.body.length);
    return true;
  }
}

/** What is under way between an outlet and an inlet. Every frame passes the codec. */
export class Line {
  readonly forth: Uint8Array[] = [];
  readonly back: Uint8Array[] = [];
  /** Bytes of bodies that were sent. */
  sent = 0;

  constructor(
    readonly outlet: Outlet,
    readonly inlet: Inlet | LossyInlet,
  ) {}

  send(): boolean {
    const frame = this.outlet.nextFrame();
    if (!frame) return false;
    if (frame.type === "begin" || frame.type === "more") this.sent += frame.body.length;
    this.forth.push(encode(frame));
    return true;
  }

  /** The frame at `index` of those under way arrives next. */
  deliver(index = 0): void {
    const [bytes] = this.forth.splice(index, 1);
    this.inlet.receive(decode(bytes as Uint8Array));
    this.#collect();
  }

  /** Somebody has read: the inlet looks whether what waits has its room now. */
  room(): void {
    this.inlet.advance();
    this.#collect();
  }

  answer(): void {
    const frame = decode(this.back.shift() as Uint8Array);
    if (frame.type !== "taken" && frame.type !== "credit") throw new Error(`${frame.type} is no answer`);
    this.outlet.receive(frame);
  }

  /** The data channel is gone with all that was under way, and a new one is there. */
  reconnect(): void {
    this.forth.length = this.back.length = 0;
    this.outlet.restart();
    this.inlet.restart();
  }

  /** Everything that can move does. */
  flow(): void {
    for (let moved = true; moved; ) {
      moved = this.send();
      for (; this.forth.length > 0; moved = true) this.deliver();
      for (; this.back.length > 0; moved = true) this.answer();
    }
  }

  #collect(): void {
    for (const frame of this.inlet.replies.splice(0)) this.back.push(encode(frame));
  }
}

export const reliable = (queue: Queue, ordered = true) => new Line(new Outlet(), new Inlet(queue, ordered));

/** A message of that name, with a body that no other has, and the list that its end is noted in. */
export function parcel(name: string, size = 0, progress?: (sent: number) => void): [Parcel, string[]] {
  const ends: string[] = [];
  return [new Parcel(utf8(name.padStart(2)), bodyOf(name, size), () => ends.push("done"), progress), ends];
}

export function bodyOf(name: string, size: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(size);
  Buffer.from(body.buffer).fill(`${name}:`);
  return body;
}

/** Whether two are the same, faster than `toEqual` compares a million bytes. */
export function same(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** As they come out of the codec. */
export const framesOf = (frames: Frame[]): Frame[] => frames.map((frame) => decode(encode(frame)));

export const begin = (number: number, size: number, name = "{}", body = new Uint8Array()): Frame => ({
  type: "begin",
  number,
  size,
  header: utf8(name),
  body,
});
export const more = (number: number, offset: number, body: Uint8Array): Frame => ({
  type: "more",
  number,
  offset,
  body,
});
export const abort = (number: number): Frame => ({ type: "abort", number });
export const taken = (number: number): Frame => ({ type: "taken", number });
export const credit = (total: number): Frame => ({ type: "credit", total });

/** A small reproducible generator, so that a failure can be run again: integers below `most`. */
export function dice(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}
