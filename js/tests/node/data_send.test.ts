/** What a channel's `send` does: to whom, until when, and what it says where that fails. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Channel as ChannelRecord } from "../../src/channel";
import { DataLink } from "../../src/data/data_link";
import { ChannelClosed, PeerNotFound, RTCTimeout, SendTimeout } from "../../src/data/errors";
import { decode } from "../../src/data/frames";
import { NdArray } from "../../src/data/ndarray";
import { ArrowStream, MessageTooLarge, type Sendable } from "../../src/data/values";
import { textOf } from "./data_ends";
import { pass, Room, readAll, watched } from "./data_room";

let room: Room;

beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  room.end();
  await pass(0);
  expect(vi.getTimerCount()).toBe(0); // nothing may stay behind
  vi.useRealTimers();
});

function enter(names: string, options: Omit<ChannelRecord, "name"> = {}, limit?: number): void {
  room = new Room([...names], options, limit);
}
const channel = (name: string) => room.channel(name);

describe("a value", () => {
  test.each<[string, Sendable, unknown]>([
    ["an array", new NdArray("<i2", [2, 1], Uint8Array.of(1, 0, 2, 0)), { dtype: "<i2", shape: [2, 1] }],
    ["a typed array", Float32Array.of(1, 2), { dtype: "<f4", data: Float32Array.of(1, 2) }],
    ["bytes", Uint8Array.of(1, 2).buffer, Uint8Array.of(1, 2).buffer],
    ["text", "grüße", "grüße"],
    ["JSON", { a: [1, null, "b"] }, { a: [1, null, "b"] }],
    ["a table", new ArrowStream("table", Uint8Array.of(1)), { kind: "table", bytes: Uint8Array.of(1) }],
  ])("%s arrives at all others, and not at its sender", async (_, value, arrived) => {
    enter("ABC");
    vi.setSystemTime(1_500_000);
    const sent = watched(channel("A").send(value));
    await pass();
    expect(sent).toEqual({ settled: true });
    for (const name of "BC") {
      const message = watched(channel(name).receive());
      await pass();
      expect(message.value).toMatchObject({ value: arrived, sender: { id: "a", name: "A" }, time: 1500 });
    }
    expect(await readAll(channel("A"))).toEqual([]);
  });

  test("is sent as it was when it was sent", async () => {
    enter("AB");
    const array = Float64Array.of(1, 2);
    void channel("A").send(array);
    array[0] = 9;
    expect(await readAll(channel("B"))).toMatchObject([{ data: Float64Array.of(1, 2) }]);
  });

  test("arrives after those that were sent before it", async () => {
    enter("AB");
    for (let number = 0; number < 20; number++)
      void channel("A").send(number % 3 === 0 ? "x".repeat(200_000) : number);
    const values = await readAll(channel("B"));
    expect(values.map((value, index) => (typeof value === "string" ? index : value))).toEqual([
      ...Array(20).keys(),
    ]);
  });

  test.each<[string, unknown]>([
    ["NaN", Number.NaN],
    ["a function", () => 1],
    ["undefined", undefined],
  ])("%s cannot be sent, and the promise says so", async (_, value) => {
    enter("AB");
    const sent = watched(channel("A").send(value as Sendable));
    await pass();
    expect(String(sent.error)).toMatch(/Error: .*(cannot be sent|JSON has no)/);
  });

  test("that is too large is refused before it is copied", async () => {
    enter("AB", {}, 1000);
    const slice = vi.spyOn(Uint8Array.prototype, "slice");
    const sent = watched(channel("A").send(new Uint8Array(1001)));
    await pass();
    expect(sent.error).toBeInstanceOf(MessageTooLarge);
    expect(slice).not.toHaveBeenCalled();
    void channel("A").send(new Uint8Array(1000));
    expect(await readAll(channel("B"))).toMatchObject([{ shape: [1000] }]);
  });
});

describe("to", () => {
  test("some only, by id or by name", async () => {
    enter("ABCD");
    const sent = watched(channel("A").send(1, { to: ["b", "C", "B"] }));
    await pass();
    expect(sent).toEqual({ settled: true });
    for (const [name, values] of [
      ["B", [1]],
      ["C", [1]],
      ["D", []],
    ] as const)
      expect(await readAll(channel(name))).toEqual(values);
  });

  test("somebody who does not have the channel open is an error that names those who have, and nobody gets it", async () => {
    enter("ABC");
    const sent = watched(channel("A").send(1, { to: ["B", "Zoe"] }));
    await pass();
    expect(sent.error).toBeInstanceOf(PeerNotFound);
    expect(String(sent.error)).toBe(
      'PeerNotFound: "Zoe" does not have channel "a" open; those who have are "B", "C"',
    );
    expect(await readAll(channel("B"))).toEqual([]);
  });

  test("nobody is done at once", async () => {
    enter("A");
    await channel("A").send(1);
    await channel("A").send(1, { to: [] });
  });
});

describe("until", () => {
  test("every receiver's queue has taken it", async () => {
    enter("ABC", { maxsize: 1 });
    const sends = [watched(channel("A").send(1)), watched(channel("A").send(2))];
    await pass();
    expect(sends.map(({ settled }) => settled)).toEqual([true, false]);
    await channel("B").receive();
    await pass();
    expect(sends[1]?.settled).toBe(false);
    await channel("C").receive();
    await pass();
    expect(sends[1]).toEqual({ settled: true });
  });

  test("over any number of connections", async () => {
    enter("AB");
    const sent = watched(channel("A").send(new Uint8Array(2_000_000)));
    for (let count = 0; count < 5; count++) {
      await pass(10);
      room.reconnect("A", "B");
    }
    await pass();
    expect(sent).toEqual({ settled: true });
    expect(await readAll(channel("B"))).toMatchObject([{ shape: [2_000_000] }]);
  });

  test("the timeout, which names the slow ones; the others have it", async () => {
    enter("ABCD", { maxsize: 1 });
    void channel("B").send(0, { to: ["C", "D"] }); // whose queues are full now
    await pass();
    const sent = watched(channel("A").send(1, { timeout: 2 }));
    await pass(1_900);
    expect(sent.settled).toBe(false);
    await pass();
    expect(sent.error).toBeInstanceOf(SendTimeout);
    expect(sent.error).toBeInstanceOf(RTCTimeout);
    expect(sent.error).toMatchObject({ name: "SendTimeout", slow: ["C", "D"] });
    expect(String(sent.error)).toContain('"C", "D" did not take the message on channel "a" within 2 s');
    expect(await readAll(channel("B"))).toEqual([1]);
    expect(await readAll(channel("C"))).toEqual([0]); // and it does not come late
  });

  test("30 s where no timeout is given, and without end where it is infinite", async () => {
    enter("AB");
    room.disconnect("A", "B");
    const sends = [
      watched(channel("A").send(1)),
      watched(channel("A").send(2, { timeout: Number.POSITIVE_INFINITY })),
    ];
    await pass(29_900);
    expect(sends[0]?.settled).toBe(false);
    await pass(200);
    expect(sends[0]?.error).toMatchObject({ slow: ["B"] });
    await pass(3_000_000);
    expect(sends[1]?.settled).toBe(false);
    room.reconnect("A", "B");
    await pass();
    expect(sends[1]).toEqual({ settled: true });
  });

  test("its signal is aborted", async () => {
    enter("AB", { maxsize: 1 });
    await pass();
    void channel("A").send(0);
    const abort = new AbortController();
    const sent = watched(channel("A").send(new Uint8Array(1_000_000), { signal: abort.signal }));
    await pass();
    abort.abort("enough");
    await pass();
    expect(sent.error).toBe("enough");
    expect(await readAll(channel("B"))).toEqual([0]);
    const next = watched(channel("A").send(1, { signal: abort.signal }));
    await pass();
    expect(next.error).toBe("enough");
    expect(await readAll(channel("B"))).toEqual([]);
  });

  test("who did not take it has left", async () => {
    enter("ABC", { maxsize: 1 });
    void channel("A").send(0);
    const sent = watched(channel("A").send(1));
    await pass();
    await channel("B").receive();
    await pass();
    expect(sent.settled).toBe(false);
    room.leave("C");
    await pass();
    expect(sent).toEqual({ settled: true });
  });

  test("who did not take it is no participant of the channel any more, even if they had left before", async () => {
    enter("A");
    const link = new DataLink({ fault: () => undefined });
    link.dispose();
    channel("A").addReceiver("b", "B", link);
    const sent = watched(channel("A").send(1));
    await pass();
    expect(sent.settled).toBe(false);
    channel("A").removeReceiver("b");
    await pass();
    expect(sent).toEqual({ settled: true });
  });

  test("the channel is closed", async () => {
    enter("AB");
    room.disconnect("A", "B");
    const sent = watched(channel("A").send(1));
    channel("A").close();
    await pass();
    expect(sent.error).toBeInstanceOf(ChannelClosed);
    await expect(channel("A").send(1)).rejects.toThrow('channel "a" is closed');
  });
});

describe("progress", () => {
  test("is that of the slowest, grows, and ends with the size", async () => {
    enter("ABC");
    await pass();
    room.connection("A", "C").pause(true);
    const told: number[] = [];
    const size = 1_000_000;
    const progress = (sent: number, of: number) => {
      expect(of).toBe(size);
      told.push(sent);
    };
    const sent = watched(channel("A").send(new Uint8Array(size), { progress }));
    await pass();
    expect(told.at(-1)).toBeLessThan(200_000);
    room.connection("A", "C").pause(false);
    room.reconnect("A", "C");
    await pass();
    expect(sent).toEqual({ settled: true });
    expect(told).toEqual([...new Set(told)].sort((one, other) => one - other));
    expect(told.length).toBeGreaterThan(5);
    expect(told.at(-1)).toBe(size);
  });

  test("may send, close, and do what it likes", async () => {
    enter("AB");
    const error = new ChannelClosed("over");
    const progress = () => channel("A").close(error);
    const sent = watched(channel("A").send(new Uint8Array(1_000_000), { progress }));
    await pass();
    expect(sent.error).toBe(error);
  });
});

describe("sends that nobody awaits", () => {
  test("may be many", async () => {
    enter("AB", { maxsize: 65536 });
    const timeout = Number.POSITIVE_INFINITY;
    const sends = Array.from({ length: 4096 }, (_, number) =>
      watched(channel("A").send(number, { timeout })),
    );
    await pass(10_000);
    expect(sends.every(({ settled, error }) => settled && error === undefined)).toBe(true);
  });

  test("but not without bound, neither their number nor their bytes", async () => {
    enter("AB", {}, 10_000);
    room.disconnect("A", "B");
    const large = Array.from({ length: 3 }, () => watched(channel("A").send(new Uint8Array(5_000))));
    await pass();
    expect(large.map(({ error }) => String(error))).toEqual([
      "undefined",
      "undefined",
      expect.stringMatching(/RTCError: 2 messages on channel "a" wait already: await/),
    ]);
    const small = Array.from({ length: 4_100 }, () => watched(channel("A").send("", { timeout: 1e9 })));
    await pass();
    expect(small.filter(({ error }) => error !== undefined).length).toBe(6);
  });
});

describe("the name of a message", () => {
  /** The headers that A sent to B. */
  function headers(): Record<string, unknown>[] {
    const { sent } = room.connection("A", "B").channel("c/a");
    return sent.map((data) => {
      const frame = decode(data);
      return JSON.parse(frame.type === "begin" ? textOf(frame.header) : "{}") as Record<string, unknown>;
    });
  }

  test("is another one each time, of letters, digits and dashes", async () => {
    enter("AB");
    for (let number = 0; number < 3; number++) void channel("A").send(number);
    await pass();
    const ids = headers().map(({ id }) => String(id));
    expect(ids).toEqual([expect.stringMatching(/^[0-9a-f]{8}-1$/), expect.any(String), expect.any(String)]);
    expect(new Set(ids).size).toBe(3);
  });

  test("is left out where nothing is sent again", async () => {
    enter("AB", { reliable: false });
    void channel("A").send(1);
    await pass();
    expect(headers()).toEqual([{ kind: "json", time: expect.any(Number) }]);
  });
});

