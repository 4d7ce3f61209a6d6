/** The widget's comm to its kernel: typed traits and messages, and waiting for a ticket; runs in the browser tab. */

import type { AnyModel } from "@anywidget/types";
import type { Ticket } from "./server";
import { failure } from "./server";

/** Synced with Python (`widget.py`); nothing secret, as a notebook may save it. */
export interface Traits {
  room_id: string;
  /** The kernel's participant id, "" while it waits. */
  kernel_id: string;
  /** Which server the room is on, "" while that is not known. */
  server_id: string;
  status: "joined" | "waiting" | "reconnecting" | "left" | "error";
  detail: string;
  [name: string]: string;
}

const WATCHED = ["room_id", "kernel_id", "server_id", "status", "detail"] as const;

type Outgoing =
  | { type: "ticket.request" }
  | { type: "ticket.offer"; url: string; ticket: string; browser_url: string };

export interface KernelEvents {
  /** A trait changed. */
  changed(): void;
  /** The kernel could not enter its room with the ticket that some page offered. */
  refused(): void;
}

interface Waiting {
  resolve(ticket: Required<Ticket>): void;
  reject(reason: unknown): void;
}

export class KernelLink {
  readonly #model: AnyModel<Traits>;
  readonly #on: KernelEvents;
  #waiting: Waiting[] = [];

  /** The signal ends the link. */
  constructor(model: AnyModel<Traits>, signal: AbortSignal, events: KernelEvents) {
    this.#model = model;
    this.#on = events;
    const changed = () => this.#on.changed();
    const receive = (content: unknown) => this.#receive(content);
    model.on("msg:custom", receive);
    for (const name of WATCHED) model.on(`change:${name}`, changed);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", receive);
      for (const name of WATCHED) model.off(`change:${name}`, changed);
      for (const { reject } of this.#waiting) reject(failure("aborted", "The view was closed."));
    });
  }

  get<K extends keyof Traits>(name: K): Traits[K] {
    return this.#model.get(name);
  }

  /** A ticket of the kernel's server; waits as long as the kernel is busy. */
  askTicket(): Promise<Required<Ticket>> {
    const answer = new Promise<Required<Ticket>>((resolve, reject) =>
      this.#waiting.push({ resolve, reject }),
    );
    if (!this.send({ type: "ticket.request" })) {
      this.#settle(({ reject }) => reject(failure("no-kernel", "The kernel of this widget is gone.")));
    }
    return answer;
  }

  /** False where the kernel is gone; the widget on screen outlives it. */
  send(message: Outgoing): boolean {
    try {
      this.#model.send(message);
      return true;
    } catch {
      return false;
    }
  }

  #receive(content: unknown): void {
    if (typeof content !== "object" || content === null) return;
    const { type, ticket, url, message } = content as Record<string, unknown>;
    if (type === "ticket" && typeof ticket === "string" && typeof url === "string") {
      this.#settle(({ resolve }) => resolve({ ticket, url }));
    } else if (type === "ticket.refused") {
      this.#settle(({ reject }) => reject(failure("unauthorized", String(message ?? ""))));
    } else if (type === "offer.refused") {
      this.#on.refused();
    }
  }

  #settle(settle: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) settle(one);
  }
}
