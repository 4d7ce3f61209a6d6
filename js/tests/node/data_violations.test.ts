/** What must not come on a data channel: each is noticed, and leaves nothing reserved. */

import { describe, expect, test } from "vitest";
import { type Frame, INITIAL_CREDIT, MESSAGE_COST } from "../../src/data/frames";
import { Inlet } from "../../src/data/inlet";
import { LossyInlet } from "../../src/data/lossy";
import { Outlet } from "../../src/data/outlet";
import { Violation } from "../../src/data/violation";
import { abort, begin, credit, framesOf, more, parcel, Queue, taken } from "./data_ends";

const BIG = 1_000_000;

describe("what must not be", () => {
  const PART = new Uint8Array(100);

  /** The last frame is refused, those before it are not; nothing stays reserved. */
  function refused(ordered: boolean, frames: Frame[]): void {
    const queue = new Queue();
    const inlet = new Inlet(queue, ordered);
    const [bad, ...good] = framesOf(frames).reverse();
    for (const frame of good.reverse()) inlet.receive(frame);
    expect(() => inlet.receive(bad as Frame)).toThrow(Violation);
    inlet.restart();
    expect(queue.count).toBe(queue.messages.length);
    expect(inlet.replies).toEqual([]);
  }

  test.each<[string, Frame[]]>([
    ["a number is left out", [begin(2, 0)]],
    ["a message begins before the one before it has ended", [begin(1, 200, "{}", PART), begin(2, 0)]],
    ["a part of nothing", [more(1, 0, PART)]],
    ["a part of what is over", [begin(1, 0), more(1, 0, PART)]],
    ["a part that was there", [begin(1, 300, "{}", PART), more(1, 0, PART)]],
    ["a part that overlaps", [begin(1, 300, "{}", PART), more(1, 50, PART)]],
    ["a part that is not the next one", [begin(1, 300, "{}", PART), more(1, 150, PART)]],
    ["a last part where the first is missing", [begin(1, 300), more(1, 200, PART)]],
    ["a part beyond the end", [begin(1, 150, "{}", PART), more(1, 100, PART)]],
    ["an abort of nothing", [abort(1)]],
    ["a header that is refused", [begin(1, 0, "bad")]],
    ["a confirmation", [taken(1)]],
    ["a credit", [credit(1)]],
  ])("%s", (_, frames) => refused(true, frames));

  test.each<[string, Frame[]]>([
    ["a message begins twice", [begin(1, 0), begin(1, 0)]],
    ["a number far ahead", [begin(2000, 0)]],
    ["a part of a number far ahead", [more(2000, 0, PART)]],
    ["an abort of a number far ahead", [abort(2000)]],
    ["an abort that comes twice", [abort(1), abort(1)]],
    ["early parts that overlap", [more(1, 0, PART), more(1, 50, PART), begin(1, 300)]],
    ["early parts beyond the end", [more(1, 100, PART), begin(1, 150)]],
    ["early parts of what was aborted beyond the end", [more(1, 0, PART), abort(1), begin(1, 50)]],
  ])("without order: %s", (_, frames) => refused(false, frames));

  test.each<[string, Frame[]]>([
    ["a message begins twice", [begin(1, 300), begin(1, 300)]],
    ["a part that was there", [begin(1, 300, "{}", PART), more(1, 0, PART)]],
    ["a header that is refused", [begin(1, 0, "bad")]],
    ["a confirmation", [taken(1)]],
  ])("where frames may be lost: %s", (_, frames) => {
    const inlet = new LossyInlet(new Queue(), false);
    for (const frame of frames.slice(0, -1)) inlet.receive(frame);
    expect(() => inlet.receive(frames.at(-1) as Frame)).toThrow(Violation);
  });

  /** How many of the frames an inlet takes before it says that the credit is spent. */
  function spent(inlet: Inlet, frame: (number: number) => Frame): number {
    for (let number = 1; number < 1000; number++) {
      try {
        inlet.receive(frame(number));
      } catch (error) {
        expect(String(error)).toContain("credit");
        return number - 1;
      }
    }
    throw new Error("the credit has no end");
  }

  test("what has no room may spend the credit and no more", () => {
    const inlet = new Inlet(new Queue(1));
    expect(spent(inlet, (number) => begin(number, 0, `n${number}`))).toBe(INITIAL_CREDIT / MESSAGE_COST + 1);
  });

  test("parts without a beginning take no more than the credit", () => {
    const inlet = new Inlet(new Queue(), false);
    const count = spent(inlet, (number) => more(number, 0, new Uint8Array(10_000)));
    expect(count).toBe(Math.floor(INITIAL_CREDIT / 10_000));
  });

  test("an outlet refuses confirmations of what it never sent", () => {
    const outlet = new Outlet();
    expect(() => outlet.receive({ type: "taken", number: 1 })).toThrow(Violation);
    outlet.put(parcel("a", BIG)[0]);
    outlet.nextFrame();
    expect(() => outlet.receive({ type: "taken", number: 1 })).toThrow(Violation);
    expect(() => new Outlet(false).receive({ type: "credit", total: 2 ** 20 })).toThrow(Violation);
  });
});
