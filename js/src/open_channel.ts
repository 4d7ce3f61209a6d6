/** One channel that this tab opens: from the wish to its end, and tied to those who have it open, too; runs in the browser tab. */

import type { Channel as ChannelRecord } from "./channel";
import type { Channel } from "./data/channel";
import type { DataLink } from "./data/data_link";
import type { Sender } from "./data/receiver";
import { notInRoom } from "./errors";
import type { Participant } from "./protocol";

/** Whose doing it is where a channel ends that was open. */
const SERVER: Sender = { id: "", name: "the server" };

export interface Ways {
  /** The data channels of somebody who is in the room. */
  link(participant: string): DataLink | null;
  /** Have a connection for data with a participant until the returned function is called. */
  needData(participant: string): () => void;
}

export class OpenChannel {
  readonly record: ChannelRecord;
  readonly channel: Channel;
  /** Kept when the room knows of the channel, broken when it will not. */
  readonly opened: Promise<Channel>;
  #settle: { resolve(channel: Channel): void; reject(why: unknown): void } | null = null;
  readonly #ways: Ways;
  /** Those who have it open, too: what ends the need for a connection with each. */
  readonly #ties = new Map<string, () => void>();

  constructor(record: ChannelRecord, channel: Channel, ways: Ways) {
    this.record = record;
    this.channel = channel;
    this.#ways = ways;
    this.opened = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  /** False while the server has not answered. */
  get known(): boolean {
    return this.#settle === null;
  }

  /** The server has told the others. */
  accept(): void {
    this.#settle?.resolve(this.channel);
    this.#settle = null;
  }

  /** Somebody's record, new or changed. */
  met({ id, name, channels = [] }: Participant): void {
    // Before the server has answered it may be that theirs has other options: then it will refuse ours.
    const same = channels.some((theirs) => sameChannel(theirs, this.record));
    if (!same) this.part(id);
    else if (!this.#ties.has(id)) this.#tie(id, name);
  }

  /** They are gone, or have it open no more. */
  part(id: string): void {
    const release = this.#ties.get(id);
    if (!this.#ties.delete(id)) return;
    this.channel.removeReceiver(id);
    release?.();
  }

  /** It is over: because of `why`, or by somebody's wish. Doing it twice is harmless. */
  end(why: unknown): void {
    for (const id of [...this.#ties.keys()]) this.part(id);
    this.#settle?.reject(why ?? notInRoom("the room was left before the channel was open"));
    const error = why instanceof Error ? why : null;
    if (error && this.known && !this.channel.closed) this.#complain(error);
    this.#settle = null;
    this.channel.close(error);
  }

  /** A turn later, as the "close" that follows it. */
  #complain({ message }: Error): void {
    const detail = { sender: SERVER, message };
    queueMicrotask(() => this.channel.dispatchEvent(new CustomEvent("error", { detail })));
  }

  #tie(id: string, name: string): void {
    const link = this.#ways.link(id);
    if (!link) return;
    this.#ties.set(id, this.#ways.needData(id));
    this.channel.addReceiver(id, name, link);
  }
}

/** Both as they were read: what has its default is absent. */
export function sameChannel(one: ChannelRecord, other: ChannelRecord): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
