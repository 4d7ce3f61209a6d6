/** What arrives on a channel: who reads it, in which order, and what happens while nobody does. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Channel as ChannelRecord } from "../../src/channel";
import type { Trouble } from "../../src/data/channel";
import { ChannelClosed, RTCError, RTCTimeout } from "../../src/data/errors";
import { encode, type Frame } from "../../src/data/frames";
import type { Message } from "../../src/data/reader";
import { utf8 } from "./data_ends";
import { pass, Room, readAll, watched } from "./data_room";

let room: Room;

beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  room.end();
  await pass(0);
  expect(vi.getTimerCount()).toBe(0); // nothing may stay behind
  vi.useRealTimers();
});

async function enter(
  names: string,
  options: Omit<ChannelRecord, "name"> = {},
  limit?: number,
): Promise<void> {
  room = new Room([...names], options, limit);
  await pass();
}
const channel = (name: string) => room.channel(name);

/** A frame of A's own making arrives at B. */
async function forge(...frames: Frame[]): Promise<void> {
  for (const frame of frames) room.connection("A", "B").channel("c/a").send(encode(frame));
  await pass();
}

const beginning = (number: number, header: object, size = 0, body = new Uint8Array()): Frame => ({
  type: "begin",
  number,
  size,
  header: utf8(JSON.stringify(header)),
  body,
});

describe("receive", () => {
  test("has what is there already, and else waits for what comes", async () => {
    await enter("AB");
    void channel("A").send(1);
    await pass();
    expect(await channel("B").recv()).toBe(1);
    const next = [watched(channel("B").receive()), watched(channel("B").recv())];
    await pass(1_000_000);
    expect(next.map(({ settled }) => settled)).toEqual([false, false]);
    void channel("A").send("first");
    void channel("A").send("second");
    await pass();
    expect(next[0]?.value).toMatchObject({ value: "first", sender: { id: "a", name: "A" } });
    expect(next[1]?.value).toBe("second");
  });

  test("waits as long as it is told, and costs nothing afterwards", async () => {
    await enter("AB");
    const received = watched(channel("B").receive({ timeout: 1 }));
    await pass(900);
    expect(received.settled).toBe(false);
    await pass();
    expect(received.error).toBeInstanceOf(RTCTimeout);
    expect(String(received.error)).toContain('no message came on channel "a" within 1 s');
    void channel("A").send(1);
    expect(await readAll(channel("B"))).toEqual([1]);
  });

  test("ends with its signal", async () => {
    await enter("AB");
    const abort = new AbortController();
    const received = watched(channel("B").receive({ signal: abort.signal }));
    abort.abort("enough");
    await pass();
    expect(received.error).toBe("enough");
    void channel("A").send(1);
    await pass();
    await expect(channel("B").receive({ signal: abort.signal })).rejects.toBe("enough");
    expect(await readAll(channel("B"))).toEqual([1]);
  });

  test("ends when the channel is closed, and has nothing any more", async () => {
    await enter("AB");
    const received = watched(channel("B").receive());
    const closed = vi.fn();
    channel("B").addEventListener("close", closed);
    channel("B").close();
    channel("B").close();
    await pass();
    expect(received.error).toBeInstanceOf(ChannelClosed);
    await expect(channel("B").receive()).rejects.toBe(received.error);
    expect(closed).toHaveBeenCalledOnce();
    expect(channel("B").closed).toBe(true);
  });

  test("says why the channel was closed", async () => {
    await enter("AB");
    const why = new RTCError("others have it with other options");
    const received = watched(channel("B").receive());
    channel("B").close(why);
    await pass();
    expect(received.error).toBe(why);
    await expect(channel("B").send(1)).rejects.toBe(why);
  });

  test("goes on with who is there, when somebody is gone", async () => {
    await enter("ABC");
    void channel("A").send(1);
    await pass();
    room.leave("A");
    void channel("C").send(2);
    expect(await readAll(channel("B"))).toEqual([1, 2]);
  });
});

test("a loop over a channel has each message, and ends with the channel", async () => {
  await enter("AB");
  const values: unknown[] = [];
  const loop = watched(
    (async () => {
      for await (const { value } of channel("B")) values.push(value);
    })(),
  );
  for (const value of [1, 2, 3]) void channel("A").send(value);
  await pass();
  expect(values).toEqual([1, 2, 3]);
  channel("B").close();
  await pass();
  expect(loop).toEqual({ settled: true });
});

