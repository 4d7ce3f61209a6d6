/** Data channels that the other side opened before we knew that we want them, and what came on them; runs in the browser tab. */

import { INITIAL_CREDIT } from "./frames";

/** Milliseconds for which one is kept: the news that somebody has opened a channel may be slower than its data channel. */
const PARK = 5_000;
/** Such data channels; a participant has 64 channels and a few. */
const MOST = 80;
/** Frames in one: what the first credit allows, and their aborts. */
const MOST_FRAMES = 512;
/** Bytes in one: what the first credit allows, and as much for the headers, which are shorter than a message costs. */
const MOST_BYTES = 2 * INITIAL_CREDIT;
/** Bytes in all of them. */
const MOST_BYTES_OF_ALL = 4 * 1024 * 1024;

/** One that is wanted now. */
export interface Early {
  channel: RTCDataChannel;
  /** What came on it. */
  messages: ArrayBuffer[];
}

interface Parked extends Early {
  bytes: number;
  timer: ReturnType<typeof setTimeout>;
  /** Ends the listening. */
  listening: AbortController;
}

/** Bounded: what is too much costs the data channel that it comes on; where messages may be lost, the oldest of its messages. */
export class ParkedChannels {
  /** By label. */
  readonly #parked = new Map<string, Parked>();
  #bytes = 0;

  /** Keep it for a while; false where it cannot be kept. */
  park(channel: RTCDataChannel): boolean {
    const { label } = channel;
    if (this.#parked.has(label) || this.#parked.size >= MOST) return false;
    const listening = new AbortController();
    const timer = setTimeout(() => this.#refuse(label), PARK);
    this.#parked.set(label, { channel, messages: [], bytes: 0, timer, listening });
    channel.binaryType = "arraybuffer";
    const { signal } = listening;
    channel.addEventListener("message", ({ data }) => this.#keep(label, data), { signal });
    channel.addEventListener("close", () => this.take(label), { signal });
    return true;
  }

  /** It is kept no more. */
  take(label: string): Early | null {
    const parked = this.#parked.get(label);
    if (!parked) return null;
    this.#parked.delete(label);
    this.#bytes -= parked.bytes;
    clearTimeout(parked.timer);
    parked.listening.abort();
    return parked;
  }

  /** None is wanted any more. */
  clear(): void {
    for (const label of [...this.#parked.keys()]) this.#refuse(label);
  }

  #refuse(label: string): void {
    this.take(label)?.channel.close();
  }

  #keep(label: string, data: unknown): void {
    const parked = this.#parked.get(label);
    if (!parked) return;
    if (!(data instanceof ArrayBuffer)) {
      this.#refuse(label); // text
      return;
    }
    parked.messages.push(data);
    this.#count(parked, data.byteLength);
    while (this.#isTooMuch(parked)) {
      const oldest = parked.channel.maxRetransmits === null ? undefined : parked.messages.shift();
      if (!oldest) {
        this.#refuse(label);
        return;
      }
      this.#count(parked, -oldest.byteLength);
    }
  }

  #count(parked: Parked, bytes: number): void {
    parked.bytes += bytes;
    this.#bytes += bytes;
  }

  #isTooMuch({ messages, bytes }: Parked): boolean {
    return messages.length > MOST_FRAMES || bytes > MOST_BYTES || this.#bytes > MOST_BYTES_OF_ALL;
  }
}
