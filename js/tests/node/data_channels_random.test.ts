/** Random scripts of sending, reading, withdrawing, reconnecting: nothing honest is refused, lost or doubled. */

import { describe, expect, test } from "vitest";
import { LossyInlet } from "../../src/data/lossy";
import { Outlet, type Parcel } from "../../src/data/outlet";
import { bodyOf, dice, Line, parcel, Queue, reliable, same } from "./data_ends";

const SEEDS = Array.from({ length: 200 }, (_, seed) => seed + 1);
const SIZES = [0, 1, 100, 4097, 65_000, 66_000, 150_000, 700_000];
const STEPS = ["put", "put", "send", "send", "deliver", "answer", "flow", "read", "withdraw", "reconnect"];

/** Carries steps out. */
class Script {
  readonly queue: Queue;
  readonly line: Line;
  readonly parcels = new Map<string, { parcel: Parcel; size: number; ends: string[] }>();
  readonly withdrawn = new Set<string>();

  constructor(
    readonly ordered: boolean,
    readonly roll: (most: number) => number,
  ) {
    this.queue = new Queue(1 + roll(4), 500_000);
    this.line = reliable(this.queue, ordered);
  }

  step(): void {
    const { line, roll } = this;
    const what = STEPS[roll(STEPS.length)];
    if (what === "put") this.#put(SIZES[roll(SIZES.length)] as number);
    else if (what === "send") line.send();
    else if (what === "deliver" && line.forth.length > 0)
      line.deliver(this.ordered ? 0 : roll(line.forth.length));
    else if (what === "answer" && line.back.length > 0) line.answer();
    else if (what === "flow") line.flow();
    else if (what === "read") this.#read();
    else if (what === "withdraw") this.#withdraw();
    else if (what === "reconnect" && roll(3) === 0) line.reconnect();
  }

  finish(): void {
    this.line.flow();
    while (this.#read()) this.line.flow();
  }

  #put(size: number): void {
    const name = `m${this.parcels.size}`;
    const [message, ends] = parcel(name, size);
    this.parcels.set(name, { parcel: message, size, ends });
    this.line.outlet.put(message);
  }

  #read(): boolean {
    const read = this.queue.read();
    if (read) this.line.room();
    return read;
  }

  #withdraw(): void {
    const names = [...this.parcels.keys()];
    const name = names[this.roll(names.length)];
    const message = this.parcels.get(name ?? "");
    if (!name || !message) return;
    this.withdrawn.add(name);
    this.line.outlet.withdraw(message.parcel);
  }
}

describe.each([true, false])("on a reliable channel, ordered: %s", (ordered) => {
  test.each(SEEDS)("every message that is not withdrawn arrives once (%i)", (seed) => {
    const script = new Script(ordered, dice(seed));
    for (let step = 0; step < 120; step++) script.step();
    script.finish();
    const { queue, parcels, withdrawn } = script;
    const names = queue.names;
    expect(new Set(names).size).toBe(names.length);
    for (const [name, { ends }] of parcels) {
      expect(ends).toEqual(["done"]);
      if (!withdrawn.has(name)) expect(names).toContain(name);
    }
    if (ordered) expect(names).toEqual([...parcels.keys()].filter((name) => names.includes(name)));
    for (const { name, body } of queue.messages)
      expect(same(body, bodyOf(name, parcels.get(name)?.size ?? -1))).toBe(true);
    expect([queue.count, queue.size]).toEqual([0, 0]);
  });
});

describe.each([true, false])("where frames are lost, ordered: %s", (ordered) => {
  test.each(SEEDS)("what arrives is whole, and newer each time (%i)", (seed) => {
    const roll = dice(seed);
    const loss = roll(6) / 10;
    const queue = new Queue(1000);
    const line = new Line(new Outlet(false), new LossyInlet(queue, ordered));
    const sizes = Array.from({ length: 1 + roll(12) }, () => SIZES[roll(SIZES.length)] as number);
    for (const [number, size] of sizes.entries()) line.outlet.put(parcel(`m${number}`, size)[0]);
    while (line.send()) if (roll(100) < loss * 100) line.forth.pop();
    while (line.forth.length > 0) line.deliver(ordered ? 0 : roll(Math.min(line.forth.length, 4)));
    const numbers = queue.names.map((name) => Number(name.slice(1)));
    expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other));
    for (const { name, body } of queue.messages)
      expect(same(body, bodyOf(name, sizes[Number(name.slice(1))] as number))).toBe(true);
    line.inlet.restart();
    expect(queue.count).toBe(queue.messages.length);
    if (loss === 0 && ordered) expect(numbers.length).toBe(sizes.length);
  });
});
