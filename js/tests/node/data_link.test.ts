/** The data channels of a pair: opened and closed as both sides expect, and what goes over them. */

import { describe, expect, test } from "vitest";
import { CHUNK, INITIAL_CREDIT } from "../../src/data/frames";
import { bodyOf, same } from "./data_ends";
import {
  connect,
  disconnect,
  frames,
  here,
  one,
  openBoth,
  other,
  pass,
  type TestPort,
  there,
} from "./data_pair";
import { fakePair } from "./fake_rtc";

const BIG = 1_000_000;

describe("a data channel", () => {
  test("carries messages both ways", async () => {
    openBoth("c/a");
    const ends = [one.send("c/a", "m1", BIG), other.send("c/a", "m2", BIG)];
    await pass();
    expect([one.arrived("c/a"), other.arrived("c/a")]).toEqual([["m2"], ["m1"]]);
    expect(ends).toEqual([["done"], ["done"]]);
    expect([...one.faults, ...other.faults]).toEqual([]);
  });

  test.each<[boolean, boolean, RTCDataChannelInit]>([
    [true, true, { protocol: "forge-rtc-nb", ordered: true }],
    [false, true, { protocol: "forge-rtc-nb", ordered: false }],
    [true, false, { protocol: "forge-rtc-nb", ordered: true, maxRetransmits: 0 }],
    [false, false, { protocol: "forge-rtc-nb", ordered: false, maxRetransmits: 0 }],
  ])("has the options that both expect (ordered %s, reliable %s)", async (ordered, reliable, options) => {
    openBoth("c/a", ordered, reliable);
    one.send("c/a", "m1");
    await pass();
    expect(here.channel("c/a")).toMatchObject({ options, binaryType: "arraybuffer" });
    expect(there.channel("c/a")).toMatchObject({ binaryType: "arraybuffer" });
    expect(other.arrived("c/a")).toEqual(["m1"]);
  });

  test("is opened by one side only, whatever was first: the port or the connection", async () => {
    disconnect();
    openBoth("c/a");
    connect();
    openBoth("c/b");
    await pass();
    openBoth("c/c");
    for (const label of ["c/a", "c/b", "c/c"]) other.send(label, "m1");
    await pass();
    for (const label of ["c/a", "c/b", "c/c"]) {
      expect([here.count(label), there.count(label)]).toEqual([1, 1]);
      expect(one.arrived(label)).toEqual(["m1"]);
    }
  });

  test("is closed when one has it open no more, and what waits is given up", async () => {
    openBoth("c/a");
    await pass();
    there.pause(true); // no answers
    const ends = [one.send("c/a", "m1"), one.send("c/a", "m2", BIG)];
    await pass();
    one.link.close("c/a");
    other.link.close("c/a");
    there.pause(false);
    expect(ends).toEqual([["done"], ["done"]]);
    await pass(60_000);
    expect([here.channel("c/a").readyState, there.channel("c/a").readyState]).toEqual(["closed", "closed"]);
    expect([here.count("c/a"), there.count("c/a")]).toEqual([1, 1]);
  });

  test("is opened anew with the other port where one is opened twice", async () => {
    openBoth("c/a");
    await pass();
    other.open("c/a");
    one.open("c/a");
    await pass(5_000);
    one.send("c/a", "m1");
    await pass();
    expect(other.arrived("c/a")).toEqual(["m1"]);
  });
});

describe("another connection", () => {
  test("takes over where the last one ended: every message arrives once", async () => {
    openBoth("c/a");
    const ends = ["m1", "m2", "m3"].map((name) => one.send("c/a", name, BIG));
    for (let count = 0; count < 8; count++) {
      await pass(6);
      disconnect();
      one.send("c/a", `n${count}`);
      connect();
    }
    await pass();
    expect(other.arrived("c/a")).toEqual(["m1", "m2", "m3", ...[..."01234567"].map((digit) => `n${digit}`)]);
    expect(ends).toEqual([["done"], ["done"], ["done"]]);
    const { messages, count } = (other.ports.get("c/a") as TestPort).queue;
    expect(messages.slice(0, 3).every(({ name, body }) => same(body, bodyOf(name, BIG)))).toBe(true);
    expect(count).toBe(messages.length);
  });

  test("what was half received takes no room while there is none", async () => {
    openBoth("c/a");
    one.send("c/a", "m1", BIG);
    await pass(8);
    const { queue } = other.ports.get("c/a") as TestPort;
    expect(queue.count).toBe(1);
    disconnect();
    expect(queue.count).toBe(0);
  });

  test("events of the last one are of no more use", async () => {
    openBoth("c/a");
    await pass();
    const old = there;
    const channel = there.channel("c/a");
    connect();
    await pass();
    channel.dispatchEvent(new MessageEvent("message", { data: "text" }));
    channel.dispatchEvent(new Event("close"));
    old.offered(channel);
    await pass();
    expect(other.faults).toEqual([]);
    expect(there.count("c/a")).toBe(1);
  });
});

