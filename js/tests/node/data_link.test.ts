/** The data channels of a pair: opened, closed and opened again as both sides expect, and what goes over them. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DataLink, type Port } from "../../src/data/data_link";
import { CHUNK, decode, encode, type Frame, INITIAL_CREDIT } from "../../src/data/frames";
import { Inlet } from "../../src/data/inlet";
import { LossyInlet } from "../../src/data/lossy";
import { Outlet } from "../../src/data/outlet";
import { begin, bodyOf, more, parcel, Queue, same, taken } from "./data_ends";
import { type FakeConnection, fakePair } from "./fake_rtc";

const BIG = 1_000_000;

class TestPort implements Port {
  readonly queue = new Queue();
  readonly outlet: Outlet;
  readonly inlet: Inlet | LossyInlet;

  constructor(
    readonly ordered = true,
    readonly reliable = true,
  ) {
    this.outlet = new Outlet(reliable);
    this.inlet = reliable ? new Inlet(this.queue, ordered) : new LossyInlet(this.queue, ordered);
  }
}

/** One participant's link to the other. */
class End {
  readonly faults: string[] = [];
  readonly link = new DataLink({ fault: (label, why) => this.faults.push(`${label}: ${why}`) });
  readonly ports = new Map<string, TestPort>();

  open(label: string, ordered = true, reliable = true): TestPort {
    const port = new TestPort(ordered, reliable);
    this.ports.set(label, port);
    this.link.open(label, port);
    return port;
  }

  send(label: string, name: string, size = 10): string[] {
    const [message, ends] = parcel(name, size);
    this.ports.get(label)?.outlet.put(message);
    this.link.pump();
    return ends;
  }

  arrived(label: string): string[] {
    return (this.ports.get(label)?.queue.names ?? []).map((name) => name.trim());
  }
}

let one: End;
let other: End;
/** The connections of the two ends. */
let here: FakeConnection;
let there: FakeConnection;

/** Give the two a new connection; the first one opens data channels. */
function connect(): void {
  here?.die();
  there?.die();
  [here, there] = fakePair();
  one.link.attach(here.pc, true);
  other.link.attach(there.pc, false);
}

function disconnect(): void {
  one.link.detach();
  other.link.detach();
  here.die();
  there.die();
}

const pass = (ms = 200) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  one = new End();
  other = new End();
  connect();
});
afterEach(() => {
  one.link.dispose();
  other.link.dispose();
  here.die();
  there.die();
  expect(vi.getTimerCount()).toBe(0); // nothing may stay behind
  vi.useRealTimers();
});

function openBoth(label: string, ordered = true, reliable = true): void {
  one.open(label, ordered, reliable);
  other.open(label, ordered, reliable);
}

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

/** What was sent on the data channel of this label. */
function frames(connection: FakeConnection, label: string): Frame[] {
  return connection.channel(label).sent.map((data) => decode(data));
}

