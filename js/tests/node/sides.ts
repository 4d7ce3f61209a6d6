/** Two ends of a pair without any WebRTC, for the tests of its state machine. */

import { type Action, type Input, Negotiation, type PairMessage } from "../../src/negotiation";
import type { Kind, RoutedMessage, Stream } from "../../src/protocol";

export const camera: Stream = { id: "camera-1", name: "camera", kind: "video", source: "camera" };
export const camera2: Stream = { id: "camera-2", name: "camera", kind: "video", source: "camera" };
export const microphone: Stream = {
  id: "microphone-1",
  name: "microphone",
  kind: "audio",
  source: "microphone",
};
export const SDP = "v=0\r\n";

/** A negotiation whose connection does at once what it is told, as far as a test lets it. */
export class Side {
  readonly negotiation: Negotiation;
  readonly log: Action[] = [];
  readonly outbox: RoutedMessage[] = [];
  /** The connection's work that is not done yet. */
  readonly work: Action[] = [];
  /** The newest connection's epoch, and that of the present one, where there is one. */
  epoch = 0;
  live: number | null = null;
  slots = 0;
  /** For a kernel's streams. */
  lines = 0;

  constructor(me: string, other: string, kind: Kind = "browser", now = 1000) {
    this.negotiation = new Negotiation(me, other, kind, () => now);
  }

  input(input: Input): void {
    for (const action of this.negotiation.handle(input)) {
      this.log.push(action);
      if (action.do === "send") this.outbox.push(action.message);
      else if (action.do === "create") this.epoch = this.live = action.epoch;
      else if (action.do === "close") this.#close();
      else this.work.push(action);
      if (action.do === "create") this.slots = this.lines = 0;
      if (action.do === "receive") this.lines += 1;
      if (action.do === "add") this.slots += 1;
    }
  }

  #close(): void {
    this.work.length = 0;
    this.live = null;
  }

  /** Let the connection finish what it was told. */
  settle(): void {
    for (let action = this.work.shift(); action; action = this.work.shift()) {
      const { epoch } = this;
      const mids = numbered(this.slots, "");
      const lines = numbered(this.lines, "line");
      if (action.do === "offer") this.input({ is: "offered", epoch, sdp: SDP, mids, lines });
      if (action.do === "accept-offer") this.input({ is: "answered", epoch, sdp: SDP });
      if (action.do === "accept-answer") this.input({ is: "settled", epoch });
    }
  }

  /** True if the present connection has a slot for the stream. */
  carries(stream: Stream): boolean {
    const since = this.log.findLastIndex((action) => action.do === "create");
    return this.log
      .slice(since)
      .some((action) => (action.do === "add" || action.do === "track") && action.stream === stream.id);
  }

  take(): RoutedMessage[] {
    return this.outbox.splice(0);
  }

  did(what: Action["do"]): number {
    return this.log.filter((action) => action.do === what).length;
  }
}

const numbered = (count: number, prefix: string) =>
  new Map(Array.from({ length: count }, (_, index) => [index, `${prefix}${index}`]));

export function deliver(messages: RoutedMessage[], to: Side): void {
  for (const message of messages) {
    if (message.type === "stream.subscribe" || message.type === "stream.unsubscribe") continue;
    to.input({ is: "message", message: message as PairMessage });
    to.settle();
  }
}

/** Run both to the end; returns how many messages it took. */
export function converge(a: Side, b: Side): number {
  let count = 0;
  for (let round = 0; round < 20; round++) {
    a.settle();
    b.settle();
    const [fromA, fromB] = [a.take(), b.take()];
    if (fromA.length + fromB.length === 0) return count;
    count += fromA.length + fromB.length;
    deliver(fromA, b);
    deliver(fromB, a);
  }
  throw new Error("no end");
}

export const types = (messages: RoutedMessage[]) => messages.map(({ type }) => type);
export const subscribe = (stream: Stream): Input => ({ is: "subscribed", stream });
