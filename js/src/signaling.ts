/** The WebSocket to the room's server: hello, resume, reconnect, ping; runs in the browser tab.
 *
 * The resume token lives in this object and nowhere else. Storage would outlive the tab's right to it (and a duplicated
 * tab copies sessionStorage, so two tabs would fight for one participant); a reloaded page is a new participant whose
 * camera is off anyway, so there is nothing worth resuming.
 */

import { backoff } from "./backoff";
import {
  type ClientMessage,
  Close,
  decodeServer,
  encode,
  FINAL_CLOSE_CODES,
  type IceServer,
  type Message,
  type ServerMessage,
  type Stream,
  VERSION,
} from "./protocol";
import { DecodeError } from "./schema";

/** A client that closes with 1000 or 1001 has left; any other code keeps its place for a resume. */
const CLOSE_LEAVE = 1000;
const CLOSE_DEAD = 4000;
const PING_EVERY = 10_000;
const DEAD_AFTER = 30_000;
const WELCOME_WITHIN = 10_000;
const ICE_WITHIN = 3_000;
/** Messages kept while the socket is away; more than that is a sign that the conversation is stale. */
const MAX_OUTBOX = 512;

export type SignalingState = "connecting" | "joined" | "reconnecting" | "closed";

/** How to reach the server of the room. */
export interface Access {
  socketUrl(room: string): string;
  /** A ticket for the hello, or null where the cookie is enough. `force`: the cookie was refused. */
  ticket(room: string, force: boolean): Promise<string | null>;
  /** What it means that no socket opens at all, where that should end the tries: a wait would not help. */
  unreached?(): Failure | null;
}

export interface SignalingHandlers {
  /** What the next hello says about this tab. */
  introduce(): { owners: string[]; streams: Stream[] };
  state(state: SignalingState, failure?: Failure): void;
  welcome(message: Message<"room.welcome">): void;
  message(message: ServerMessage): void;
}

/** Why signaling ended or does not come about; `code` is that of an `error` message or of the close. */
export interface Failure {
  code: string;
  message: string;
  /** What to do about it, where that depends on more than the code. */
  advice?: string;
}

const CLOSE_WORDS: ReadonlyMap<number, Failure> = new Map([
  [Close.replaced, { code: "replaced", message: "Another connection took this tab's place in the room." }],
  [Close.roomDeleted, { code: "room-deleted", message: "The room was closed." }],
  [Close.badHello, { code: "bad-version", message: "This page and the server do not fit together." }],
  [Close.unauthorized, { code: "unauthorized", message: "The server did not accept this page's login." }],
  [Close.forbidden, { code: "forbidden", message: "You may not join this room." }],
  [Close.roomNotFound, { code: "room-not-found", message: "There is no such room." }],
  [Close.abuse, { code: "abuse", message: "The server closed the connection: too many bad messages." }],
  [Close.full, { code: "room-full", message: "The room is full." }],
]);

export class Signaling {
  readonly #room: string;
  readonly #access: Access;
  readonly #on: SignalingHandlers;
  #socket: WebSocket | null = null;
  #state: SignalingState = "connecting";
  #resume: string | null = null;
  #sentResume = false;
  #forceTicket = false;
  /** True once a socket has opened: what fails later is the server's absence. */
  #reached = false;
  #lastError: Failure | null = null;
  #attempts = 0;
  #heard = 0;
  #outbox: ClientMessage[] = [];
  #pace = new Pace(100, 50);
  #timers = new Set<ReturnType<typeof setTimeout>>();
  #ice: { promise: Promise<IceServer[]>; resolve: (servers: IceServer[]) => void } | null = null;

  constructor(room: string, access: Access, handlers: SignalingHandlers) {
    this.#room = room;
    this.#access = access;
    this.#on = handlers;
  }

  get state(): SignalingState {
    return this.#state;
  }

  start(): void {
    void this.#connect();
  }

  /** Leave the room: the others are told at once. */
  close(): void {
    const socket = this.#socket;
    this.#drop();
    this.#setState("closed");
    socket?.close(CLOSE_LEAVE);
  }

