/** Tells whether the other end of a control channel is still there; runs in the browser tab.
 *
 * The ICE states are no use for that: a killed peer stays "connected" for half a minute, and a stalled one comes back
 * from "failed" with nothing lost.
 */

const EVERY = 2_000;
const DEAD_AFTER = 6_000;

export interface Beat {
  /** Milliseconds to the other end and back. */
  roundTrip: number;
}

export class Heartbeat {
  readonly #channel: RTCDataChannel;
  readonly #dead: () => void;
  readonly #beat: (beat: Beat) => void;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #sent = new Map<number, number>();
  #count = 0;
  #heard = performance.now();
  #checked = performance.now();

  /** Start with an open channel. `dead` is called at most once, and ends the heartbeat. */
  constructor(channel: RTCDataChannel, dead: () => void, beat: (beat: Beat) => void = () => undefined) {
    this.#channel = channel;
    this.#dead = dead;
    this.#beat = beat;
    this.#timer = setInterval(() => this.#tick(), EVERY);
    this.#ping();
  }

  /** A frame of the control channel. */
  receive(frame: unknown): void {
    this.#heard = performance.now();
    const message = readFrame(frame);
    if (message?.t === "ping" && typeof message.n === "number") {
      this.#send({ t: "pong", n: message.n, now: performance.timeOrigin + performance.now() });
    } else if (message?.t === "pong" && typeof message.n === "number") {
      const sent = this.#sent.get(message.n);
      if (sent !== undefined) this.#beat({ roundTrip: this.#heard - sent });
      this.#sent.clear();
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = performance.now();
    // A timer that comes late says that this page slept, not that the other did: give it one more round.
    const slept = now - this.#checked > 2 * EVERY;
    this.#checked = now;
    if (now - this.#heard > DEAD_AFTER && !slept) {
      this.stop();
      this.#dead();
    } else {
      this.#ping();
    }
  }

  #ping(): void {
    if (this.#sent.size > 8) this.#sent.clear();
    this.#sent.set(++this.#count, performance.now());
    this.#send({ t: "ping", n: this.#count });
  }

  #send(frame: object): void {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(frame));
  }
}

function readFrame(frame: unknown): { t?: unknown; n?: unknown } | null {
  if (typeof frame !== "string" || frame.length > 4096) return null;
  try {
    const value: unknown = JSON.parse(frame);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
