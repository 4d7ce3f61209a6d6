/** What one side may make the other keep: bounded, whatever a hostile participant does. */

import { describe, expect, test } from "vitest";
import { Inlet } from "../../src/data/inlet";
import { LossyInlet } from "../../src/data/lossy";
import { Outlet } from "../../src/data/outlet";
import { begin, credit, Line, more, parcel, Queue, reliable } from "./data_ends";

describe("what is not confirmed", () => {
  /** Names of so many messages, and an outlet that has them. */
  function put(outlet: Outlet, count: number, size = 0): string[] {
    const names = Array.from({ length: count }, (_, number) => `m${number}`);
    for (const name of names) outlet.put(parcel(name, size)[0]);
    return names;
  }

  test("is no more than the receiver remembers, so that nothing arrives twice", () => {
    const queue = new Queue(1000);
    const line = reliable(queue);
    const names = put(line.outlet, 200);
    for (let time = 0; time < 3; time++) {
      while (line.send()) line.deliver(); // all is taken, but the sender does not hear of it
      line.reconnect();
    }
    line.flow();
    expect(queue.names).toEqual(names);
    expect(line.outlet.waiting).toBe(0);
  });

  test("nor is the oldest forgotten where only its confirmation is late", () => {
    const queue = new Queue(1000);
    const line = reliable(queue, false);
    const names = put(line.outlet, 200);
    line.send();
    line.deliver();
    const [late] = line.back.splice(0, 1);
    expect(late).toHaveLength(8); // TAKEN
    line.flow();
    line.reconnect();
    line.flow();
    expect(queue.names).toEqual(names);
  });

  test("goes on when something is confirmed, or withdrawn", () => {
    const line = reliable(new Queue(1000));
    const messages = Array.from({ length: 70 }, (_, number) => parcel(`m${number}`)[0]);
    for (const message of messages) line.outlet.put(message);
    while (line.send());
    expect(line.forth).toHaveLength(64);
    line.deliver();
    line.answer();
    while (line.send());
    expect(line.forth).toHaveLength(64);
    if (messages[1]) line.outlet.withdraw(messages[1]);
    while (line.send());
    expect(line.forth).toHaveLength(66); // an ABORT and a BEGIN
  });

  test("has no more bytes than what may wait, and one message, where nobody waits for it", () => {
    const outlet = new Outlet(true, { messages: 64, bytes: 250_000 });
    outlet.receive(credit(Number.MAX_SAFE_INTEGER) as { type: "credit"; total: number });
    let sent = 0;
    for (let number = 0; number < 100; number++) {
      put(outlet, 1, 100_000);
      for (let frame = outlet.nextFrame(); frame; frame = outlet.nextFrame())
        if (frame.type === "begin") sent += frame.size;
    }
    expect(sent).toBe(300_000);
    expect(outlet.waiting).toBe(5);
  });

  test("may be one message larger than that", () => {
    const queue = new Queue();
    const line = new Line(new Outlet(true, { messages: 64, bytes: 1000 }), new Inlet(queue));
    for (let number = 0; number < 5; number++) {
      line.outlet.put(parcel(`m${number}`, 100_000)[0]);
      line.flow();
    }
    expect(queue.names).toEqual(["m0", "m1", "m2", "m3", "m4"]);
  });
});

describe("parts in any order", () => {
  const BYTE = new Uint8Array(1);

  test.each([
    ["reliable", (queue: Queue) => new Inlet(queue, false)],
    ["not reliable", (queue: Queue) => new LossyInlet(queue, false)],
  ])("have at most 4096 separate ranges in a message (%s)", (_, make) => {
    const queue = new Queue();
    const inlet = make(queue);
    inlet.receive(begin(1, 100_000));
    for (let count = 0; count < 4096; count++) inlet.receive(more(1, 2 * count, BYTE));
    inlet.receive(more(1, 1, BYTE)); // joins two of them
    inlet.receive(more(1, 50_000, BYTE));
    expect(() => inlet.receive(more(1, 60_000, BYTE))).toThrow(/more than 4096 separate ranges/);
    inlet.restart();
    expect([queue.count, queue.size]).toEqual([0, 0]);
  });

  /** An inlet whose queue has no room, which has a message of 4000 bytes outside. */
  function full(): [Inlet, Queue] {
    const queue = new Queue(1);
    const inlet = new Inlet(queue, false);
    inlet.receive(begin(1, 0, "n1"));
    inlet.receive(begin(2, 4000, "n2"));
    return [inlet, queue];
  }

  test("are at most 1024 where there is no place for them yet, in one message or in several", () => {
    for (const most of [1024, 500]) {
      const [inlet] = full();
      const parts = Array.from({ length: 1025 }, (_, number) =>
        number < most ? more(2, number, BYTE) : more(3 + (number % 7), number, BYTE),
      );
      const last = parts.pop();
      for (const part of parts) inlet.receive(part);
      expect(() => inlet.receive(last ?? begin(1, 0))).toThrow(/more than 1024 parts/);
    }
  });

  test("are as many as they like where there is", () => {
    const [inlet, queue] = full();
    for (let offset = 0; offset < 1000; offset++) inlet.receive(more(2, offset, BYTE));
    queue.read();
    inlet.advance();
    for (let offset = 1000; offset < 4000; offset++) inlet.receive(more(2, offset, BYTE));
    expect(queue.names).toEqual(["n1", "n2"]);
  });
});
