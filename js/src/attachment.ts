/** Ties one view to its kernel (the model) and to the tab's session in the room; runs in the browser tab. */

import type { Failure } from "./failure";
import type { KernelLink, Traits } from "./kernel_link";
import type { Hold } from "./lifetime";
import { openSession } from "./registry";
import { PageServer, readPageConfig, TicketServer } from "./server";
import type { Session, SessionStatus } from "./session";
import type { Access } from "./signaling";
import { TicketOffer } from "./ticket_offer";

/** What the view says about the room: `data-state`, and words. */
export interface RoomState {
  name: SessionStatus | "waiting";
  /** Whose state it is: the kernel's own trouble leaves this tab in the room. */
  of: "tab" | "kernel";
  detail: string;
}

const ASKING = "Asking the kernel for the way to its server; a busy kernel answers when its cell ends.";

interface Found {
  access: Access;
  /** Names the server in the registry. */
  key: string;
  /** The server's public id, "" where it is not known. */
  id: string;
}

export class Attachment {
  readonly #link: KernelLink;
  readonly #signal: AbortSignal;
  readonly #changed: () => void;
  readonly #offer: TicketOffer;
  #listeners = new AbortController();
  #session: Session | null = null;
  #hold: Hold | null = null;
  #failure: Failure | null = null;
  /** True while the kernel is asked for a ticket. */
  #asking = false;
  /** The `server_id` that the last start went by, and the id of the server that it found. */
  #wanted = "";
  #server = "";
  /** Counts the starts: a later one makes an earlier one, which still waits, void. */
  #starts = 0;

  constructor(link: KernelLink, signal: AbortSignal, changed: () => void) {
    this.#link = link;
    this.#signal = signal;
    this.#changed = changed;
    this.#offer = new TicketOffer(() => this.#offerTicket(), signal);
    signal.addEventListener("abort", () => this.#release());
  }

  get session(): Session | null {
    return this.#session;
  }

  /** Why there is no session, where finding the server failed. */
  get failure(): Failure | null {
    return this.#failure;
  }

  get state(): RoomState {
    const kernel = { status: this.#link.get("status"), detail: this.#link.get("detail") };
    const state = roomState(kernel, this.#session, this.#failure);
    return this.#asking && state.name === "connecting" ? { ...state, detail: ASKING } : state;
  }

  /** Find the server and join; again after a failure. */
  async start(): Promise<void> {
    this.#failure = null;
    this.#wanted = this.#serverId;
    const start = ++this.#starts;
    const over = () => this.#signal.aborted || start !== this.#starts || this.#session !== null;
    this.#changed();
    if (this.#link.get("status") === "left") return;
    try {
      const { access, key, id } = await this.#findServer(this.#wanted);
      if (over()) return;
      this.#server = id;
      this.#attach(openSession(key, this.#link.get("room_id"), access));
    } catch (error) {
      if (over()) return;
      this.#failure = asFailure(error);
      this.#changed();
    }
  }

  /** The person asks for another try. */
  retry(): void {
    if (this.#session && !this.#session.lifetime.ended) this.#session.rejoin();
    else void this.#again();
  }

  /** A trait of the model changed. */
  update(): void {
    const status = this.#link.get("status");
    if (status === "left") this.#release();
    else if (this.#moved()) void this.#again();
    else if (this.#session && this.#hold) {
      this.#session.lifetime.setOwner(this.#hold, this.#link.get("kernel_id"));
    }
    this.#offer.update(status === "waiting");
    this.#changed();
  }

  /** The kernel could not enter with what it was offered. */
  refused(): void {
    this.#offer.refused();
  }

  /** Widgets of an earlier version, saved in a notebook, have no such trait. */
  get #serverId(): string {
    return this.#link.get("server_id") ?? "";
  }

  /** True where the kernel turned out to be on another server than the one that this tab looked for or is on. */
  #moved(): boolean {
    const id = this.#serverId;
    if (id === "" || id === this.#wanted) return false;
    this.#wanted = id;
    return !this.#session || id !== this.#server;
  }

  #again(): Promise<void> {
    this.#release();
    return this.start();
  }

  #attach(session: Session): void {
    this.#session = session;
    this.#hold = session.lifetime.hold(this.#link.get("kernel_id"));
    const { signal } = this.#listeners;
    session.addEventListener("change", () => this.#changed(), { signal });
    this.#offer.update(this.#link.get("status") === "waiting");
    this.#changed();
  }

  #release(): void {
    if (this.#session && this.#hold) this.#session.lifetime.release(this.#hold);
    this.#listeners.abort();
    this.#listeners = new AbortController();
    this.#session = null;
    this.#hold = null;
  }

  /** The page's own server where the room is there, as far as that is known; else the kernel's, by its ticket. */
  async #findServer(wanted: string): Promise<Found> {
    const config = readPageConfig();
    const page = config ? new PageServer(config) : null;
    const id = (await page?.identify()) ?? null;
    if (page && id !== null && (wanted === "" || wanted === id)) return { access: page, key: page.key, id };
    this.#asking = true;
    this.#changed();
    try {
      const ask = () => this.#link.askTicket();
      const access = new TicketServer(await ask(), ask, wanted);
      return { access, key: access.key, id: wanted };
    } finally {
      this.#asking = false;
    }
  }

  /** A kernel that found no server of its own enters with a ticket that this page gets for it. */
  async #offerTicket(): Promise<void> {
    const config = readPageConfig();
    if (!config) return;
    const { ticket, url } = await new PageServer(config).buy(this.#link.get("room_id"), "kernel");
    if (this.#signal.aborted || this.#link.get("status") !== "waiting") return;
    const browser_url = config.baseUrl;
    this.#link.send({ type: "ticket.offer", url: url ?? browser_url, ticket, browser_url });
  }
}

/** One state out of the kernel's and the tab's: the worse one, in the words of who has it. */
export function roomState(
  kernel: Pick<Traits, "status" | "detail">,
  session: Pick<Session, "status" | "failure"> | null,
  failure: Failure | null,
): RoomState {
  const mine = failure ? "error" : (session?.status ?? "connecting");
  const theirs = kernel.status === "left" || kernel.status === "error";
  if (theirs || (mine === "joined" && kernel.status !== "joined")) {
    return { name: kernel.status, of: "kernel", detail: kernel.detail };
  }
  const trouble = failure ?? session?.failure ?? null;
  return { name: mine, of: "tab", detail: trouble?.message ?? (mine === "joined" ? kernel.detail : "") };
}

function asFailure(error: unknown): Failure {
  if (typeof error === "object" && error !== null && "code" in error && "message" in error)
    return error as Failure;
  return { code: "signaling", message: String(error) };
}