describe("listeners", () => {
  test("get what is there already, and all that comes", async () => {
    await enter("AB", { maxsize: 1 });
    const sends = [1, 2, 3].map((value) => watched(channel("A").send(value)));
    await pass();
    const messages: Message[] = [];
    channel("B").addEventListener("message", ({ detail }) => messages.push(detail));
    await pass();
    void channel("A").send(4);
    await pass();
    expect(messages.map(({ value }) => value)).toEqual([1, 2, 3, 4]);
    expect(messages[0]?.sender).toEqual({ id: "a", name: "A" });
    expect(sends.every(({ settled }) => settled)).toBe(true);
    await expect(channel("B").receive()).rejects.toThrow(/go to its "message" listeners/);
  });

  test("may send, and close the channel", async () => {
    await enter("AB");
    const listener = vi.fn(() => {
      watched(channel("B").send("yes"));
      if (listener.mock.calls.length === 2) channel("B").close();
    });
    channel("B").addEventListener("message", listener);
    void channel("A").send(1);
    expect(await readAll(channel("A"))).toEqual(["yes"]);
    watched(channel("A").send(2));
    watched(channel("A").send(3));
    await pass();
    expect(listener).toHaveBeenCalledTimes(2);
  });

  test("of other events leave the messages to those who call", async () => {
    await enter("AB");
    channel("B").addEventListener("error", () => undefined);
    channel("B").addEventListener("close", () => undefined);
    void channel("A").send(1);
    expect(await readAll(channel("B"))).toEqual([1]);
  });
});

describe("a full queue", () => {
  test("lets its senders in in turn, however much each of them has to send", async () => {
    await enter("ABCD", { maxsize: 1 });
    for (let number = 0; number < 5; number++)
      for (const name of "ABC") void channel(name).send(`${name}${number}`, { to: ["D"] });
    await pass();
    const values = (await readAll(channel("D"))).map(String);
    expect(values.length).toBe(15);
    for (let start = 0; start < 15; start += 3)
      expect(
        values
          .slice(start, start + 3)
          .map((value) => value[0])
          .sort(),
      ).toEqual(["A", "B", "C"]);
  });

  test("is full by bytes, too, and has room for one that is larger than all of it when it is empty", async () => {
    await enter("AB", { maxbytes: 250_000 });
    const sends = [100_000, 100_000, 100_000, 900_000, 10].map((size) =>
      watched(channel("A").send(new Uint8Array(size))),
    );
    await pass();
    expect(sends.map(({ settled }) => settled)).toEqual([true, true, false, false, false]);
    await channel("B").receive();
    await pass();
    expect(sends.map(({ settled }) => settled)).toEqual([true, true, true, false, false]);
    expect((await readAll(channel("B"))).length).toBe(4);
  });

  test("a large message that waits is not overtaken for ever by small ones", async () => {
    await enter("ABC", { maxbytes: 250_000 });
    void channel("A").send(new Uint8Array(200_000), { to: ["C"] });
    await pass();
    void channel("A").send(new Uint8Array(200_000), { to: ["C"] });
    await pass();
    for (let number = 0; number < 20; number++) void channel("B").send(new Uint8Array(40_000), { to: ["C"] });
    await pass();
    const shapes = (await readAll(channel("C"))).map((value) => (value as { shape: number[] }).shape[0]);
    expect(shapes.slice(0, 2)).toEqual([200_000, 200_000]);
    expect(shapes.length).toBe(22);
  });

  test.each<[string, () => void]>([
    ["is taken back", () => undefined],
    ["ends with its sender", () => room.leave("A")],
    ["waits for another connection", () => room.disconnect("A", "C")],
  ])("serves the others when a message that is half there %s", async (why, happen) => {
    await enter("ABCD", { maxsize: 1 });
    const abort = new AbortController();
    const { signal } = abort;
    const large = ["A", "D"].map((name) =>
      watched(channel(name).send(new Uint8Array(1_000_000), { to: ["C"], signal, timeout: 1e6 })),
    );
    await pass(8);
    for (const name of "AD") room.connection(name, "C").pause(true);
    const small = watched(channel("B").send(1, { to: ["C"], timeout: 1e6 }));
    await pass();
    expect([...large, small].map(({ settled }) => settled)).toEqual([false, false, false]);
    room.connection("A", "C").pause(false);
    if (why === "is taken back") abort.abort();
    happen();
    await pass();
    expect(small).toEqual({ settled: true });
    expect(await readAll(channel("C"))).toEqual([1]);
  });

  test("serves the others when the message that is first in turn is taken back", async () => {
    await enter("ABC", { maxbytes: 1000 });
    void channel("B").send("x".repeat(600), { to: ["C"] });
    await pass();
    const abort = new AbortController();
    const large = watched(channel("A").send("x".repeat(600), { to: ["C"], signal: abort.signal }));
    await pass();
    const small = [1, 2].map((value) => watched(channel("B").send(value, { to: ["C"] })));
    await pass();
    expect([large, ...small].map(({ settled }) => settled)).toEqual([false, false, false]);
    abort.abort();
    await pass();
    void channel("B").send(3, { to: ["C"] });
    await pass();
    expect(small.map(({ settled }) => settled)).toEqual([true, true]);
  });
});

