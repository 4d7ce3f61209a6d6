/** What the other side must not do on the data channels of a pair, and data channels that end too early. */

import { describe, expect, test, vi } from "vitest";
import { encode } from "../../src/data/frames";
import { begin, more, taken } from "./data_ends";
import { connect, disconnect, here, one, openBoth, other, pass, type TestPort, there } from "./data_pair";

const BIG = 1_000_000;

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

  test("nor open another one at once, so that it cannot do so all the time", async () => {
    openBoth("c/a");
    await pass();
    here.channel("c/a").send("hello");
    await pass(10);
    for (let count = 0; count < 20; count++) {
      const next = here.createDataChannel("c/a", { protocol: "forge-rtc-nb" });
      await pass(10);
      expect(next.readyState).toBe("closed");
    }
    expect(other.faults.length).toBe(1);
    await pass(1_000);
    one.send("c/a", "m1");
    await pass();
    expect(other.arrived("c/a")).toEqual(["m1"]);
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
    ["of another protocol and a label that nobody has open", "c/z", { protocol: "chat" }],
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
