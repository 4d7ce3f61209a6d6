/** What a tab learns of the kernels' data, and what it refuses, over connections in memory. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Overview } from "../../src/overview";
import { readTold } from "../../src/overview_item";
import type { Participant } from "../../src/protocol";
import { utf8 } from "./data_ends";
import { FakeKernel, gone, item, message, picture } from "./overview_kernel";

class Kernel extends FakeKernel {
  async tell(header: object | Uint8Array, body?: Uint8Array): Promise<void> {
    this.say(header, body);
    await settled();
  }
}

let kernels: Kernel[] = [];
let people: Participant[] = [];
let needed: string[] = [];
let overview: Overview;
let changes = 0;

beforeEach(() => {
  vi.useFakeTimers();
  kernels = [];
  people = [];
  needed = [];
  changes = 0;
  overview = new Overview({
    others: () => [...kernels.map(({ participant }) => participant), ...people],
    link: (id) => kernels.find((kernel) => kernel.id === id)?.link ?? null,
    needData: (id) => {
      needed.push(id);
      return () => needed.splice(needed.indexOf(id), 1);
    },
  });
  overview.addEventListener("change", () => {
    changes += 1;
  });
});
afterEach(() => {
  overview.end();
  for (const kernel of kernels) kernel.leave();
  expect(needed).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const settled = () => vi.advanceTimersByTimeAsync(100);
function invite(id = "k", record?: Partial<Participant>): Kernel {
  const kernel = new Kernel(id, record);
  kernels.push(kernel);
  overview.refresh();
  return kernel;
}
async function watched(id = "k"): Promise<{ kernel: Kernel; stop: () => void }> {
  const kernel = invite(id);
  const stop = overview.watch();
  await settled();
  return { kernel, stop };
}

describe("who is asked", () => {
  test("nobody while nobody looks", async () => {
    const kernel = invite();
    await settled();
    expect([kernel.count, needed]).toEqual([0, []]);
    const stop = overview.watch();
    await settled();
    expect([kernel.isOpen, needed]).toEqual([true, ["k"]]);
    stop();
    stop();
    await settled();
    expect([kernel.isOpen, needed]).toEqual([false, []]);
  });

  test("once however many look, until the last of them looks away", async () => {
    const kernel = invite();
    const stops = [overview.watch(), overview.watch()];
    await settled();
    stops[0]?.();
    await settled();
    expect([kernel.isOpen, kernel.count, needed]).toEqual([true, 1, ["k"]]);
    stops[1]?.();
    await settled();
    expect(kernel.isOpen).toBe(false);
  });

  test("every kernel with channels or shared values, and no other", async () => {
    const channels = [{ name: "a" }];
    overview.watch();
    const all = [invite("a", { channels }), invite("b", { shared: true }), invite("c", { shared: false })];
    people.push({ id: "ada", name: "Ada", kind: "browser", user: "ada", channels });
    overview.refresh();
    await settled();
    expect(all.map(({ isOpen }) => isOpen)).toEqual([true, true, false]);
    expect(needed).toEqual(["a", "b"]);
    for (const kernel of all) kernel.record = { channels: [] };
    overview.refresh();
    await settled();
    expect(all.map(({ isOpen }) => isOpen)).toEqual([false, false, false]);
    expect(needed).toEqual([]);
  });

  test("again over each new connection, and when a kernel has come back", async () => {
    const { kernel } = await watched();
    kernel.connect();
    await settled();
    expect(kernel.isOpen).toBe(true);
    kernel.leave();
    kernel.comeBack();
    overview.refresh();
    await settled();
    expect([kernel.isOpen, needed]).toEqual([true, ["k"]]);
    await kernel.tell(item("a"));
    expect(overview.keys).toEqual(["a"]);
  });
});

describe("what is known", () => {
  test("the newest value of a key, its preview, and that it is gone", async () => {
    const { kernel } = await watched();
    await kernel.tell(item("a", { size: 3 }));
    const array = { kind: "array", dtype: "<f8", shape: [5], time: 1 };
    await kernel.tell(
      item("a", { value: array, size: 40, ...picture([2], "<f4") }),
      Uint8Array.of(0, 0, 0, 0, 0, 0, 128, 63),
    );
    expect(overview.get("shared", "a")).toEqual({
      of: "shared",
      name: "a",
      time: 100,
      writer: "k",
      teller: "k",
      value: array,
      size: 40,
      preview: { dtype: "<f4", shape: [2], body: Uint8Array.of(0, 0, 0, 0, 0, 0, 128, 63) },
    });
    expect(overview.get("channel", "a")).toBeNull();
    await kernel.tell(gone("a"));
    await kernel.tell(gone("never there"));
    expect([overview.keys, overview.get("shared", "a"), kernel.faults]).toEqual([[], null, []]);
  });

  test("of a channel that several send on, the newest message", async () => {
    const { kernel: one } = await watched("one");
    const other = invite("other");
    await settled();
    await one.tell(message("a", { time: 5, writer: "one" }));
    await other.tell(message("a", { time: 4, writer: "other" }));
    expect(overview.get("channel", "a")?.writer).toBe("one");
    await other.tell(message("a", { time: 6, writer: "other" }));
    expect(overview.get("channel", "a")?.writer).toBe("other");
    await other.tell(gone("a", "channel"));
    expect(overview.get("channel", "a")?.writer).toBe("one");
  });

  test("a clock that is ahead is not newer than what comes later", async () => {
    const { kernel: one } = await watched("one");
    const other = invite("other");
    await settled();
    await one.tell(message("a", { time: Date.now() / 1000 + 3600, writer: "one" }));
    await other.tell(message("a", { time: Date.now() / 1000 + 1, writer: "other" }));
    expect(overview.get("channel", "a")?.writer).toBe("other");
  });

  test("nothing of a kernel that left", async () => {
    const { kernel } = await watched();
    await kernel.tell(item("a"));
    kernels.length = 0;
    kernel.leave();
    overview.refresh();
    await settled();
    expect(overview.keys).toEqual([]);
    expect(needed).toEqual([]);
  });

  test("what an old data channel said, until the new one has had the time to say it again", async () => {
    const { kernel } = await watched();
    await kernel.tell(item("a"));
    await kernel.tell(item("b"));
    kernel.beginAnew();
    kernel.connect();
    await settled();
    await kernel.tell(item("b", { size: 7 }));
    expect(overview.keys).toEqual(["a", "b"]);
    expect(overview.get("shared", "b")?.size).toBe(7);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(overview.keys).toEqual(["b"]);
  });

  test("the same to whoever looks again", async () => {
    const { kernel, stop } = await watched();
    await kernel.tell(item("a"));
    stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(overview.keys).toEqual(["a"]);
    kernel.beginAnew();
    overview.watch();
    expect(overview.keys).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(5_100);
    expect(overview.keys).toEqual([]);
  });

  test("many changes are one event", async () => {
    const { kernel } = await watched();
    await Promise.all(Array.from({ length: 20 }, (_, i) => kernel.tell(item(`key ${i}`))));
    expect(overview.keys.length).toBe(20);
    expect(changes).toBeGreaterThan(0);
    expect(changes).toBeLessThan(5);
  });

  test("of very many previews only the newest are kept", async () => {
    const { kernel } = await watched();
    const body = new Uint8Array(128 * 128 * 3);
    const all = Array.from({ length: 400 }, (_, i) =>
      kernel.tell(item(`${i}`, picture([128, 128, 3])), body),
    );
    await Promise.all(all);
    await vi.advanceTimersByTimeAsync(5_000);
    const kept = overview.keys.filter((key) => overview.get("shared", key)?.preview);
    expect(overview.keys.length).toBe(400);
    expect(kept.length).toBe(Math.floor((16 * 1024 * 1024) / body.length));
    expect(overview.get("shared", "399")?.preview).not.toBeNull();
    expect(overview.get("shared", "0")?.preview).toBeNull();
  });
});

describe("what is refused", () => {
  const bad: [string, object | Uint8Array, number][] = [
    ["no JSON", utf8("{nonsense"), 0],
    ["no UTF-8", Uint8Array.of(123, 255), 0],
    ["another kind", { ...item("a"), kind: "message" }, 0],
    ["nothing of that sort", item("a", { of: "stream" }), 0],
    ["an empty name", item(""), 0],
    ["too long a key", item("x".repeat(257)), 0],
    ["too long a channel's name", message("x".repeat(65)), 0],
    ["half a character", item("\ud800"), 0],
    ["no writer", item("a", { writer: "" }), 0],
    ["a time that is none", item("a", { time: "now" }), 0],
    ["a time before time", item("a", { time: -1e300 }), 0],
    ["a negative size", item("a", { size: -1 }), 0],
    ["a size that is no integer", item("a", { size: 0.5 }), 0],
    ["no value", item("a", { value: undefined }), 0],
    ["a value of another kind", item("a", { value: { kind: "pickle", time: 1 } }), 0],
    ["an unknown dtype", item("a", { value: { kind: "array", dtype: "|O", shape: [1], time: 1 } }), 0],
    [
      "a size that is not the array's",
      item("a", { value: { kind: "array", dtype: "|u1", shape: [5], time: 1 }, size: 4 }),
      0,
    ],
    ["a preview of another dtype", item("a", picture([4, 4], "<f8")), 16],
    ["a picture that is too high", item("a", picture([129, 4])), 516],
    ["a picture that is too wide", item("a", picture([4, 129])), 516],
    ["a picture of four planes", item("a", picture([4, 4, 4])), 64],
    ["a picture of no size", item("a", picture([0, 4])), 0],
    ["a picture of one dimension", item("a", picture([4])), 4],
    ["a line of two dimensions", item("a", picture([4, 4], "<f4")), 64],
    ["a line that is too long", item("a", picture([129], "<f4")), 516],
    ["a picture that is shorter than it says", item("a", picture([4, 4])), 15],
    ["a picture that is longer than it says", item("a", picture([4, 4])), 17],
    ["a line that is shorter than it says", item("a", picture([4], "<f4")), 4],
    ["a body without a preview", item("a"), 1],
    ["a body of what is gone", gone("a"), 1],
    ["a body of a gigabyte", item("a", picture([4, 4])), 2 ** 30],
  ];
  test.each(bad)("%s", (_, header, size) => {
    const bytes = header instanceof Uint8Array ? header : utf8(JSON.stringify(header));
    expect(() => readTold(bytes, size)).toThrow();
  });

  test("costs the data channel, once, and no other kernel", async () => {
    const { kernel: hostile } = await watched("hostile");
    const other = invite("other");
    await settled();
    await hostile.tell(item("good", { writer: "hostile" }));
    await hostile.tell(item("bad", picture([128, 128])), new Uint8Array(5));
    await hostile.tell(item("later"));
    expect(hostile.faults).toEqual([
      "overview: message 2 cannot be used: the preview takes 16384 bytes, the body has 5",
    ]);
    expect(hostile.isOpen).toBe(false);
    await other.tell(item("a"));
    expect([overview.keys, other.isOpen, other.faults]).toEqual([["a", "good"], true, []]);
    await vi.advanceTimersByTimeAsync(600);
    expect(hostile.count).toBe(1); // it is opened again later, and later still the next time
    hostile.beginAnew();
    await vi.advanceTimersByTimeAsync(500);
    expect([hostile.count, hostile.isOpen]).toEqual([2, true]);
  });

  test("more channels and keys than there can be", async () => {
    const { kernel } = await watched();
    for (let i = 0; i < 64; i++) kernel.tell(message(`c${i}`));
    await vi.advanceTimersByTimeAsync(1_000);
    for (let i = 0; i < 4096; i++) kernel.tell(item(`k${i}`));
    await vi.advanceTimersByTimeAsync(20_000);
    await kernel.tell(item("k7", { size: 9 }));
    await kernel.tell(gone("k8"));
    await kernel.tell(item("one for it"));
    expect([overview.keys.length, kernel.faults]).toEqual([4096, []]);
    await kernel.tell(message("one more"));
    expect(kernel.faults.length).toBe(1);
    expect(kernel.faults[0]).toContain("there are at most 64");
    kernel.beginAnew();
    await vi.advanceTimersByTimeAsync(10_000);
    for (let i = 0; i < 4097; i++) kernel.tell(item(`n${i}`));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(kernel.faults.length).toBeGreaterThan(1);
    expect(kernel.faults[1]).toContain("there are at most 4096");
  });
});
