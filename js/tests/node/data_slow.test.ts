/** Who begins messages and never ends them is in nobody's way but its own. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Channel as ChannelRecord } from "../../src/channel";
import { encode, type Frame } from "../../src/data/frames";
import { LossyInlet } from "../../src/data/lossy";
import { Mailbox } from "../../src/data/mailbox";
import { begin, more, Queue } from "./data_ends";
import { pass, Room, readAll, watched } from "./data_room";

const HEADER = JSON.stringify({ kind: "bytes", time: 1 });

describe.each<[string, Omit<ChannelRecord, "name">]>([
  ["that holds its senders up", {}],
  ["that drops its oldest", { policy: "drop_oldest" }],
  ["that is not reliable", { reliable: false }],
])("a channel %s", (_, options) => {
  let room: Room;
  const channel = (name: string) => room.channel(name);

  beforeEach(() => void vi.useFakeTimers());
  afterEach(async () => {
    room.end();
    await pass(0);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  /** What A begins arrives at C. */
  async function forge(...frames: Frame[]): Promise<void> {
    for (const frame of frames) room.connection("A", "C").channel("c/a").send(encode(frame));
    await pass();
  }

  test.each([true, false])("is open to the others (ordered: %s)", async (ordered) => {
    room = new Room([..."ABC"], { ...options, ordered, maxsize: 4, maxbytes: 400_000 });
    await pass();
    await forge(begin(1, 400_000, HEADER));
    if (!ordered) await forge(begin(2, 400_000, HEADER), begin(3, 10, HEADER));
    for (let count = 0; count < 3; count++) {
      const sends = [1, 2].map((value) =>
        watched(channel("B").send("x".repeat(100_000 * value), { to: ["C"] })),
      );
      await pass();
      expect(sends).toEqual([{ settled: true }, { settled: true }]);
      const lengths = (await readAll(channel("C"))).map((value) => String(value).length);
      expect(lengths).toEqual(options.reliable === false ? [200_000] : [100_000, 200_000]);
    }
  });

  test("is open to the others, however many messages it begins", async () => {
    room = new Room([..."ABC"], { ...options, ordered: false, maxsize: 4 });
    await pass();
    await forge(...Array.from({ length: 200 }, (_, index) => begin(index + 1, 10, HEADER)));
    const sent = watched(channel("B").send(1));
    await pass();
    expect(sent).toEqual({ settled: true });
    expect(await readAll(channel("C"))).toEqual([1]);
  });
});

describe("where the oldest are dropped", () => {
  const SENDERS = ["A", "B"].map((name) => ({ id: name.toLowerCase(), name }));
  const put = (mailbox: Mailbox, from: number, size: number) => {
    const sender = SENDERS[from] ?? { id: "", name: "" };
    expect(mailbox.admit(sender.id, size)).toBe(true);
    mailbox.put({ sender, header: { kind: "bytes", time: 1 }, body: new Uint8Array(size) });
  };

  test.each([true, false])("only a whole message is a reason for that (reliable: %s)", (reliable) => {
    const mailbox = new Mailbox({ maxsize: 4, maxbytes: 1000, policy: "drop_oldest", reliable });
    put(mailbox, 0, 600);
    for (const _ of [1, 2]) {
      expect(mailbox.admit("b", 1000)).toBe(true);
      mailbox.giveUp("b", 1000);
    }
    expect(mailbox.admit("b", 1000)).toBe(true);
    expect(mailbox.take()?.sender.id).toBe("a");
    put(mailbox, 0, 600);
    mailbox.put({
      sender: { id: "b", name: "B" },
      header: { kind: "str", time: 1 },
      body: new Uint8Array(1000),
    });
    expect(mailbox.take()?.sender.id).toBe("b");
    expect(mailbox.take()).toBeUndefined();
  });

  test("the newest stays, however large it is", () => {
    const mailbox = new Mailbox({ maxsize: 4, maxbytes: 1000, policy: "drop_oldest", reliable: true });
    for (const size of [500, 5000]) put(mailbox, 0, size);
    expect(mailbox.take()?.body.length).toBe(5000);
    expect(mailbox.take()).toBeUndefined();
  });
});

describe("a mailbox", () => {
  test("has room for what one of its senders leaves, and no more", () => {
    const mailbox = new Mailbox({ maxsize: 64, maxbytes: 1000, policy: "block", reliable: true });
    expect(mailbox.admit("a", 900)).toBe(true);
    expect(mailbox.admit("a", 200)).toBe(false);
    expect(mailbox.admit("b", 900)).toBe(true);
    expect(mailbox.admit("c", 200)).toBe(false);
    expect(mailbox.admit("c", 100)).toBe(true);
    mailbox.giveUp("b", 900);
    expect(mailbox.admit("c", 900)).toBe(true);
  });
});

test("a sender waits in turn once more for those whose messages ended, though nobody reads", async () => {
  vi.useFakeTimers();
  const room = new Room([..."ABCD"], { policy: "drop_oldest", maxbytes: 400_000 });
  await pass();
  const large = () => new Uint8Array(300_000);
  for (const name of "AB") void room.channel(name).send(large(), { to: ["D"] });
  await pass(3);
  for (const name of "AB") room.connection(name, "D").pause(true);
  void room.channel("C").send(large(), { to: ["D"] });
  await pass();
  expect(room.connection("C", "D").channel("c/a").sent.length).toBeLessThan(5); // it has no room
  room.connection("A", "D").pause(false);
  await pass();
  expect(room.connection("C", "D").channel("c/a").sent.length).toBe(5);
  room.end();
  await pass(0);
  vi.useRealTimers();
});

describe("where frames may be lost", () => {
  test.each([true, false])(
    "a message that misses a part makes room for the next (ordered: %s)",
    (ordered) => {
      const queue = new Queue(64, 1000);
      const inlet = new LossyInlet(queue, ordered);
      for (let number = 1; number <= 3; number++)
        inlet.receive(begin(number, 900, "{}", new Uint8Array(100)));
      inlet.receive(more(3, 100, new Uint8Array(800)));
      expect(queue.messages.map(({ body }) => body.length)).toEqual([900]);
      expect([queue.count, queue.size]).toEqual([1, 900]);
    },
  );

  test("but not for one that is older", () => {
    const queue = new Queue(64, 1000);
    const inlet = new LossyInlet(queue, false);
    for (const number of [2, 1]) inlet.receive(begin(number, 900, `n${number}`, new Uint8Array(100)));
    inlet.receive(more(2, 100, new Uint8Array(800)));
    expect(queue.names).toEqual(["n2"]);
  });
});
