/** The pair's state machine without any WebRTC: glare, epochs, subscriptions. */

import { describe, expect, test } from "vitest";
import type { Input, PairMessage } from "../../src/negotiation";
import { camera, camera2, converge, deliver, microphone, SDP, Side, subscribe, types } from "./sides";

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
    polite.input({ is: "offered", epoch: 1000, sdp: SDP, mids: new Map(), lines: new Map() });
    expect(polite.take()).toEqual([]);
  });

  test("of offers that come while one is answered the newest is taken, and it alone is answered", () => {
    const a = new Side("a", "b");
    for (let i = 1; i <= 50; i++) {
      const sdp = { type: "offer" as const, sdp: `v=0 ${i}` };
      a.input({ is: "message", message: { type: "webrtc.offer", from: "b", epoch: 2000, sdp } });
    }
    a.input(subscribe(camera));
    a.settle();
    const taken = a.log.flatMap((action) => (action.do === "accept-offer" ? [action.sdp] : []));
    expect(taken).toEqual(["v=0 1", "v=0 50"]);
    expect(types(a.take())).toEqual(["webrtc.answer", "webrtc.offer"]);
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

  test("where it dies before it opens, it asks again after a wait that grows", () => {
    const b = new Side("b", "a");
    b.input({ is: "wanted", stream: camera.id });
    for (let epoch = 1; epoch <= 3; epoch++) {
      b.input(offer(epoch));
      b.take();
      b.input({ is: "dead", epoch });
    }
    expect(b.take()).toEqual([]);
    expect(b.log.filter((action) => action.do === "retry").map(({ attempt }) => attempt)).toEqual([0, 1]);
    b.input({ is: "retry" });
    expect(b.take()).toMatchObject([{ type: "webrtc.negotiate", epoch: 3, restart: true }]);
    b.input({ is: "unwanted", stream: camera.id });
    b.take();
    b.input({ is: "retry" });
    expect(b.take()).toEqual([]);
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

  test("so are candidates, until the connection is open", () => {
    const a = new Side("a", "b");
    const candidate = { candidate: "" };
    a.input(subscribe(camera));
    a.input({ is: "candidate", epoch: 1000, candidate });
    a.settle();
    a.input({ is: "candidate", epoch: 1000, candidate });
    const before = a.take();
    expect(types(before)).toEqual(["webrtc.offer", "webrtc.ice_candidate", "webrtc.ice_candidate"]);
    a.input({ is: "resync" });
    expect(a.take()).toEqual(before);
    a.input({ is: "open", epoch: 1000 });
    a.input({ is: "resync" });
    expect(types(a.take())).toEqual(["webrtc.offer"]);
  });

  test("an answer is sent again once, if it is known to be lost", () => {
    const [a, b] = [new Side("a", "b"), new Side("b", "a")];
    a.input(subscribe(camera));
    a.settle();
    deliver(a.take(), b);
    const lost = b.take();
    b.input({ is: "resync" });
    expect(b.take()).toEqual([]);
    b.input({ is: "unanswered" });
    b.input({ is: "resync" });
    expect(b.take()).toEqual(lost);
    b.input({ is: "resync" });
    expect(b.take()).toEqual([]);
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
