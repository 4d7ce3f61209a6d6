/** Messages from outlet to inlet: whole, once, in order, as credit and room allow, and what must not be. */

import { describe, expect, test } from "vitest";
import { CHUNK, type Frame, INITIAL_CREDIT, MESSAGE_COST } from "../../src/data/frames";
import { Inlet } from "../../src/data/inlet";
import { LossyInlet } from "../../src/data/lossy";
import { Outlet } from "../../src/data/outlet";
import { begin, bodyOf, framesOf, Line, parcel, Queue, reliable, same } from "./data_ends";

const BIG = 1_000_000;

/** Names of what arrived; the bodies are looked at. */
function arrived(queue: Queue, sizes: Record<string, number> = {}): string[] {
  return queue.messages.map(({ name, body }) => {
    const size = sizes[name.trim()];
    if (size !== undefined) expect(same(body, bodyOf(name.trim(), size))).toBe(true);
    return name.trim();
  });
}

describe("what arrives", () => {
  test.each([0, 1, 4096, 4097, CHUNK - 18, CHUNK - 17, CHUNK, CHUNK + 1, BIG])(
    "a message of %i bytes arrives whole, and its sender learns of it",
    (size) => {
      const queue = new Queue();
      const line = reliable(queue);
      const [message, ends] = parcel("a", size);
      line.outlet.put(message);
      line.flow();
      expect(arrived(queue, { a: size })).toEqual(["a"]);
      expect(ends).toEqual(["done"]);
      expect(line.outlet.waiting).toBe(0);
    },
  );

  test("no frame is longer than a chunk, and progress is told", () => {
    const line = reliable(new Queue());
    const told: number[] = [];
    line.outlet.put(parcel("a", BIG, (sent) => told.push(sent))[0]);
    while (line.send()) {
      expect(line.forth[0]?.length).toBeLessThanOrEqual(CHUNK);
      line.deliver();
      while (line.back.length > 0) line.answer();
    }
    expect(told).toEqual([...new Set(told)].sort((one, other) => one - other));
    expect(told.at(-1)).toBe(BIG);
  });

  test("messages arrive in order", () => {
    const queue = new Queue();
    const line = reliable(queue);
    for (const name of "abc") line.outlet.put(parcel(name, name === "b" ? BIG : 10)[0]);
    line.flow();
    expect(arrived(queue, { a: 10, b: BIG, c: 10 })).toEqual(["a", "b", "c"]);
  });

  test("parts may come in any order where the channel is not ordered", () => {
    const queue = new Queue();
    const line = reliable(queue, false);
    line.outlet.put(parcel("a", 150_000)[0]);
    line.outlet.put(parcel("b", 10)[0]);
    while (line.send());
    while (line.forth.length > 0) line.deliver(line.forth.length - 1);
    expect(arrived(queue, { a: 150_000, b: 10 }).sort()).toEqual(["a", "b"]);
  });

  test("a message lies in memory of its own, whatever becomes of the frames", () => {
    const queue = new Queue();
    const inlet = new Inlet(queue);
    const [first] = framesOf([begin(1, 4, "{}", Uint8Array.of(1, 2, 3, 4))]);
    inlet.receive(first as Frame);
    const body = queue.messages[0]?.body;
    expect([body?.byteOffset, body?.buffer.byteLength]).toEqual([0, 4]);
  });
});

describe("room", () => {
  test("a full queue holds its sender up until somebody reads", () => {
    const queue = new Queue(2);
    const line = reliable(queue);
    const ends = [..."abcd"].map((name) => {
      const [message, end] = parcel(name, 10);
      line.outlet.put(message);
      return end;
    });
    line.flow();
    expect(ends.map((end) => end.length)).toEqual([1, 1, 0, 0]);
    queue.read();
    line.room();
    line.flow();
    expect(ends.map((end) => end.length)).toEqual([1, 1, 1, 0]);
    expect(arrived(queue)).toEqual(["a", "b", "c"]);
  });

  test("what has no room waits within the credit of the beginning", () => {
    const queue = new Queue(1);
    const line = reliable(queue);
    for (const name of "abc") line.outlet.put(parcel(name, BIG)[0]);
    line.flow();
    expect(arrived(queue)).toEqual(["a"]);
    expect(line.sent - BIG).toBeGreaterThan(0);
    expect(line.sent - BIG).toBeLessThanOrEqual(INITIAL_CREDIT - MESSAGE_COST);
  });

  test("a message larger than the whole queue has room when it is empty", () => {
    const queue = new Queue(64, 1000);
    const line = reliable(queue);
    line.outlet.put(parcel("a", BIG)[0]);
    line.flow();
    expect(arrived(queue)).toEqual(["a"]);
  });

  test("thousands of messages use no credit up", () => {
    const queue = new Queue();
    const line = reliable(queue);
    for (let number = 0; number < 3000; number++) {
      line.outlet.put(parcel(String(number), 100)[0]);
      line.flow();
      queue.read();
    }
    expect(queue.messages.length).toBe(3000);
  });

  test("a message for which there is no memory costs the data channel, and leaves nothing reserved", () => {
    const queue = new Queue(64, Number.MAX_SAFE_INTEGER);
    for (const inlet of [new Inlet(queue), new LossyInlet(queue)]) {
      expect(() => inlet.receive(begin(1, Number.MAX_SAFE_INTEGER))).toThrow(/memory/);
      inlet.restart();
      expect([queue.count, queue.size]).toEqual([0, 0]);
    }
  });
});

