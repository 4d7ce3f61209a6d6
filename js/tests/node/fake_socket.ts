/** A WebSocket whose server is the test. */

import { type ClientMessage, decodeClient, type Message, type ServerMessage } from "../../src/protocol";

export class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  sent: ClientMessage[] = [];
  answersPings = false;
  closedWith: number | null = null;
  readonly url: string;

  constructor(url: string) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  send(frame: string): void {
    const message = decodeClient(frame);
    this.sent.push(message);
    if (message.type === "ping" && this.answersPings) queueMicrotask(() => this.answer(message));
  }

  close(code: number): void {
    this.closedWith = code;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  /** The pong of a ping, as the server sends it when it has read all before that. */
  answer({ id }: Message<"ping">): void {
    this.say({ type: "pong", ...(id !== undefined && { id }) });
  }

  say(message: ServerMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  end(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

const LIMITS = {
  message_bytes: 65536,
  messages_per_second: 50,
  burst: 100,
  participants: 64,
  resume_seconds: 30,
};
export const me = { id: "0123456789abcdef", name: "me", kind: "browser", user: "u" } as const;

export function welcome(
  resume = "token-1",
  changes: Partial<Message<"room.welcome">> = {},
): Message<"room.welcome"> {
  return {
    type: "room.welcome",
    version: 1,
    room: "r",
    participant: me,
    participants: [],
    limits: LIMITS,
    resume,
    ...changes,
  };
}
