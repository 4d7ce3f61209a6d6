/** What both kinds of inlet share: where messages go, and which frames may come; pure, runs in the browser tab. */

import type { Begin, Frame, More } from "./frames";
import { Violation } from "./violation";

/** Where messages go: the queue of a channel, or what shows a kernel's values. */
export interface Store {
  /** Look at what comes before any memory is taken for it, and return its name, "" for none. An error says why not. */
  check(header: Uint8Array, size: number): string;
  /** Reserve room for a message, where there is any. */
  admit(size: number): boolean;
  /** The message is complete. */
  deliver(header: Uint8Array, body: Uint8Array<ArrayBuffer>): void;
  /** An admitted message will not be completed. */
  giveUp(size: number): void;
}

/** Takes the frames of one sender. `replies` collects the frames to send back; whoever calls takes them. */
export abstract class Receiving {
  readonly replies: Frame[] = [];
  protected readonly store: Store;
  protected readonly ordered: boolean;

  constructor(store: Store, ordered: boolean) {
    this.store = store;
    this.ordered = ordered;
  }

  /** A frame of the sender. Throws a `Violation` where it must not be. */
  receive(frame: Frame): void {
    if (frame.type === "begin") this.begin(frame);
    else if (frame.type === "more") this.more(frame);
    else if (frame.type === "abort") this.abort(frame.number);
    else throw new Violation("it confirms what was never sent");
  }

  /** Admit what there is room for now. */
  abstract advance(): void;

  /** There is a new data channel, or will be none any more: what is not complete is forgotten. */
  abstract restart(): void;

  protected abstract begin(frame: Begin): void;
  protected abstract more(frame: More): void;
  protected abstract abort(number: number): void;

  /** The name of a message that may come. */
  protected checked({ number, header, size }: Begin): string {
    try {
      return this.store.check(header, size);
    } catch (error) {
      throw new Violation(
        `message ${number} cannot be used: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
}