describe("what is given up", () => {
  test("a message that is withdrawn does not arrive, and costs the next nothing", () => {
    const queue = new Queue();
    const line = reliable(queue);
    const [message, ends] = parcel("a", BIG);
    line.outlet.put(message);
    line.outlet.put(parcel("b", 10)[0]);
    line.send();
    line.deliver();
    line.outlet.withdraw(message);
    line.flow();
    expect(ends).toEqual(["done"]);
    expect(arrived(queue, { b: 10 })).toEqual(["b"]);
    expect([queue.count, queue.size]).toEqual([1, 10]);
  });

  test("one that waits whole at the receiver is taken back", () => {
    const queue = new Queue(1);
    const line = reliable(queue);
    const messages = [..."abc"].map((name) => parcel(name, 10)[0]);
    for (const message of messages) line.outlet.put(message);
    line.flow();
    if (messages[1]) line.outlet.withdraw(messages[1]);
    line.flow();
    queue.read();
    line.room();
    line.flow();
    expect(arrived(queue)).toEqual(["a", "c"]);
  });

  test("messages that are taken back while they wait use no credit up", () => {
    const queue = new Queue(1);
    const line = reliable(queue);
    line.outlet.put(parcel("first", 10)[0]);
    for (let number = 0; number < 600; number++) {
      const [message] = parcel(String(number), 1000);
      line.outlet.put(message);
      line.flow();
      line.outlet.withdraw(message);
      line.flow();
    }
    queue.read();
    line.outlet.put(parcel("last", 10)[0]);
    line.flow();
    expect(arrived(queue)).toEqual(["first", "last"]);
  });

  test("an abort that overtakes its message spends no more than its sender may", () => {
    const queue = new Queue();
    const line = reliable(queue, false);
    const [message] = parcel("a", BIG);
    line.outlet.put(message);
    line.outlet.put(parcel("b", 10)[0]);
    line.send();
    line.send();
    line.outlet.withdraw(message);
    line.send();
    line.deliver(2);
    line.deliver(1);
    line.deliver(0);
    line.flow();
    expect(arrived(queue)).toEqual(["b"]);
  });

  test("withdrawing what was taken is harmless", () => {
    const queue = new Queue();
    const line = reliable(queue);
    const [message, ends] = parcel("a", 10);
    line.outlet.put(message);
    line.flow();
    line.outlet.withdraw(message);
    line.flow();
    expect(ends).toEqual(["done"]);
    expect(line.outlet.waiting).toBe(0);
  });

  test("nor does it take back another message that has its number on the next data channel", () => {
    const queue = new Queue();
    const line = reliable(queue);
    const [old, ends] = parcel("a", 10);
    line.outlet.put(old);
    line.flow();
    line.reconnect();
    line.outlet.put(parcel("b", 10)[0]);
    line.send();
    line.outlet.withdraw(old);
    line.flow();
    expect(ends).toEqual(["done"]);
    expect(arrived(queue)).toEqual(["a", "b"]);
  });

  test("closing ends all that waits", () => {
    const line = reliable(new Queue(1));
    const ends = [..."abc"].map((name) => {
      const [message, end] = parcel(name, BIG);
      line.outlet.put(message);
      return end;
    });
    line.flow();
    line.outlet.close();
    expect(ends).toEqual([["done"], ["done"], ["done"]]);
  });
});

