/** Hands what arrives on a channel to whoever reads it: calls that wait, or listeners; pure but for timers, in the browser tab. */

import { RTCError, RTCTimeout } from "./errors";
import type { Arrived, Mailbox } from "./mailbox";
import { type Patience, patience } from "./patience";
import type { Sender } from "./receiver";
import { unpack, type Value } from "./values";

/** What is received. */
export interface Message {
  value: Value;
  sender: Sender;
  /** The sender's clock at `send`, Unix seconds. */
  time: number;
}

export interface ReaderEvents {
  /** A message for the listeners. */
  message(message: Message): void;
  /** A message could not be read, and is skipped. */
  unreadable(sender: Sender, why: string): void;
  /** The mailbox has room again. */
  room(): void;
}

interface Waiter {
  resolve(message: Message): void;
  reject(error: unknown): void;
}

/** Calls are served in the order in which they were made; the mailbox bounds what waits for them. */
export class Reader {
  /** Names the channel in errors. */
  readonly #channel: string;
  readonly #mailbox: Mailbox;
  readonly #on: ReaderEvents;
  readonly #waiters = new Set<Waiter>();
  #flowing = false;
  #planned = false;
  #closed: Error | null = null;

  constructor(channel: string, mailbox: Mailbox, events: ReaderEvents) {
    this.#channel = channel;
    this.#mailbox = mailbox;
    this.#on = events;
  }

  /** A message is complete. */
  arrived(arrived: Arrived): void {
    if (this.#closed) return;
    this.#mailbox.put(arrived);
    for (const waiter of this.#waiters) {
      const message = this.#take();
      if (!message) return;
      waiter.resolve(message);
    }
    this.#plan();
  }

  /** The oldest message that was not read, or the next that comes. */
  receive({ timeout, signal }: Patience = {}): Promise<Message> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(this.#closed);
    if (this.#flowing) return Promise.reject(this.#taken());
    const message = this.#take();
    if (message) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      const stop = patience(
        { timeout, signal },
        () => waiter.reject(new RTCTimeout(`no message came on ${this.#channel} within ${timeout} s`)),
        (reason) => waiter.reject(reason),
      );
      const waiter = {
        resolve(message: Message): void {
          over();
          resolve(message);
        },
        reject(error: unknown): void {
          over();
          reject(error);
        },
      };
      const over = () => {
        stop();
        this.#waiters.delete(waiter);
      };
      this.#waiters.add(waiter);
    });
  }

  /** From now on every message goes to the listeners. */
  flow(): void {
    this.#flowing = true;
    this.#plan();
  }

  /** Nothing is read any more; calls that wait fail with `error`. */
  close(error: Error): void {
    this.#closed = error;
    for (const waiter of this.#waiters) waiter.reject(error);
    while (this.#mailbox.take());
  }

  /** A turn later: listeners may do anything, and whoever delivers is in the middle of its work. */
  #plan(): void {
    if (this.#planned || !this.#flowing) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      for (let message = this.#take(); message; message = this.#take()) this.#on.message(message);
    });
  }

  #take(): Message | null {
    for (let arrived = this.#mailbox.take(); arrived; arrived = this.#mailbox.take()) {
      this.#on.room();
      const { sender, header, body } = arrived;
      try {
        return { value: unpack(header, body), sender, time: header.time };
      } catch (error) {
        this.#on.unreadable(sender, error instanceof Error ? error.message : String(error));
      }
    }
    return null;
  }

  #taken(): RTCError {
    return new RTCError(`the messages on ${this.#channel} go to its "message" listeners: receive them there`);
  }
}