describe("what the other side must not do", () => {
  test.each<[string, Uint8Array<ArrayBuffer> | string, RegExp]>([
    ["text", "hello", /text/],
    ["no frame", new Uint8Array(3), /no frame has 3 bytes/],
    ["a part of nothing", encode(more(7, 0, new Uint8Array(1))), /message 7 goes on/],
    ["a header that is refused", encode(begin(1, 0, "bad")), /it is bad/],
    ["a confirmation of nothing", encode(taken(3)), /has taken message 3/],
  ])("%s costs it this data channel alone, and is told once", async (_, data, why) => {
    openBoth("c/a");
    openBoth("c/b");
    await pass();
    there.channel("c/a").send(data);
    there.channel("c/a").send(data);
    await pass();
    expect(one.faults).toEqual([expect.stringMatching(why)]);
    expect(here.channel("c/a").readyState).toBe("closed");
    other.send("c/b", "m1");
    one.send("c/a", "m2", BIG);
    await pass(1_500);
    other.send("c/a", "m3");
    await pass();
    expect([one.arrived("c/b"), other.arrived("c/a"), one.arrived("c/a")]).toEqual([["m1"], ["m2"], ["m3"]]);
    expect([one.faults.length, other.faults.length]).toEqual([1, 0]);
  });

  test("is noticed by the side that does not open, too, which waits to be offered another", async () => {
    openBoth("c/a");
    await pass();
    here.channel("c/a").send("hello");
    await pass();
    expect(other.faults).toEqual([expect.stringMatching(/^c\/a: .*text/)]);
    await pass(1_500);
    one.send("c/a", "m1");
    await pass();
    expect(other.arrived("c/a")).toEqual(["m1"]);
    expect([here.count("c/a"), there.count("c/a")]).toEqual([2, 2]);
  });

  test("to send, and take nothing of what it is told about that", async () => {
    openBoth("c/a");
    await pass();
    here.pause(true);
    const { queue } = one.ports.get("c/a") as TestPort;
    for (let number = 1; number <= 100_000 && one.faults.length === 0; number++) {
      const data = encode(begin(number, 0, `"${number}"`));
      here.channel("c/a").dispatchEvent(new MessageEvent("message", { data: data.buffer }));
      queue.read();
    }
    expect(one.faults).toEqual([expect.stringMatching(/takes nothing/)]);
    here.pause(false);
  });

  test("again and again makes the waits longer, up to 30 s; a while of peace makes them short again", async () => {
    openBoth("c/a");
    await pass(10);
    const offend = () => {
      const channel = there.channel("c/a");
      if (channel.readyState === "open") channel.send("hello");
    };
    const at: number[] = [];
    for (let ms = 0, count = 1; ms < 200_000; ms += 100) {
      offend();
      await pass(100);
      if (here.count("c/a") > count) at.push(ms / 1000);
      count = here.count("c/a");
    }
    const waits = at.map((time, index) => Math.round(time - (at[index - 1] ?? 0)));
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
    await pass(90_000);
    offend();
    await pass(1_500);
    offend();
    expect(there.channel("c/a").readyState).toBe("open");
  });

  test.each<[string, string, RTCDataChannelInit]>([
    ["of another protocol", "c/a", { ordered: true }],
    ["of a label that nobody has open", "c/z", { protocol: "forge-rtc-nb" }],
    ["without order", "c/a", { protocol: "forge-rtc-nb", ordered: false }],
    ["that sends nothing again", "c/a", { protocol: "forge-rtc-nb", maxRetransmits: 0 }],
    ["that sends only for a while", "c/a", { protocol: "forge-rtc-nb", maxPacketLifeTime: 100 }],
  ])("a data channel %s is closed", async (_, label, options) => {
    other.open("c/a");
    here.createDataChannel(label, options);
    await pass();
    expect(there.channel(label).readyState).toBe("closed");
    expect(other.faults).toEqual([]);
  });

  test("a second data channel of one label is closed, the first goes on", async () => {
    openBoth("c/a");
    await pass();
    const [first] = there.channels;
    here.createDataChannel("c/a", { protocol: "forge-rtc-nb" });
    await pass();
    expect(there.channels.map(({ readyState }) => readyState)).toEqual(["open", "closed"]);
    expect(there.channels[0]).toBe(first);
    other.send("c/a", "m1");
    await pass();
    expect(one.arrived("c/a")).toEqual(["m1"]);
  });

  test("nor may it open one where that is for us to do", async () => {
    one.open("c/a");
    await pass();
    there.createDataChannel("c/a", { protocol: "forge-rtc-nb" });
    await pass(10);
    expect(here.channel("c/a").readyState).toBe("closed");
  });

  test("the control channel is none of these", async () => {
    const event = new Event("datachannel");
    const control = { label: "control", negotiated: true, close: vi.fn() };
    there.dispatchEvent(Object.assign(event, { channel: control }));
    expect(control.close).not.toHaveBeenCalled();
  });
});

describe("a data channel that ends while both have it open", () => {
  test("is opened again after a second, by the side that opens", async () => {
    openBoth("c/a");
    await pass();
    there.channel("c/a").close();
    await pass(900);
    expect(here.count("c/a")).toBe(1);
    other.send("c/a", "m1");
    await pass(300);
    expect(here.count("c/a")).toBe(2);
    expect(one.arrived("c/a")).toEqual(["m1"]);
  });

  test("is not opened again on a connection that is gone, but on the next one at once", async () => {
    openBoth("c/a");
    await pass();
    there.channel("c/a").close();
    await pass();
    disconnect();
    await pass(60_000);
    connect();
    await pass();
    expect(here.count("c/a")).toBe(1);
  });

  test("or cannot be opened, as the other side does not have it yet, comes about in the end", async () => {
    one.open("c/a");
    await pass(2_000);
    other.open("c/a");
    one.send("c/a", "m1");
    await pass(5_000);
    expect(other.arrived("c/a")).toEqual(["m1"]);
    expect(one.faults).toEqual([]);
  });

  test("or that the browser cannot make, is tried again", async () => {
    const create = vi.spyOn(here, "createDataChannel").mockImplementationOnce(() => {
      throw new DOMException("none left", "OperationError");
    });
    openBoth("c/a");
    one.send("c/a", "m1");
    await pass(1_200);
    expect(create).toHaveBeenCalledTimes(2);
    expect(other.arrived("c/a")).toEqual(["m1"]);
  });

  test("or that the browser cannot send on, begins anew", async () => {
    openBoth("c/a");
    await pass();
    vi.spyOn(here.channel("c/a"), "send").mockImplementationOnce(() => {
      throw new DOMException("the buffer is full", "OperationError");
    });
    one.send("c/a", "m1");
    await pass(1_500);
    expect(one.faults).toEqual(["c/a: the buffer is full"]);
    expect(other.arrived("c/a")).toEqual(["m1"]);
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