describe("where the oldest are dropped", () => {
  test.each<[string, Omit<ChannelRecord, "name">]>([
    ["reliable", { policy: "drop_oldest", maxsize: 1 }],
    ["not reliable", { reliable: false, maxsize: 1 }],
  ])("two who send all the time both get through (%s)", async (_, options) => {
    await enter("ABC", options);
    const got: string[] = [];
    channel("C").addEventListener("message", ({ detail }) => got.push(detail.sender.name));
    for (let count = 0; count < 50; count++) {
      for (const name of "AB") void channel(name).send(new Uint8Array(300_000));
      await pass(5);
    }
    await pass();
    expect(got.filter((name) => name === "A").length).toBeGreaterThan(10);
    expect(got.filter((name) => name === "B").length).toBeGreaterThan(10);
  });

  test("as many go as the bytes of a new one need", async () => {
    await enter("AB", { policy: "drop_oldest", maxbytes: 1000 });
    for (const size of [400, 400, 100, 500]) {
      void channel("A").send("x".repeat(size));
      await pass();
    }
    expect((await readAll(channel("B"))).map((value) => String(value).length)).toEqual([400, 100, 500]);
  });
});

describe("what somebody sends and should not", () => {
  const troubles = () => {
    const seen: Trouble[] = [];
    channel("B").addEventListener("error", ({ detail }) => seen.push(detail));
    return seen;
  };

  test("a value that cannot be read is skipped and told, the next is there", async () => {
    await enter("AB");
    const seen = troubles();
    await forge(
      beginning(1, { kind: "json", time: 1 }, 3, utf8("[1,")),
      beginning(2, { kind: "str", time: 1 }),
    );
    expect(await readAll(channel("B"))).toEqual([""]);
    expect(seen).toEqual([
      { sender: { id: "a", name: "A" }, message: expect.stringMatching(/cannot be read: not a JSON value/) },
    ]);
  });

  test.each<[string, object, number, RegExp]>([
    ["no header of a value", { kind: "pickle", time: 1 }, 0, /kind is to be one of/],
    ["a name that is too long", { kind: "str", time: 1, id: "x".repeat(65) }, 0, /id is to be/],
    ["a shape that does not fit", { kind: "array", dtype: "<i2", shape: [3], time: 1 }, 7, /takes 6 bytes/],
    ["a message that is too large", { kind: "bytes", time: 1 }, 2 ** 31, /may have 1000000 bytes/],
  ])("%s costs the data channel, and is told", async (_, header, size, why) => {
    await enter("AB", {}, 1_000_000);
    const seen = troubles();
    await forge(beginning(1, header, size));
    expect(seen).toEqual([{ sender: { id: "a", name: "A" }, message: expect.stringMatching(why) }]);
    void channel("A").send(1);
    await pass(1_500);
    expect(await readAll(channel("B"))).toEqual([1]);
  });

  test("a message that is sent again is received once", async () => {
    await enter("AB");
    await forge(
      beginning(1, { kind: "str", time: 1, id: "n-1" }),
      beginning(2, { kind: "str", time: 1, id: "n-1" }),
    );
    expect(await readAll(channel("B"))).toEqual([""]);
  });
});

describe("who has the channel open", () => {
  test("may have another name", async () => {
    await enter("AB");
    void channel("A").send(1);
    await pass();
    expect((await channel("B").receive()).sender).toEqual({ id: "a", name: "A" });
    room.rename("A", "B", "Ada");
    void channel("A").send(1);
    await pass();
    expect((await channel("B").receive()).sender).toEqual({ id: "a", name: "Ada" });
    void channel("B").send(1, { to: ["Ada"] });
    expect(await readAll(channel("A"))).toEqual([1]);
  });

  test("and is there no more gets nothing", async () => {
    await enter("AB");
    channel("A").removeReceiver("b");
    channel("A").removeReceiver("b");
    await channel("A").send(1);
    expect(await readAll(channel("B"))).toEqual([]);
  });
});