describe.each<[string, Omit<ChannelRecord, "name">, number[]]>([
  ["that drops its oldest", { policy: "drop_oldest" }, [7, 8, 9]],
  ["that is not reliable", { reliable: false }, [9]],
])("on a channel %s", (_, options, newest) => {
  test("nobody waits, not even for a connection, and of what waits the newest stay", async () => {
    enter("AB", { ...options, maxsize: 3 });
    room.disconnect("A", "B");
    for (let number = 0; number < 10; number++) await channel("A").send(number);
    room.reconnect("A", "B");
    await pass();
    expect(await readAll(channel("B"))).toEqual(newest);
  });

  test("of what is not read the newest stay", async () => {
    enter("AB", { ...options, maxsize: 3 });
    await pass();
    for (let number = 0; number < 10; number++) {
      await channel("A").send(number);
      await pass(5);
    }
    expect(await readAll(channel("B"))).toEqual(newest);
  });
});

test("where messages may be lost the newest of each sender waits", async () => {
  enter("ABC", { reliable: false });
  await pass();
  for (const [sender, value] of [
    ["A", 1],
    ["B", 2],
    ["A", 3],
  ] as const) {
    await channel(sender).send(value, { to: ["C"] });
    await pass(5);
  }
  expect(await readAll(channel("C"))).toEqual([2, 3]);
});