  /** Try at once instead of waiting for the backoff (the network came back, the page is looked at again). */
  hurry(): void {
    if (this.#state === "reconnecting" && !this.#socket) this.#retry(0);
  }

  /** Queue a message; it is sent in order, paced by the server's limits, and kept while reconnecting. */
  send(message: ClientMessage): void {
    if (this.#state === "closed") return;
    if (this.#outbox.length >= MAX_OUTBOX) this.#outbox = [];
    this.#outbox.push(message);
    this.#flush();
  }

  /** The ICE servers to use for the next connection; empty where the server names none or does not answer. */
  iceServers(): Promise<IceServer[]> {
    if (this.#ice) return this.#ice.promise;
    const { promise, resolve } = withResolver<IceServer[]>();
    this.#ice = { promise, resolve };
    this.send({ type: "ice.request" });
    this.#after(ICE_WITHIN, () => this.#answerIce([]));
    return promise;
  }

  async #connect(): Promise<void> {
    let ticket: string | null = null;
    try {
      ticket = this.#resume ? null : await this.#access.ticket(this.#room, this.#forceTicket);
    } catch (error) {
      if (this.#state !== "closed") this.#fail(error);
      return;
    }
    if (this.#state === "closed" || this.#socket) return;
    const socket = this.#open();
    if (!socket) return;
    this.#socket = socket;
    this.#lastError = null;
    socket.onopen = () => this.#hello(socket, ticket);
    socket.onmessage = (event: MessageEvent<unknown>) => this.#receive(event.data);
    socket.onclose = (event) => this.#closed(event.code);
    this.#after(WELCOME_WITHIN, () => {
      if (this.#socket === socket && this.#state !== "joined") this.#abandon();
    });
  }

  /** Null, and the end, where the browser forbids such a socket (an https page that means a server without TLS). */
  #open(): WebSocket | null {
    try {
      return new WebSocket(this.#access.socketUrl(this.#room));
    } catch (error) {
      this.#fail(this.#access.unreached?.() ?? String(error));
      return null;
    }
  }

  #hello(socket: WebSocket, ticket: string | null): void {
    this.#reached = true;
    const { owners, streams } = this.#on.introduce();
    const hello: Message<"room.hello"> = { type: "room.hello", version: VERSION, kind: "browser" };
    if (owners.length > 0) hello.owners = owners;
    if (streams.length > 0) hello.streams = streams;
    if (this.#resume) hello.resume = this.#resume;
    else if (ticket) hello.ticket = ticket;
    this.#sentResume = this.#resume !== null;
    socket.send(encode(hello));
  }

  #receive(data: unknown): void {
    this.#heard = Date.now();
    if (typeof data !== "string") return;
    let message: ServerMessage;
    try {
      message = decodeServer(data);
    } catch (error) {
      // A newer server may send what this page does not know; the rest of the conversation still holds.
      if (!(error instanceof DecodeError)) throw error;
      console.warn(`forge_rtc_nb: ignored a signaling message: ${error.message}`);
      return;
    }
    this.#handle(message);
  }

  #handle(message: ServerMessage): void {
    switch (message.type) {
      case "room.welcome":
        this.#welcomed(message);
        break;
      case "ping":
        this.#write({ type: "pong", ...(message.id === undefined ? {} : { id: message.id }) });
        break;
      case "pong":
        break;
      case "ice.servers":
        this.#answerIce(message.servers);
        break;
      case "error":
        this.#lastError = { code: message.code, message: message.message };
        this.#on.message(message);
        break;
      default:
        this.#on.message(message);
    }
  }

  #welcomed(message: Message<"room.welcome">): void {
    this.#resume = message.resume;
    this.#attempts = 0;
    this.#lastError = null;
    this.#pace = new Pace(message.limits.burst, message.limits.messages_per_second);
    this.#keepAlive();
    this.#setState("joined");
    this.#on.welcome(message);
    this.#flush();
  }

  #keepAlive(): void {
    const socket = this.#socket;
    this.#after(PING_EVERY, () => {
      if (!socket || this.#socket !== socket) return;
      if (Date.now() - this.#heard >= DEAD_AFTER) {
        this.#abandon();
      } else {
        this.#write({ type: "ping" });
        this.#keepAlive();
      }
    });
  }

  /** Give up a socket that says nothing, without waiting for its closing handshake. */
  #abandon(): void {
    const socket = this.#socket;
    this.#drop();
    socket?.close(CLOSE_DEAD);
    this.#again();
  }

  #closed(code: number): void {
    const refusal = this.#lastError ?? CLOSE_WORDS.get(code);
    this.#drop();
    if (this.#sentResume && this.#state !== "joined" && refusal?.code === "unauthorized") {
      this.#resume = null;
      this.#retry(0);
    } else if (code === Close.unauthorized && !this.#forceTicket && !this.#sentResume) {
      // The page has a token but no cookie: a ticket bought with the token does instead.
      this.#forceTicket = true;
      this.#retry(0);
    } else if (FINAL_CLOSE_CODES.has(code)) {
      this.#fail(refusal);
    } else {
      this.#again();
    }
  }

  #fail(cause: unknown): void {
    this.#drop();
    const failure = isFailure(cause) ? cause : { code: "signaling", message: String(cause) };
    this.#setState("closed", failure);
  }

  #again(): void {
    const why = this.#reached ? null : this.#access.unreached?.();
    if (why) {
      this.#fail(why);
      return;
    }
    this.#setState(this.#resume ? "reconnecting" : this.#attempts > 1 ? "reconnecting" : "connecting", {
      code: "signaling",
      message: "The Jupyter server does not answer.",
    });
    this.#retry(backoff(this.#attempts++, 250, 5_000));
  }

  #retry(delay: number): void {
    this.#clearTimers();
    this.#after(delay, () => void this.#connect());
  }

  /** Forget the socket and its timers; what it still says is not heard. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#clearTimers();
    this.#answerIce([]);
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
  }

  #answerIce(servers: IceServer[]): void {
    const waiting = this.#ice;
    this.#ice = null;
    waiting?.resolve(servers);
  }

  #setState(state: SignalingState, failure?: Failure): void {
    this.#state = state;
    this.#on.state(state, failure);
  }

  #flush(): void {
    while (this.#state === "joined" && this.#outbox.length > 0) {
      const wait = this.#pace.take();
      if (wait > 0) {
        this.#after(wait, () => this.#flush());
        return;
      }
      const message = this.#outbox.shift();
      if (message) this.#write(message);
    }
  }

  #write(message: ClientMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(encode(message));
  }

  #after(delay: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delay);
    this.#timers.add(timer);
  }

  #clearTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

/** A token bucket a little below the server's, so that a burst of candidates is spread rather than refused. */
class Pace {
  readonly #burst: number;
  readonly #rate: number;
  #tokens: number;
  #at = Date.now();

  constructor(burst: number, rate: number) {
    this.#burst = Math.max(1, burst * 0.8);
    this.#rate = Math.max(0.1, rate * 0.8);
    this.#tokens = this.#burst;
  }

  /** Take one; returns the milliseconds to wait where there is none. */
  take(): number {
    const now = Date.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate);
    this.#at = now;
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / this.#rate) * 1000);
    this.#tokens -= 1;
    return 0;
  }
}

function isFailure(value: unknown): value is Failure {
  return typeof value === "object" && value !== null && "code" in value && "message" in value;
}

function withResolver<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
