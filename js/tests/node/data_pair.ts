/** Two ends of a data link, over connections in memory; for fake timers. */

import { afterEach, beforeEach, expect, vi } from "vitest";
import { DataLink, type Port } from "../../src/data/data_link";
import { decode, type Frame } from "../../src/data/frames";
import { Inlet } from "../../src/data/inlet";
import { LossyInlet } from "../../src/data/lossy";
import { Outlet } from "../../src/data/outlet";
import { parcel, Queue } from "./data_ends";
import { type FakeConnection, fakePair } from "./fake_rtc";

export class TestPort implements Port {
  readonly queue = new Queue();
  readonly outlet: Outlet;
  readonly inlet: Inlet | LossyInlet;

  constructor(
    readonly ordered = true,
    readonly reliable = true,
  ) {
    this.outlet = new Outlet(reliable);
    this.inlet = reliable ? new Inlet(this.queue, ordered) : new LossyInlet(this.queue, ordered);
  }
}

/** One participant's link to the other. */
export class End {
  readonly faults: string[] = [];
  readonly link = new DataLink({ fault: (label, why) => this.faults.push(`${label}: ${why}`) });
  readonly ports = new Map<string, TestPort>();

  open(label: string, ordered = true, reliable = true): TestPort {
    const port = new TestPort(ordered, reliable);
    this.ports.set(label, port);
    this.link.open(label, port);
    return port;
  }

  send(label: string, name: string, size = 10): string[] {
    const [message, ends] = parcel(name, size);
    this.ports.get(label)?.outlet.put(message);
    this.link.pump();
    return ends;
  }

  arrived(label: string): string[] {
    return (this.ports.get(label)?.queue.names ?? []).map((name) => name.trim());
  }
}

export let one: End;
export let other: End;
/** The connections of the two ends. */
export let here: FakeConnection;
export let there: FakeConnection;

/** Give the two a new connection; the first one opens data channels. */
export function connect(): void {
  here?.die();
  there?.die();
  [here, there] = fakePair();
  one.link.attach(here.pc, true);
  other.link.attach(there.pc, false);
}

export function disconnect(): void {
  one.link.detach();
  other.link.detach();
  here.die();
  there.die();
}

export const pass = (ms = 200) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  one = new End();
  other = new End();
  connect();
});
afterEach(() => {
  one.link.dispose();
  other.link.dispose();
  here.die();
  there.die();
  expect(vi.getTimerCount()).toBe(0); // nothing may stay behind
  vi.useRealTimers();
});

export function openBoth(label: string, ordered = true, reliable = true): void {
  one.open(label, ordered, reliable);
  other.open(label, ordered, reliable);
}

/** What was sent on the data channel of this label. */
export function frames(connection: FakeConnection, label: string): Frame[] {
  return connection.channel(label).sent.map((data) => decode(data));
}
