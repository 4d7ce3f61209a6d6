/** The pair's state machine where the two have data for each other: who makes the connection, and makes it again. */

import { describe, expect, test } from "vitest";
import type { Input } from "../../src/negotiation";
import { camera, converge, deliver, Side, subscribe, types } from "./sides";

const needed: Input = { is: "needed", needed: true };
const unneeded: Input = { is: "needed", needed: false };

function both(): [Side, Side] {
  const pair: [Side, Side] = [new Side("a", "b"), new Side("b", "a")];
  for (const side of pair) side.input(needed);
  return pair;
}

describe("between browsers", () => {
  test("the lower id offers, without any stream, and the other waits", () => {
    const [a, b] = both();
    expect([a.negotiation.leads, b.negotiation.leads]).toEqual([true, false]);
    expect(b.log).toEqual([]);
    a.settle();
    const offer = a.take();
    expect(types(offer)).toEqual(["webrtc.offer"]);
    expect(offer[0]).not.toHaveProperty("streams");
    deliver(offer, b);
    expect(types(b.take())).toEqual(["webrtc.answer"]);
  });

  test("one that is there for a stream serves data, too", () => {
    const [a, b] = [new Side("a", "b"), new Side("b", "a")];
    b.input(subscribe(camera));
    converge(a, b);
    for (const side of [a, b]) side.input(needed);
    expect(converge(a, b)).toBe(0);
    expect(a.did("create")).toBe(1);
  });

  test("data and a stream of the other, at once, end in one connection", () => {
    const [a, b] = both();
    b.input(subscribe(camera));
    converge(a, b);
    expect([a.live, b.live]).toEqual([1000, 1000]);
    expect(b.carries(camera)).toBe(true);
  });

  test("the lower id makes a dead one anew, after a wait that grows", () => {
    const [a, b] = both();
    converge(a, b);
    a.input({ is: "dead", epoch: 1000 });
    expect(a.log.at(-1)).toEqual({ do: "retry", attempt: 0 });
    a.input({ is: "retry" });
    converge(a, b);
    expect([a.live, b.live]).toEqual([1001, 1001]);
  });

  test("the other asks for a new one when its own died", () => {
    const [a, b] = both();
    converge(a, b);
    b.input({ is: "open", epoch: 1000 });
    b.input({ is: "dead", epoch: 1000 });
    const asked = b.take();
    expect(asked).toMatchObject([{ type: "webrtc.negotiate", epoch: 1000, restart: true }]);
    deliver(asked, a);
    converge(a, b);
    expect([a.live, b.live]).toEqual([1001, 1001]);
  });

  test("a request while the wait is on is an end of the wait", () => {
    const [a, b] = both();
    converge(a, b);
    for (const side of [a, b]) side.input({ is: "dead", epoch: 1000 });
    converge(a, b);
    expect([a.live, b.live]).toEqual([1001, 1001]);
  });

  test("where it is not needed any more nobody makes it anew", () => {
    const [a, b] = both();
    converge(a, b);
    for (const side of [a, b]) {
      side.input(unneeded);
      side.input({ is: "dead", epoch: 1000 });
      side.input({ is: "retry" });
    }
    expect([a.live, b.live, ...a.take(), ...b.take()]).toEqual([null, null]);
  });
});

describe("to a kernel", () => {
  test.each(["a", "z"])("the tab offers, whichever id is higher (%s)", (me) => {
    const tab = new Side(me, "k", "kernel");
    tab.input(needed);
    tab.settle();
    expect(tab.negotiation.leads).toBe(true);
    expect(types(tab.take())).toEqual(["webrtc.offer"]);
  });

  test("a kernel that asks for a restart gets one, while data is needed", () => {
    const tab = new Side("z", "k", "kernel");
    const restart: Input = { is: "message", message: { type: "webrtc.negotiate", from: "k", restart: true } };
    tab.input(needed);
    tab.settle();
    tab.input(restart);
    expect(tab.live).toBe(1001);
    tab.input(unneeded);
    tab.input(restart);
    expect(tab.live).toBeNull();
  });
});
