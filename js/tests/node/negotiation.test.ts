/** The pair's state machine without any WebRTC: glare, epochs, subscriptions. */

import { describe, expect, test } from "vitest";
import { type Action, type Input, Negotiation, type PairMessage } from "../../src/negotiation";
import type { Kind, RoutedMessage, Stream } from "../../src/protocol";

const camera: Stream = { id: "camera-1", name: "camera", kind: "video", source: "camera" };
const camera2: Stream = { id: "camera-2", name: "camera", kind: "video", source: "camera" };
const microphone: Stream = { id: "microphone-1", name: "microphone", kind: "audio", source: "microphone" };
const SDP = "v=0\r\n";

/** A negotiation whose connection does at once what it is told, as far as a test lets it. */
class Side {
  readonly negotiation: Negotiation;
  readonly log: Action[] = [];
  readonly outbox: RoutedMessage[] = [];
  /** The connection's work that is not done yet. */
  readonly work: Action[] = [];
  epoch = 0;
  slots = 0;

  constructor(me: string, other: string, kind: Kind = "browser", now = 1000) {
    this.negotiation = new Negotiation(me, other, kind, () => now);
  }

  input(input: Input): void {
    for (const action of this.negotiation.handle(input)) {
      this.log.push(action);
      if (action.do === "send") this.outbox.push(action.message);
      else if (action.do === "create") this.epoch = action.epoch;
      else if (action.do === "close") this.work.length = 0;
      else this.work.push(action);
      if (action.do === "create") this.slots = 0;
      if (action.do === "add") this.slots += 1;
    }
  }

