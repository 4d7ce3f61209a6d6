/** Data channels that are there before the news that somebody has opened the channel: kept for a while, within bounds. */

import { describe, expect, test } from "vitest";
import { encode, INITIAL_CREDIT, MESSAGE_COST } from "../../src/data/frames";
import { begin, more } from "./data_ends";
import { connect, here, one, other, pass, there } from "./data_pair";

const OPTIONS = { protocol: "forge-rtc-nb" };

/** The other side opens a data channel that nobody expects, and sends. */
async function offer(
  label: string,
  messages: (Uint8Array<ArrayBuffer> | string)[] = [],
  options = {},
): Promise<void> {
  here.createDataChannel(label, { ...OPTIONS, ...options });
  await pass(5);
  for (const message of messages) here.channel(label).send(message);
  await pass(messages.length + 5);
}

const state = (label: string) => there.channel(label).readyState;
const bytes = (count: number) => encode(more(1, 0, new Uint8Array(count - 16)));

describe("a data channel that nobody expects yet", () => {
  test("is kept with what came on it, and goes on when somebody does", async () => {
    one.open("c/a");
    const first = one.send("c/a", "m1", 2 * INITIAL_CREDIT);
    await pass();
    expect(state("c/a")).toBe("open");
    other.open("c/a");
    await pass();
    one.send("c/a", "m2");
    other.send("c/a", "m3");
    await pass();
    expect([other.arrived("c/a"), one.arrived("c/a")]).toEqual([["m1", "m2"], ["m3"]]);
    expect([first, here.count("c/a")]).toEqual([["done"], 1]);
    await pass(10_000);
    expect([state("c/a"), ...other.faults]).toEqual(["open"]);
  });

  test("is kept with all that the first credit allows", async () => {
    one.open("c/a");
    const names = Array.from({ length: INITIAL_CREDIT / MESSAGE_COST }, (_, number) => `m${number}`);
    for (const name of names) one.send("c/a", name, 0);
    await pass(1_000);
    const { queue } = other.open("c/a");
    for (let read = true; read; ) {
      read = queue.read();
      other.link.advance("c/a");
      await pass(5);
    }
    expect(other.arrived("c/a")).toEqual(names);
    expect(other.faults).toEqual([]);
  });

  test("is closed after five seconds", async () => {
    await offer("c/a");
    await pass(4_900);
    expect(state("c/a")).toBe("open");
    await pass(200);
    expect(state("c/a")).toBe("closed");
    other.open("c/a");
    await offer("c/a");
    expect(state("c/a")).toBe("open");
  });

  test("is closed when it turns out to have other options", async () => {
    await offer("c/a", [], { ordered: false });
    other.open("c/a");
    await pass();
    expect(state("c/a")).toBe("closed");
  });

  test("is closed with its connection, and comes anew on the next", async () => {
    one.open("c/a");
    one.send("c/a", "m1");
    await pass();
    connect();
    await pass();
    other.open("c/a");
    await pass();
    expect(other.arrived("c/a")).toEqual(["m1"]);
  });

  test("is forgotten when the other side closes it, and so may be another one of its label", async () => {
    await offer("c/a", [encode(begin(1, 0, "m1"))]);
    here.channel("c/a").close();
    await pass();
    await offer("c/a", [encode(begin(1, 0, "m2"))]);
    other.open("c/a");
    expect(other.arrived("c/a")).toEqual(["m2"]);
  });

  test("is one of its label", async () => {
    await offer("c/a");
    await offer("c/a");
    expect(there.channels.map(({ readyState }) => readyState)).toEqual(["open", "closed"]);
  });

  test("costs what was wrong on it when somebody expects it, and is told once", async () => {
    await offer("c/a", [encode(begin(1, 0, "m1")), encode(begin(3, 0)), encode(begin(5, 0))]);
    other.open("c/a");
    await pass();
    expect(other.arrived("c/a")).toEqual(["m1"]);
    expect(other.faults).toEqual(["c/a: message 3 follows message 1"]);
    expect(state("c/a")).toBe("closed");
  });
});

describe("what is kept", () => {
  test.each<[string, (Uint8Array<ArrayBuffer> | string)[]]>([
    ["text", ["hello"]],
    ["more messages than the first credit allows", Array(513).fill(encode(begin(1, 0)))],
    ["more bytes than that", Array(9).fill(bytes(2 ** 16))],
  ])("is not %s: that costs the data channel", async (_, messages) => {
    await offer("c/a", messages.slice(1));
    expect(state("c/a")).toBe("open");
    await offer("c/b", messages);
    expect([state("c/a"), state("c/b")]).toEqual(["open", "closed"]);
    expect(other.faults).toEqual([]);
  });

  test("is the newest where messages may be lost", async () => {
    const messages = Array.from({ length: 600 }, (_, index) => encode(begin(index + 1, 0, `n${index + 1}`)));
    await offer("c/a", messages, { maxRetransmits: 0 });
    const { queue } = other.open("c/a", true, false);
    expect(queue.names[0]).toBe("n89"); // 512 before the last
  });

  test("has no more bytes than 4 MiB in all data channels together", async () => {
    for (let index = 0; index < 8; index++) await offer(`c/${index}`, Array(8).fill(bytes(2 ** 16)));
    expect(there.channels.every(({ readyState }) => readyState === "open")).toBe(true);
    await offer("c/8", [bytes(17)]);
    expect(state("c/8")).toBe("closed");
    other.open("c/0"); // whose bytes count no more
    await offer("c/9", [bytes(17)]);
    expect(state("c/9")).toBe("open");
  });

  test("are 80 data channels", async () => {
    for (let index = 0; index <= 80; index++) await offer(`c/${index}`);
    expect([state("c/79"), state("c/80")]).toEqual(["open", "closed"]);
  });
});