describe("sending", () => {
  test("keeps the buffers short, and takes turns", async () => {
    for (const label of ["c/a", "c/b", "c/c"]) openBoth(label);
    one.send("c/a", "m1", 4 * BIG);
    one.send("c/b", "m1", 4 * BIG);
    await pass(20);
    one.send("c/c", "m1");
    await pass(20);
    expect(other.arrived("c/c")).toEqual(["m1"]);
    const progress = ["c/a", "c/b"].map((label) => here.channel(label).sent.length);
    expect(Math.min(...progress)).toBeGreaterThan(5);
    expect(Math.abs((progress[0] ?? 0) - (progress[1] ?? 0))).toBeLessThanOrEqual(2);
    await pass();
    expect([other.arrived("c/a"), other.arrived("c/b")]).toEqual([["m1"], ["m1"]]);
    expect(here.mostBuffered).toBeGreaterThan(CHUNK);
    expect(here.mostBuffered).toBeLessThanOrEqual(2 * CHUNK);
  });

  test("what is said about messages that came goes before data, and waits for no buffer", async () => {
    openBoth("c/a");
    openBoth("c/b");
    await pass();
    here.pause(true);
    one.send("c/a", "m1", BIG);
    expect(here.channel("c/a").bufferedAmount).toBe(2 * CHUNK);
    other.send("c/b", "m1", INITIAL_CREDIT * 2);
    await pass();
    expect(one.arrived("c/b")).toEqual([]); // no credit arrived yet
    expect(frames(here, "c/b")).toMatchObject([{ type: "credit" }]);
    here.pause(false);
    await pass();
    expect([one.arrived("c/b"), other.arrived("c/a")]).toEqual([["m1"], ["m1"]]);
  });

  test("goes on when a data channel is closed whose buffer was full", async () => {
    openBoth("c/a");
    openBoth("c/b");
    await pass();
    here.pause(true);
    one.send("c/a", "m1", BIG);
    one.send("c/b", "m1");
    expect(frames(here, "c/b")).toEqual([]);
    one.link.close("c/a");
    expect(frames(here, "c/b")).toMatchObject([{ type: "begin" }]);
    here.pause(false);
  });

  test("goes on when the other side closes a data channel whose buffer was full", async () => {
    openBoth("c/a");
    openBoth("c/b");
    await pass();
    here.pause(true);
    one.send("c/a", "m1", BIG);
    one.send("c/b", "m1");
    there.channel("c/a").close();
    await pass();
    expect(frames(here, "c/b")).toMatchObject([{ type: "begin" }]);
    here.pause(false);
  });

  test("of a port that has the participant's room again goes on", async () => {
    openBoth("c/a");
    const { queue } = other.ports.get("c/a") as TestPort;
    const ends = Array.from({ length: 70 }, (_, number) => one.send("c/a", `m${number}`));
    await pass();
    expect(queue.names.length).toBe(64);
    while (queue.read());
    other.link.advance("c/a");
    await pass();
    expect(queue.names.length).toBe(70);
    expect(ends.every((end) => end.length === 1)).toBe(true);
  });
});

test("whoever left gets nothing any more, and nobody waits for them", async () => {
  openBoth("c/a");
  const ends = one.send("c/a", "m1", BIG);
  await pass(5);
  one.link.dispose();
  one.link.dispose();
  expect(ends).toEqual(["done"]);
  one.open("c/b");
  const [next] = fakePair();
  one.link.attach(next.pc, true);
  await pass();
  expect(next.channels).toEqual([]);
  expect(here.count("c/b")).toBe(0);
});

test("where frames get lost, what arrives is whole and newer each time", async () => {
  openBoth("c/a", false, false);
  let count = 0;
  here.loses = () => ++count % 5 === 0;
  for (let number = 10; number < 60; number++) one.send("c/a", `m${number}`, 100_000);
  await pass(1_000);
  const { messages } = (other.ports.get("c/a") as TestPort).queue;
  const names = messages.map(({ name }) => name);
  expect(names.length).toBeGreaterThan(10);
  expect(names.length).toBeLessThan(50);
  expect(names).toEqual([...names].sort());
  expect(messages.every(({ name, body }) => same(body, bodyOf(name, 100_000)))).toBe(true);
  expect(other.faults).toEqual([]);
});
