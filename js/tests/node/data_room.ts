/** Participants that have one channel open, each connected to each in memory; for fake timers. */

import { vi } from "vitest";
import type { Channel as ChannelRecord } from "../../src/channel";
import { Channel } from "../../src/data/channel";
import { DataLink } from "../../src/data/data_link";
import { type FakeConnection, fakePair } from "./fake_rtc";

/** What a pair has: the link of each to the other, by whose it is, and the connections. */
interface Pair {
  links: Map<string, DataLink>;
  connections: Map<string, FakeConnection>;
}

export class Room {
  readonly channels = new Map<string, Channel>();
  readonly #pairs = new Map<string, Pair>();

  /** Names are ids in small letters. */
  constructor(names: readonly string[], options: Omit<ChannelRecord, "name"> = {}, limit?: number) {
    for (const name of names) this.channels.set(name, new Channel({ name: "a", ...options }, limit));
    for (const one of names) for (const other of names) if (one < other) this.#join(one, other);
  }

  channel(name: string): Channel {
    const channel = this.channels.get(name);
    if (!channel) throw new Error(`there is no ${name}`);
    return channel;
  }

  /** The connection of one to another. */
  connection(one: string, other: string): FakeConnection {
    return this.#pair(one, other).connections.get(one) as FakeConnection;
  }

  /** The connection of the two is replaced. */
  reconnect(one: string, other: string): void {
    this.disconnect(one, other);
    this.#connect(this.#pair(one, other));
  }

  disconnect(one: string, other: string): void {
    const { links, connections } = this.#pair(one, other);
    for (const link of links.values()) link.detach();
    for (const connection of connections.values()) connection.die();
  }

  /** One has another name, as another learns. */
  rename(name: string, whose: string, now: string): void {
    const link = this.#pair(name, whose).links.get(whose) as DataLink;
    this.channel(whose).addReceiver(name.toLowerCase(), now, link);
  }

  /** One leaves: the others learn of it. */
  leave(name: string): void {
    for (const other of this.channels.keys()) {
      if (other === name) continue;
      this.channel(other).removeReceiver(name.toLowerCase());
      this.#pair(name, other).links.get(other)?.dispose();
      this.disconnect(name, other);
    }
    this.channel(name).close();
  }

  end(): void {
    for (const name of this.channels.keys()) this.leave(name);
  }

  #pair(one: string, other: string): Pair {
    return this.#pairs.get([one, other].sort().join()) as Pair;
  }

  #join(one: string, other: string): void {
    const links = new Map<string, DataLink>();
    for (const [mine, theirs] of [
      [one, other],
      [other, one],
    ] as const) {
      const fault = (_: string, why: string) => this.channel(mine).fault(theirs.toLowerCase(), why);
      links.set(mine, new DataLink({ fault }));
    }
    const pair = { links, connections: new Map<string, FakeConnection>() };
    this.#pairs.set([one, other].join(), pair);
    this.#connect(pair);
    this.channel(one).addReceiver(other.toLowerCase(), other, links.get(one) as DataLink);
    this.channel(other).addReceiver(one.toLowerCase(), one, links.get(other) as DataLink);
  }

  #connect({ links, connections }: Pair): void {
    const [one, other] = fakePair();
    for (const [index, [name, link]] of [...links].entries()) {
      const connection = index === 0 ? one : other;
      connections.set(name, connection);
      link.attach(connection.pc, index === 0);
    }
  }
}

export const pass = (ms = 100) => vi.advanceTimersByTimeAsync(ms);

/** What became of a promise so far. */
export function watched<T>(promise: Promise<T>): { value?: T; error?: unknown; settled: boolean } {
  const state: { value?: T; error?: unknown; settled: boolean } = { settled: false };
  promise.then(
    (value) => Object.assign(state, { value, settled: true }),
    (error: unknown) => Object.assign(state, { error, settled: true }),
  );
  return state;
}

/** All that can be read of a channel now. */
export async function readAll(channel: Channel): Promise<unknown[]> {
  const values: unknown[] = [];
  for (;;) {
    const next = watched(channel.receive({ timeout: 0.05 }));
    await pass(60);
    if (!next.value) return values;
    values.push(next.value.value);
  }
}
