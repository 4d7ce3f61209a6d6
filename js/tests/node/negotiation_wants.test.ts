/** A kernel's streams: the tab offers an m-line for each that it wants, and says which is for which. */

import { describe, expect, test } from "vitest";
import type { MediaKind, RoutedMessage } from "../../src/protocol";
import { camera, SDP, Side, subscribe, types } from "./sides";

const want = (side: Side, stream: string, kind: MediaKind = "video") =>
  side.input({ is: "wanted", stream, kind });
const unwant = (side: Side, stream: string) => side.input({ is: "unwanted", stream });

function tab(): Side {
  return new Side("tab", "kernel", "kernel");
}

/** The offers among what it says until the kernel has answered all of them. */
function offers(side: Side): Extract<RoutedMessage, { type: "webrtc.offer" }>[] {
  const made: Extract<RoutedMessage, { type: "webrtc.offer" }>[] = [];
  for (;;) {
    side.settle();
    const [offer] = side.take().filter((message) => message.type === "webrtc.offer");
    if (!offer) return made;
    made.push(offer);
    const { epoch = 0 } = offer;
    side.input({
      is: "message",
      message: { type: "webrtc.answer", from: "kernel", epoch, sdp: { type: "answer", sdp: SDP } },
    });
  }
}

const wants = (side: Side) => offers(side).map((offer) => offer.wants);

describe("what a tab wants of a kernel", () => {
  test("it makes the connection, and its offer says which m-line is for which stream", () => {
    const side = tab();
    want(side, "pub-1");
    expect(wants(side)).toEqual([[{ stream: "pub-1", mid: "line0" }]]);
    expect(side.did("create")).toBe(1);
    expect(side.log).toContainEqual({ do: "receive", line: 0, kind: "video" });
  });

  test("the track is known by what the answered offer said", () => {
    const side = tab();
    want(side, "pub-1");
    offers(side);
    expect(side.log).toContainEqual({
      do: "accept-answer",
      sdp: SDP,
      wants: [{ stream: "pub-1", mid: "line0" }],
    });
  });

  test("each further one has an m-line of its own; an offer says all of them", () => {
    const side = tab();
    want(side, "pub-1");
    offers(side);
    want(side, "pub-2");
    want(side, "sound", "audio");
    expect(wants(side).at(-1)).toEqual([
      { stream: "pub-1", mid: "line0" },
      { stream: "pub-2", mid: "line1" },
      { stream: "sound", mid: "line2" },
    ]);
    expect(side.did("create")).toBe(1);
  });

  test("hidden and shown again needs no offer", () => {
    const side = tab();
    want(side, "pub-1");
    offers(side);
    unwant(side, "pub-1");
    expect(types(side.take())).toEqual(["stream.unsubscribe"]);
    want(side, "pub-1");
    expect(types(side.take())).toEqual(["stream.subscribe"]);
    expect(offers(side)).toEqual([]);
  });

  test("the m-line of what is not wanted any more serves the next of its kind", () => {
    const side = tab();
    want(side, "pub-1");
    offers(side);
    unwant(side, "pub-1");
    want(side, "sound", "audio");
    want(side, "pub-2");
    expect(wants(side).at(-1)).toEqual([
      { stream: "pub-2", mid: "line0" },
      { stream: "sound", mid: "line1" },
    ]);
    expect(side.did("receive")).toBe(2);
  });

  test("what is sent and what is wanted go over one connection", () => {
    const side = tab();
    want(side, "pub-1");
    side.input(subscribe(camera));
    const [offer] = offers(side).slice(-1);
    expect(offer?.streams).toEqual([{ ...camera, mid: "0" }]);
    expect(offer?.wants).toEqual([{ stream: "pub-1", mid: "line0" }]);
    expect(side.did("create")).toBe(1);
  });

  test("a connection that died is made anew, with all that is wanted", () => {
    const side = tab();
    want(side, "pub-1");
    want(side, "pub-2");
    offers(side);
    unwant(side, "pub-1");
    side.input({ is: "dead", epoch: side.epoch });
    expect(side.log.at(-1)).toEqual({ do: "retry", attempt: 0 });
    side.input({ is: "retry" });
    expect(wants(side)).toEqual([[{ stream: "pub-2", mid: "line0" }]]);
    expect(side.did("create")).toBe(2);
  });

  test("a kernel that asks for a new connection gets one", () => {
    const side = tab();
    want(side, "pub-1");
    const [first] = offers(side);
    const { epoch = 0 } = first ?? {};
    side.input({
      is: "message",
      message: { type: "webrtc.negotiate", from: "kernel", epoch, restart: true },
    });
    const [second] = offers(side);
    expect(second?.epoch).toBeGreaterThan(epoch);
    expect(second?.wants).toEqual([{ stream: "pub-1", mid: "line0" }]);
  });

  test("of another tab nothing is wanted this way: it is that one which offers", () => {
    const side = new Side("a", "b");
    want(side, camera.id);
    expect(types(side.take())).toEqual(["stream.subscribe"]);
    expect(side.did("create")).toBe(0);
  });
});
