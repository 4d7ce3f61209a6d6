/** What one side may make the other keep: bounded, whatever a hostile participant does. */

import { describe, expect, test } from "vitest";
import { Inlet } from "../../src/data/inlet";
import { Outlet } from "../../src/data/outlet";
import { credit, Line, parcel, Queue, reliable } from "./data_ends";

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
