/** The control channel's heartbeat against a channel that answers as long as the test likes. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Beat, Heartbeat } from "../../src/heartbeat";

let heartbeats: Heartbeat[] = [];

function start({ answers = true } = {}) {
  const sent: { t: string; n: number; now?: number }[] = [];
  const channel = {
    readyState: "open",
    answers,
    send(frame: string) {
      const message = JSON.parse(frame);
      sent.push(message);
      if (this.answers && message.t === "ping") {
        setTimeout(() => heartbeat.receive(JSON.stringify({ t: "pong", n: message.n, now: 0 })), 40);
      }
    },
  };
  const dead = vi.fn<() => void>();
  const beat = vi.fn<(beat: Beat) => void>();
  const heartbeat: Heartbeat = new Heartbeat(channel as unknown as RTCDataChannel, dead, beat);
  heartbeats.push(heartbeat);
  return { channel, heartbeat, sent, dead, beat };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  for (const heartbeat of heartbeats) heartbeat.stop();
  heartbeats = [];
  vi.useRealTimers();
});

test("asks every 2 s, and knows the round trip", () => {
  const { sent, beat, dead } = start();
  vi.advanceTimersByTime(10_100);
  expect(sent.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(beat).toHaveBeenCalledTimes(6);
  expect(beat.mock.lastCall?.[0].roundTrip).toBeCloseTo(40, 3);
  expect(dead).not.toHaveBeenCalled();
});

test("is dead, once, when nothing came for 6 s", () => {
  const { channel, dead } = start();
  vi.advanceTimersByTime(10_100);
  channel.answers = false;
  vi.advanceTimersByTime(5_000);
  expect(dead).not.toHaveBeenCalled();
  vi.advanceTimersByTime(3_000);
  expect(dead).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(60_000);
  expect(dead).toHaveBeenCalledOnce();
});

test("the other's pings are a sign of life too, and are answered with the time", () => {
  const { heartbeat, sent, dead } = start({ answers: false });
  for (let second = 0; second < 20; second++) {
    vi.advanceTimersByTime(1_000);
    heartbeat.receive(JSON.stringify({ t: "ping", n: second }));
  }
  expect(dead).not.toHaveBeenCalled();
  const pongs = sent.filter(({ t }) => t === "pong");
  expect(pongs.map(({ n }) => n)).toEqual(Array.from({ length: 20 }, (_, second) => second));
  expect(Math.abs((pongs.at(-1)?.now ?? 0) - (performance.timeOrigin + performance.now()))).toBeLessThan(
    1_000,
  );
});

test("a page that slept gives the other one more round", () => {
  const { channel, dead } = start();
  vi.advanceTimersByTime(4_100);
  channel.answers = false;
  const now = performance.now();
  const clock = vi.spyOn(performance, "now").mockReturnValue(now + 60_000); // the timers stood still
  vi.advanceTimersByTime(2_000);
  expect(dead).not.toHaveBeenCalled();
  clock.mockReturnValue(now + 62_000); // in time again, and still nothing came
  vi.advanceTimersByTime(2_000);
  expect(dead).toHaveBeenCalledOnce();
});

test.each([
  "{",
  "null",
  "[]",
  "7",
  '{"t": "news"}',
  '{"t": "ping"}',
  '{"t": "ping", "n": "1"}',
  "x".repeat(5_000),
])("%.20s is not understood, and harms nothing", (frame) => {
  const { heartbeat, sent } = start();
  const before = sent.length;
  heartbeat.receive(frame);
  heartbeat.receive(new ArrayBuffer(8));
  expect(sent.length).toBe(before);
});
