/** What a participant may make a tab work on, and when. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Inbox } from "../../src/inbox";
import type { PairMessage } from "../../src/negotiation";

const offer = (epoch: number): PairMessage => ({
  type: "webrtc.offer",
  epoch,
  sdp: { type: "offer", sdp: "v=0" },
});
const candidate = (epoch: number): PairMessage => ({ type: "webrtc.ice_candidate", epoch });
const restart = (epoch: number): PairMessage => ({ type: "webrtc.negotiate", epoch, restart: true });

let got: PairMessage[] = [];
let inbox: Inbox;

beforeEach(() => {
  vi.useFakeTimers();
  got = [];
  inbox = new Inbox((message) => got.push(message));
});
afterEach(() => {
  inbox.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function exhaust(): void {
  for (let epoch = 1; epoch <= 6; epoch++) inbox.put(offer(epoch));
  expect(got.splice(0).length).toBe(6);
}

test("of a flood of offers some are worked on, and the newest is among them", () => {
  for (let epoch = 1; epoch <= 500; epoch++) {
    inbox.put(offer(epoch));
    vi.advanceTimersByTime(20);
  }
  vi.advanceTimersByTime(2_000);
  expect(got.length).toBeLessThanOrEqual(18);
  expect(got.at(-1)).toEqual(offer(500));
});

test("candidates wait behind the offer that they belong to; without one nothing waits", () => {
  exhaust();
  inbox.put(candidate(6));
  expect(got.splice(0)).toEqual([candidate(6)]);
  inbox.put(offer(7));
  inbox.put(candidate(7));
  inbox.put(offer(8));
  inbox.put(candidate(8));
  expect(got).toEqual([]);
  vi.advanceTimersByTime(1_100);
  expect(got).toEqual([offer(8), candidate(7), candidate(8)]);
});

test("requests for new connections are as costly as offers", () => {
  exhaust();
  inbox.put(restart(1));
  inbox.put(offer(7));
  inbox.put(restart(2));
  vi.advanceTimersByTime(2_100);
  expect(got).toEqual([restart(2), offer(7)]);
});

test("what waits is bounded", () => {
  exhaust();
  inbox.put(offer(7));
  for (let i = 0; i < 1_000; i++) inbox.put(candidate(7));
  inbox.put(restart(7));
  vi.advanceTimersByTime(3_000);
  expect(got.length).toBe(129);
});
