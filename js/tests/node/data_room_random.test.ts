/** Random lives of a channel between three participants, whose connections are replaced all the time. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { bodyOf, dice } from "./data_ends";
import { pass, Room, watched } from "./data_room";

let room: Room;

beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  room.end();
  await pass(0);
  expect(vi.getTimerCount()).toBe(0); // nothing may stay behind
  vi.useRealTimers();
});

const channel = (name: string) => room.channel(name);

test.each(Array.from({ length: 40 }, (_, seed) => seed + 1))(
  "whatever connections do, all that is sent arrives once, and in the order of its sender (%i)",
  async (seed) => {
    const roll = dice(seed);
    const names = ["A", "B", "C"];
    room = new Room(names, { ordered: roll(2) === 0, maxsize: 1 + roll(4), maxbytes: 300_000 });
    const got = new Map<string, string[]>(names.map((name) => [name, []]));
    const sent = new Map<string, string[]>(names.map((name) => [name, []]));
    const sends: { settled: boolean; error?: unknown }[] = [];
    const some = () => names[roll(3)] as string;
    const read = async (name: string) => {
      const message = await channel(name)
        .receive({ timeout: 0.001 })
        .catch(() => undefined);
      const text = String(message?.value);
      if (message) got.get(name)?.push(`${message.sender.name}${text.slice(0, text.indexOf(":"))}`);
      return message !== undefined;
    };
    for (let step = 0; step < 60; step++) {
      const [one, other] = [some(), some()];
      const what = roll(10);
      if (what < 4) {
        const size = [10, 5_000, 100_000, 400_000][roll(4)] as number;
        sent.get(one)?.push(`${one}${step}`);
        sends.push(
          watched(channel(one).send(new TextDecoder().decode(bodyOf(String(step), size)), { timeout: 1e6 })),
        );
      } else if (what < 6) void read(one);
      else if (what < 7 && one !== other) room.reconnect(one, other);
      await pass(roll(12));
    }
    for (let idle = 0; idle < 3; ) {
      const any = names.map((name) => read(name));
      await pass(50);
      idle = (await Promise.all(any)).includes(true) ? 0 : idle + 1;
    }
    for (const [name, messages] of got) {
      const expected = names.filter((other) => other !== name).flatMap((other) => sent.get(other) ?? []);
      expect([...messages].sort()).toEqual(expected.sort());
      if (!channel(name).options.ordered) continue;
      for (const other of names.filter((other) => other !== name))
        expect(messages.filter((message) => message.startsWith(other))).toEqual(sent.get(other));
    }
    expect(sends.every(({ settled, error }) => settled && error === undefined)).toBe(true);
  },
);
