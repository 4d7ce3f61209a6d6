/** One message on its way to its receivers, and the promise of it; pure, runs in the browser tab. */

import { Parcel } from "./outlet";
import type { Receiver } from "./receiver";
import type { Packed } from "./values";

/** Header and body are shared by the parcels of all receivers. */
export class Delivery {
  /** Resolves when every receiver has taken it, or is gone. */
  readonly settled: Promise<void>;
  readonly size: number;
  readonly #parcels = new Map<Receiver, Parcel>();
  readonly #progress: ((sent: number, size: number) => void) | undefined;
  #told = -1;
  #planned = false;
  #over = false;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(
    { header, body }: Packed,
    receivers: readonly Receiver[],
    progress?: (sent: number, size: number) => void,
  ) {
    this.size = body.length;
    this.#progress = progress;
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    for (const receiver of receivers) {
      const done = () => this.#done(receiver);
      this.#parcels.set(receiver, new Parcel(header, body, done, () => this.#plan()));
    }
  }

  /** Those who did not take it yet. */
  get waiting(): Receiver[] {
    return [...this.#parcels.keys()];
  }

  start(): void {
    const parcels = [...this.#parcels];
    if (parcels.length === 0) this.#end();
    for (const [receiver, parcel] of parcels) receiver.outlet.put(parcel);
    for (const [receiver] of parcels) receiver.link.pump();
  }

  /** Take it back from those who have not taken it yet. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#reject(error);
    const parcels = [...this.#parcels];
    this.#parcels.clear();
    for (const [receiver, parcel] of parcels) receiver.outlet.withdraw(parcel);
    for (const [receiver] of parcels) receiver.link.pump();
  }

  #done(receiver: Receiver): void {
    if (this.#parcels.delete(receiver) && this.#parcels.size === 0) this.#end();
  }

  #end(): void {
    this.#over = true;
    this.#resolve();
  }

  /** Tell how far it is, once for all that is sent in a turn. */
  #plan(): void {
    if (this.#planned || !this.#progress) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#tell();
    });
  }

  /** The bytes that went to the slowest receiver; what is sent again on another connection is not told again. */
  #tell(): void {
    const sent = Math.min(this.size, ...[...this.#parcels.values()].map((parcel) => parcel.sent));
    if (this.#over || sent <= this.#told) return;
    this.#told = sent;
    this.#progress?.(sent, this.size);
  }
}
