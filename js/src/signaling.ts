/** The WebSocket to the room's server: hello, resume, reconnect, ping; runs in the browser tab.
 *
 * The resume token lives in this object and nowhere else. Storage would outlive the tab's right to it (and a duplicated
 * tab copies sessionStorage, so two tabs would fight for one participant); a reloaded page is a new participant whose
 * camera is off anyway, so there is nothing worth resuming.
 */

import { backoff } from "./backoff";
import { CLOSE_WORDS, type Failure, isFailure } from "./failure";
import { Outbox } from "./outbox";
import { Pace } from "./pace";
import {
  type ClientMessage,
  Close,
  decodeServer,
  encode,
  FINAL_CLOSE_CODES,
  type IceServer,
  type Message,
  type ServerMessage,
  VERSION,
} from "./protocol";
import { DecodeError } from "./schema";
import { Unread } from "./unread";

/** A client that closes with 1000 or 1001 has left; any other code keeps its place for a resume. */
const CLOSE_LEAVE = 1000;
const CLOSE_DEAD = 4000;
const PING_EVERY = 10_000;
const DEAD_AFTER = 30_000;
const WELCOME_WITHIN = 10_000;
const ICE_WITHIN = 3_000;
/** Of the server's limits: its clock and ours do not agree on when a second begins. */
const SHARE = 0.8;
/** What an `error` of these codes is about may be said again later. */
export const NOT_PASSED_ON: ReadonlySet<string> = new Set(["slow-reader", "rate-limited"]);

export type SignalingState = "connecting" | "joined" | "reconnecting" | "closed";

/** How to reach the server of the room. */
export interface Access {
  socketUrl(room: string): string;
  /** A ticket for the hello, or null where the cookie is enough. `force`: the cookie was refused. */
  ticket(room: string, force: boolean): Promise<string | null>;
  /** What it means that no socket opens at all, where that should end the tries: a wait would not help. */
  unreached?(): Failure | null;
}

export type Introduction = Pick<Message<"room.hello">, "name" | "owners" | "streams" | "channels">;

export interface SignalingHandlers {
  /** What the next hello says about this tab. */
  introduce(): Introduction;
  state(state: SignalingState, failure?: Failure): void;
  welcome(message: Message<"room.welcome">): void;
  message(message: ServerMessage): void;
  /** The message of this id did not reach its receiver, who may be there again soon. */
  refused(id: string): void;
}

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
  readonly #outbox = new Outbox();
  readonly #pace = new Pace(SHARE * 100, SHARE * 50);
  #unread = new Unread(SHARE * 100);
  /** True while a timer waits for the pace. */
  #paused = false;
  #timers = new Set<ReturnType<typeof setTimeout>>();
  /** Asked for a moment ago: several connections share an answer, as others may bring about any number of them. */
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

  /** Queue a message; to each receiver in order, paced by the server's limits, and kept while reconnecting.
   *
   * Returns false for one that the server would refuse: it is dropped, as too many of them close the connection.
   */
  send(message: ClientMessage): boolean {
    if (this.#state === "closed") return true;
    try {
      const stale = this.#outbox.put(message);
      // A turn later: the sender may be in the middle of something.
      for (const { id } of stale) if (id !== undefined) queueMicrotask(() => this.#on.refused(id));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      console.warn(`forge_rtc_nb: did not send a ${message.type}: ${error.message}`);
      return false;
    }
    this.#flush();
    return true;
  }

  /** Say nothing more to somebody who is gone. */
  forget(receiver: string): void {
    this.#outbox.forget(receiver);
  }

  /** The ICE servers to use for the next connection; empty where the server names none or does not answer. */
  iceServers(): Promise<IceServer[]> {
    if (this.#ice) return this.#ice.promise;
    const asked = withResolver<IceServer[]>();
    this.#ice = asked;
    this.send({ type: "ice.request" });
    this.#after(ICE_WITHIN, () => {
      asked.resolve([]);
      if (this.#ice === asked) this.#ice = null;
    });
    return asked.promise;
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
    const { name, owners = [], streams = [], channels = [] } = this.#on.introduce();
    const hello: Message<"room.hello"> = { type: "room.hello", version: VERSION, kind: "browser" };
    if (name !== undefined) hello.name = name;
    if (owners.length > 0) hello.owners = owners;
    if (streams.length > 0) hello.streams = streams;
    if (channels.length > 0) hello.channels = channels;
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
        if (message.id === undefined) this.#read();
        else this.#on.message(message); // to somebody else's ping
        break;
      case "ice.servers":
        this.#ice?.resolve(message.servers);
        break;
      case "error":
        this.#refused(message);
        break;
      default:
        this.#on.message(message);
    }
  }

  #refused(error: Message<"error">): void {
    const { code, message, reply_to } = error;
    // In the room an error is about one message, and no reason for a close that comes later.
    if (this.#state !== "joined") this.#lastError = { code, message };
    this.#on.message(error);
    if (NOT_PASSED_ON.has(code) && reply_to !== undefined) this.#on.refused(reply_to);
  }

  #welcomed(message: Message<"room.welcome">): void {
    this.#resume = message.resume;
    this.#attempts = 0;
    this.#lastError = null;
    const { burst, messages_per_second, message_bytes } = message.limits;
    this.#pace.change(SHARE * burst, SHARE * messages_per_second); // the server counts on, whatever connection this is
    this.#unread = new Unread(SHARE * burst);
    this.#outbox.limit(message_bytes);
    this.#keepAlive();
    this.#setState("joined");
    this.#on.welcome(message);
    this.#flush();
  }

  #read(): void {
    if (this.#unread.read()) this.#outbox.put({ type: "ping" });
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
    this.#ice?.resolve([]);
    this.#ice = null;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
  }

  #setState(state: SignalingState, failure?: Failure): void {
    this.#state = state;
    this.#on.state(state, failure);
  }

  #flush(): void {
    while (this.#state === "joined" && !this.#paused && !this.#unread.full && !this.#outbox.empty) {
      const wait = this.#pace.take();
      if (wait > 0) {
        this.#pause(wait);
        return;
      }
      const message = this.#outbox.take();
      if (message) this.#write(message);
      if (this.#unread.sent()) this.#outbox.put({ type: "ping" });
    }
  }

  #pause(wait: number): void {
    this.#paused = true;
    this.#after(wait, () => {
      this.#paused = false;
      this.#flush();
    });
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
    this.#paused = false;
  }
}

function withResolver<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