describe("another connection", () => {
  test("what was not taken is sent again and arrives once", () => {
    const queue = new Queue();
    const line = reliable(queue);
    const sizes = { a: 10, b: BIG, c: 10 };
    for (const [name, size] of Object.entries(sizes)) line.outlet.put(parcel(name, size)[0]);
    for (let step = 0; step < 3; step++) {
      line.send();
      line.deliver();
    }
    expect(arrived(queue)).toEqual(["a"]); // whose TAKEN gets lost with the connection
    line.reconnect();
    expect(queue.count).toBe(1);
    line.flow();
    expect(arrived(queue, sizes)).toEqual(["a", "b", "c"]);
    expect(line.outlet.waiting).toBe(0);
  });

  test("messages without names do not hide each other", () => {
    const queue = new Queue(64, 2 ** 30, false);
    const line = reliable(queue);
    for (let count = 0; count < 2; count++) line.outlet.put(parcel("a", BIG)[0]);
    line.flow();
    line.outlet.put(parcel("a", BIG)[0]);
    line.send();
    line.deliver();
    line.reconnect();
    expect([queue.count, queue.size]).toEqual([2, 2 * BIG]);
    line.flow();
    expect(queue.messages.length).toBe(3);
  });

  test("the names of the last 128 messages are remembered, and no more", () => {
    const queue = new Queue(1000);
    const inlet = new Inlet(queue);
    for (let number = 1; number <= 129; number++) inlet.receive(begin(number, 0, `n${number}`));
    inlet.restart();
    inlet.receive(begin(1, 0, "n2"));
    expect(queue.messages.length).toBe(129);
    inlet.receive(begin(2, 0, "n1"));
    expect(queue.messages.length).toBe(130);
  });
});

describe("newest wins", () => {
  const live = (queue: Queue) =>
    new Line(new Outlet(false, { messages: 1, bytes: 2 ** 40 }), new LossyInlet(queue));

  test("without confirmation a sender does not wait", () => {
    const queue = new Queue();
    const line = live(queue);
    const [message, ends] = parcel("a", BIG);
    line.outlet.put(message);
    line.flow();
    expect(ends).toEqual(["done"]);
    expect(arrived(queue, { a: BIG })).toEqual(["a"]);
  });

  test("of live values that wait only the newest is sent", () => {
    const queue = new Queue();
    const line = live(queue);
    const ends = [..."abcd"].map((name) => {
      const [message, end] = parcel(name, BIG);
      line.outlet.put(message);
      line.send(); // the first is begun, and goes on
      return end;
    });
    line.flow();
    expect(arrived(queue)).toEqual(["a", "d"]);
    expect(ends).toEqual(Array(4).fill(["done"]));
  });

  test("a queue that drops its oldest keeps within both its bounds", () => {
    const outlet = new Outlet(true, { messages: 3, bytes: 1000 });
    const ends = Array.from({ length: 10 }, (_, number) => {
      const [message, end] = parcel(String(number), 10);
      outlet.put(message);
      return end;
    });
    expect(ends.map((end) => end.length)).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    outlet.put(parcel("large", 5000)[0]);
    expect(outlet.waiting).toBe(1);
  });

  test.each([0, 1, 2, 3])("a message of which part %i is lost is dropped with the next", (lost) => {
    const queue = new Queue();
    const line = new Line(new Outlet(false), new LossyInlet(queue));
    line.outlet.put(parcel("a", 200_000)[0]);
    while (line.send());
    expect(line.forth.length).toBe(4);
    line.forth.splice(lost, 1);
    line.outlet.put(parcel("b", 10)[0]);
    line.flow();
    expect(arrived(queue)).toEqual(["b"]);
    expect(queue.count).toBe(1);
  });

  test("a message that was overtaken by a newer one is stale", () => {
    const queue = new Queue();
    const line = new Line(new Outlet(false), new LossyInlet(queue, false));
    for (const name of "ab") line.outlet.put(parcel(name, 10)[0]);
    while (line.send());
    line.deliver(1);
    line.deliver(0);
    expect(arrived(queue)).toEqual(["b"]);
  });

  test("messages that never finish take the room of a few", () => {
    const queue = new Queue(1000);
    const inlet = new LossyInlet(queue, false);
    for (let number = 1; number <= 1000; number++) inlet.receive(begin(number, BIG));
    expect(queue.count).toBe(4);
    inlet.restart();
    expect([queue.count, queue.size]).toEqual([0, 0]);
  });
});