  /** Let the connection finish what it was told. */
  settle(): void {
    for (let action = this.work.shift(); action; action = this.work.shift()) {
      const { epoch } = this;
      const mids = new Map(Array.from({ length: this.slots }, (_, slot) => [slot, String(slot)]));
      if (action.do === "offer") this.input({ is: "offered", epoch, sdp: SDP, mids });
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

function deliver(messages: RoutedMessage[], to: Side): void {
  for (const message of messages) {
    if (message.type === "stream.subscribe" || message.type === "stream.unsubscribe") continue;
    to.input({ is: "message", message: message as PairMessage });
    to.settle();
  }
}

/** Run both to the end; returns how many messages it took. */
function converge(a: Side, b: Side): number {
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

const types = (messages: RoutedMessage[]) => messages.map(({ type }) => type);
const subscribe = (stream: Stream): Input => ({ is: "subscribed", stream });

describe("one side sends", () => {
  test("nothing is connected before somebody subscribes", () => {
    const a = new Side("a", "b");
    a.input({ is: "resync" });
    expect(a.log).toEqual([]);
  });

  test("a subscription makes a connection, and an offer that says which m-line carries what", () => {
    const a = new Side("a", "b");
    a.input(subscribe(camera));
    a.settle();
    expect(a.take()).toEqual([
      {
        type: "webrtc.offer",
        to: "b",
        epoch: 1000,
        sdp: { type: "offer", sdp: SDP },
        streams: [{ ...camera, mid: "0" }],
      },
    ]);
  });

  test("streams subscribed at the same time go into few offers", () => {
    const [a, b] = [new Side("a", "b"), new Side("b", "a")];
    a.input(subscribe(camera));
    a.input(subscribe(microphone));
    expect(converge(a, b)).toBeLessThanOrEqual(4);
    expect(a.did("add")).toBe(2);
    expect(a.did("create")).toBe(1);
  });

  test("candidates wait for the description that they belong to", () => {
    const a = new Side("a", "b");
    a.input(subscribe(camera));
    a.input({ is: "candidate", epoch: 1000, candidate: { candidate: "" } });
    expect(a.take()).toEqual([]);
    a.settle();
    expect(types(a.take())).toEqual(["webrtc.offer", "webrtc.ice_candidate"]);
  });

  test("unsubscribing and subscribing again needs no offer", () => {
    const [a, b] = [new Side("a", "b"), new Side("b", "a")];
    a.input(subscribe(camera));
    converge(a, b);
    a.input({ is: "unsubscribed", stream: camera.id });
    a.input(subscribe(camera));
    expect(converge(a, b)).toBe(0);
    expect(a.log.filter((action) => action.do === "track")).toEqual([
      { do: "track", slot: 0, stream: null },
      { do: "track", slot: 0, stream: camera.id },
    ]);
  });

  test("the slot of an ended stream serves the next of its kind, with an offer that says so", () => {
    const [a, b] = [new Side("a", "b"), new Side("b", "a")];
    a.input(subscribe(camera));
    converge(a, b);
    a.input({ is: "ended", stream: camera.id });
    a.input(subscribe(microphone)); // of another kind: it gets a slot of its own
    converge(a, b);
    a.input(subscribe(camera2));
    a.settle();
    const [offer] = a.take();
    const streams = [
      { ...camera2, mid: "0" },
      { ...microphone, mid: "1" },
    ];
    expect(offer).toMatchObject({ type: "webrtc.offer", streams });
    expect(a.did("add")).toBe(2);
  });

  test("an answer of another epoch, or nobody asked for, is ignored", () => {
    const a = new Side("a", "b");
    const answer = (epoch: number): Input => ({
      is: "message",
      message: { type: "webrtc.answer", from: "b", epoch, sdp: { type: "answer", sdp: SDP } },
    });
    a.input(answer(1000));
    a.input(subscribe(camera));
    a.input(answer(1000)); // before there is an offer
    a.settle();
    a.input(answer(999));
    expect(a.did("accept-answer")).toBe(0);
    a.input(answer(1000));
    a.input(answer(1000));
    expect(a.did("accept-answer")).toBe(1);
  });
});

describe("glare", () => {
  test.each([
    ["the same epoch", 1000, 1000],
    ["a lower epoch on the polite side", 1000, 900],
    ["a higher epoch on the polite side", 900, 1000],
  ])("of first offers, %s: the impolite side's connection stands", (_, impoliteAt, politeAt) => {
    const impolite = new Side("a", "b", "browser", impoliteAt);
    const polite = new Side("b", "a", "browser", politeAt);
    impolite.input(subscribe(camera));
    polite.input(subscribe(microphone));
    converge(impolite, polite);
    expect(impolite.epoch).toBe(polite.epoch);
    expect(impolite.epoch).toBe(impoliteAt);
    expect(impolite.did("create")).toBe(1);
    // Both directions were negotiated in the end.
    expect(impolite.did("accept-offer")).toBe(1);
    expect(polite.did("accept-offer")).toBe(1);
  });

  test("of later offers: the polite side gives way and offers again", () => {
    const [a, b] = [new Side("a", "b"), new Side("b", "a")];
    a.input(subscribe(camera));
    converge(a, b);
    a.input(subscribe(microphone));
    b.input(subscribe(camera2));
    converge(a, b);
    expect(a.did("create") + b.did("create")).toBe(2);
    expect(b.did("offer")).toBe(2);
    expect(a.did("accept-offer")).toBe(1);
  });

  test("an offer that was made while the other's came in is not sent", () => {
    const polite = new Side("b", "a");
    polite.input(subscribe(camera)); // its offer is being made
    polite.input({
      is: "message",
      message: { type: "webrtc.offer", from: "a", epoch: 1000, sdp: { type: "offer", sdp: SDP } },
    });
    polite.input({ is: "offered", epoch: 1000, sdp: SDP, mids: new Map() });
    expect(polite.take()).toEqual([]);
  });

  test("an offer that comes while the answer to ours is applied is answered afterwards", () => {
    const [a, b] = [new Side("a", "b"), new Side("b", "a")];
    a.input(subscribe(camera));
    a.settle();
    deliver(a.take(), b);
    b.input(subscribe(camera2));
    b.settle();
    for (const message of b.take()) a.input({ is: "message", message: message as PairMessage });
    expect(a.work.map((action) => action.do)).toEqual(["accept-answer", "accept-offer"]);
    a.settle();
    expect(types(a.take())).toEqual(["webrtc.answer"]);
  });
});

describe("epochs", () => {
  const offer = (epoch: number): Input => ({
    is: "message",
    message: { type: "webrtc.offer", from: "b", epoch, sdp: { type: "offer", sdp: SDP } },
  });

  function connected(): [Side, Side] {
    const pair: [Side, Side] = [new Side("a", "b"), new Side("b", "a")];
    pair[0].input(subscribe(camera));
    converge(...pair);
    return pair;
  }

  test("a newer offer replaces the connection, and what we send goes over the new one", () => {
    const [a] = connected();
    a.input(offer(2000));
    a.settle();
    expect(a.epoch).toBe(2000);
    expect(types(a.take())).toEqual(["webrtc.answer", "webrtc.offer"]);
    expect(a.did("add")).toBe(2);
  });

  test("an older offer is ignored, also once the connection is gone", () => {
    const [a] = connected();
    a.input(offer(500));
    a.input({ is: "unsubscribed", stream: camera.id });
    a.input({ is: "dead", epoch: 1000 });
    a.input(offer(1000));
    expect(a.did("accept-offer")).toBe(0);
  });

  test("the sender rebuilds a dead connection after a wait that grows, with a higher epoch", () => {
    const [a] = connected();
    a.input({ is: "dead", epoch: 1000 });
    expect(a.log.at(-1)).toEqual({ do: "retry", attempt: 0 });
    a.input({ is: "retry" });
    expect(a.epoch).toBe(1001);
    a.input({ is: "dead", epoch: 1000 }); // an old one cannot die twice
    expect(a.epoch).toBe(1001);
    a.input({ is: "dead", epoch: 1001 });
    expect(a.log.at(-1)).toEqual({ do: "retry", attempt: 1 });
    a.input({ is: "retry" });
    a.input({ is: "open", epoch: 1002 });
    a.input({ is: "dead", epoch: 1002 });
    expect(a.log.at(-1)).toEqual({ do: "retry", attempt: 0 });
  });

  test("the receiver of a dead connection asks the sender for a new one", () => {
    const [a, b] = [new Side("a", "b"), new Side("b", "a")];
    b.input({ is: "wanted", stream: camera.id });
    a.input(subscribe(camera));
    converge(a, b);
    b.input({ is: "dead", epoch: 1000 });
    const asked = b.take();
    expect(asked).toMatchObject([{ type: "webrtc.negotiate", epoch: 1000, restart: true }]);
    deliver(asked, a);
    converge(a, b);
    expect([a.epoch, b.epoch]).toEqual([1001, 1001]);
  });

  test("a request about an older connection does not disturb the new one", () => {
    const [a] = connected();
    a.input({ is: "message", message: { type: "webrtc.negotiate", from: "b", epoch: 999, restart: true } });
    expect(a.did("close")).toBe(0);
  });
});

describe("to a kernel", () => {
  test("a kernel's offer is ignored: the browser always offers", () => {
    const a = new Side("a", "k", "kernel");
    a.input({
      is: "message",
      message: { type: "webrtc.offer", from: "k", epoch: 5000, sdp: { type: "offer", sdp: SDP } },
    });
    expect(a.log).toEqual([]);
  });

  test("a kernel that asks for a restart gets a new connection with what it is subscribed to", () => {
    const a = new Side("a", "k", "kernel");
    a.input(subscribe(camera));
    a.settle();
    a.take();
    a.input({ is: "message", message: { type: "webrtc.negotiate", from: "k", restart: true } });
    a.settle();
    expect(a.epoch).toBe(1001);
    expect(a.take()).toMatchObject([{ type: "webrtc.offer", streams: [{ id: camera.id }] }]);
  });
});

describe("when signaling may have lost messages", () => {
  test("subscriptions and an unanswered offer are sent again", () => {
    const a = new Side("a", "b");
    a.input({ is: "wanted", stream: "camera-9" });
    a.input(subscribe(camera));
    a.settle();
    const before = a.take();
    a.input({ is: "resync" });
    expect(a.take()).toEqual(before);
  });

  test("what nobody wants any more is not asked for again", () => {
    const a = new Side("a", "b");
    a.input({ is: "wanted", stream: "camera-9" });
    a.input({ is: "unwanted", stream: "camera-9" });
    a.input({ is: "unwanted", stream: "camera-9" });
    a.input({ is: "resync" });
    expect(types(a.take())).toEqual(["stream.subscribe", "stream.unsubscribe"]);
  });
});

describe("any order of events", () => {
  /** A small reproducible generator, so that a failure can be run again. */
  function random(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state * 1664525 + 1013904223) % 2 ** 32;
      return state / 2 ** 32;
    };
  }

  /** Forty steps of whatever may happen, in whatever order; some messages stay under way. */
  function stir(sides: [Side, Side], queues: [RoutedMessage[], RoutedMessage[]], next: () => number): void {
    for (let step = 0; step < 40; step++) {
      const which = next() < 0.5 ? 0 : 1;
      const side = sides[which];
      happen(side, [camera, microphone, camera2][Math.floor(next() * 3)] ?? camera, next());
      queues[which].push(...side.take());
      if (next() > 0.5) continue;
      const message = queues[which].shift();
      if (message) sides[1 - which]?.input({ is: "message", message: message as PairMessage });
    }
  }

  function happen(side: Side, stream: Stream, choice: number): void {
    if (choice < 0.25) side.input(subscribe(stream));
    else if (choice < 0.35) side.input({ is: "unsubscribed", stream: stream.id });
    else if (choice < 0.42) side.input({ is: "ended", stream: stream.id });
    else if (choice < 0.45) side.input({ is: "dead", epoch: side.epoch });
    else if (choice < 0.5) side.input({ is: "retry" });
    else if (choice < 0.75) side.settle();
  }

  function finish(sides: [Side, Side], queues: [RoutedMessage[], RoutedMessage[]]): void {
    for (const side of sides) side.input(subscribe(camera)); // both have something to send in the end
    for (const which of [0, 1] as const) {
      for (const message of queues[which])
        sides[1 - which]?.input({ is: "message", message: message as PairMessage });
    }
    for (const side of sides) side.input({ is: "retry" });
    converge(...sides);
    // Connections of different epochs never open: the one that is behind runs into its timeout.
    for (let round = 0; round < 3 && sides[0].epoch !== sides[1].epoch; round++) {
      const behind = sides[0].epoch < sides[1].epoch ? sides[0] : sides[1];
      behind.input({ is: "dead", epoch: behind.epoch });
      behind.input({ is: "retry" });
      converge(...sides);
    }
  }

  test("ends with both in agreement, and both sending", () => {
    for (let seed = 1; seed <= 500; seed++) {
      const sides: [Side, Side] = [
        new Side("a", "b", "browser", 1000),
        new Side("b", "a", "browser", 1000 + (seed % 3)),
      ];
      const queues: [RoutedMessage[], RoutedMessage[]] = [[], []];
      stir(sides, queues, random(seed));
      finish(sides, queues);
      expect(sides[0].epoch, `seed ${seed}`).toBe(sides[1].epoch);
      for (const side of sides) expect(side.carries(camera), `seed ${seed}`).toBe(true);
    }
  });
});
