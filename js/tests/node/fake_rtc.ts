/** Two connections joined in memory: data channels with buffers, whose frames take a millisecond each; for fake timers. */

type Item = { channel: FakeChannel } & (
  | { is: "open" | "ack" | "close" }
  | { is: "data"; data: ArrayBuffer | string }
);

/** As far as a data link uses an `RTCDataChannel`. */
export class FakeChannel extends EventTarget {
  readyState: RTCDataChannelState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = -1;
  binaryType = "blob";
  readonly protocol: string;
  readonly ordered: boolean;
  readonly maxRetransmits: number | null;
  readonly maxPacketLifeTime: number | null;
  readonly negotiated: boolean;
  /** The other end of it. */
  twin: FakeChannel | null = null;
  /** What its owner sent. */
  readonly sent: (ArrayBuffer | string)[] = [];

  constructor(
    readonly connection: FakeConnection,
    readonly label: string,
    readonly options: RTCDataChannelInit = {},
  ) {
    super();
    this.protocol = options.protocol ?? "";
    this.ordered = options.ordered ?? true;
    this.maxRetransmits = options.maxRetransmits ?? null;
    this.maxPacketLifeTime = options.maxPacketLifeTime ?? null;
    this.negotiated = options.negotiated ?? false;
  }

  send(data: Uint8Array<ArrayBuffer> | string): void {
    if (this.readyState !== "open") throw new DOMException("not open", "InvalidStateError");
    const copy = typeof data === "string" ? data : data.slice().buffer;
    this.bufferedAmount += data.length;
    this.sent.push(copy);
    this.connection.transmit({ channel: this, is: "data", data: copy });
  }

  close(): void {
    if (this.readyState === "closing" || this.readyState === "closed") return;
    this.readyState = "closing";
    this.connection.transmit({ channel: this, is: "close" });
  }

  /** A frame of it left the buffer. */
  drained(bytes: number): void {
    const above = this.bufferedAmount > this.bufferedAmountLowThreshold;
    this.bufferedAmount -= bytes;
    if (above && this.bufferedAmount <= this.bufferedAmountLowThreshold)
      this.dispatchEvent(new Event("bufferedamountlow"));
  }

  become(state: "open" | "closed"): void {
    if (this.readyState === "closed" || this.readyState === state) return;
    this.readyState = state;
    this.dispatchEvent(new Event(state === "open" ? "open" : "close"));
  }
}

/** As far as a data link uses an `RTCPeerConnection`. */
export class FakeConnection extends EventTarget {
  other: FakeConnection | null = null;
  readonly channels: FakeChannel[] = [];
  /** True while nothing gets through. */
  paused = false;
  dead = false;
  /** Whether a frame gets lost on its way. */
  loses: (channel: FakeChannel) => boolean = () => false;
  /** The most that was in all buffers together. */
  mostBuffered = 0;
  readonly #queue: Item[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  get pc(): RTCPeerConnection {
    return this as unknown as RTCPeerConnection;
  }

  createDataChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel {
    if (this.dead) throw new DOMException("closed", "InvalidStateError");
    const channel = new FakeChannel(this, label, options);
    this.channels.push(channel);
    this.transmit({ channel, is: "open" });
    return channel as unknown as RTCDataChannel;
  }

  /** The data channel of this label that was made last. */
  channel(label: string): FakeChannel {
    const channel = this.channels.findLast((channel) => channel.label === label);
    if (!channel) throw new Error(`there is no ${label}`);
    return channel;
  }

  /** How many data channels of this label were made, or came. */
  count(label: string): number {
    return this.channels.filter((channel) => channel.label === label).length;
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.#schedule();
  }

  transmit(item: Item): void {
    if (this.dead) return;
    this.#queue.push(item);
    const buffered = this.channels.reduce((sum, channel) => sum + channel.bufferedAmount, 0);
    this.mostBuffered = Math.max(this.mostBuffered, buffered);
    this.#schedule();
  }

  /** Gone, with all that was under way, and nobody is told. */
  die(): void {
    this.dead = true;
    clearTimeout(this.#timer);
    for (const channel of this.channels) channel.readyState = "closed";
  }

  #schedule(): void {
    if (this.paused || this.dead || this.#timer !== undefined || this.#queue.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const item = this.#queue.shift();
      if (item) this.#pass(item);
      this.#schedule();
    }, 1);
  }

  #pass(item: Item): void {
    const { channel } = item;
    if (item.is === "data") {
      if (!this.loses(channel) && channel.twin?.readyState === "open")
        channel.twin.dispatchEvent(new MessageEvent("message", { data: item.data }));
      channel.drained(item.data instanceof ArrayBuffer ? item.data.byteLength : item.data.length);
    } else if (item.is === "open") {
      this.other?.offered(channel);
    } else if (item.is === "ack") {
      channel.twin?.become("open");
    } else {
      channel.become("closed");
      channel.twin?.become("closed");
    }
  }

  /** The other side opened a data channel. */
  offered(theirs: FakeChannel): void {
    const channel = new FakeChannel(this, theirs.label, theirs.options);
    channel.twin = theirs;
    theirs.twin = channel;
    channel.readyState = "open";
    this.channels.push(channel);
    this.transmit({ channel, is: "ack" });
    this.dispatchEvent(Object.assign(new Event("datachannel"), { channel }));
    channel.dispatchEvent(new Event("open"));
  }
}

export function fakePair(): [FakeConnection, FakeConnection] {
  const [one, other] = [new FakeConnection(), new FakeConnection()];
  one.other = other;
  other.other = one;
  return [one, other];
}
