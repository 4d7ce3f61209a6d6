/** A session without a browser: its socket does what the test says, its connections connect to nothing. */

import { expect, vi } from "vitest";
import type { Channel as Record } from "../../src/channel";
import type { Channel } from "../../src/data/channel";
import type { ClientMessage, Message, Participant } from "../../src/protocol";
import { Session } from "../../src/session";
import { FakeSocket, welcome } from "./fake_socket";

/** An RTCPeerConnection that connects to nothing, and remembers its data channels. */
export class StubConnection extends EventTarget {
  static all: StubConnection[] = [];
  localDescription: RTCSessionDescriptionInit | null = null;
  closed = false;
  readonly labels: string[] = [];
  #remote = false;

  constructor() {
    super();
    StubConnection.all.push(this);
  }
  createDataChannel(label: string): EventTarget {
    this.labels.push(label);
    return Object.assign(new EventTarget(), { readyState: "connecting", close: () => undefined });
  }
  async setLocalDescription(): Promise<void> {
    this.localDescription = { type: this.#remote ? "answer" : "offer", sdp: "v=0\r\n" };
  }
  async setRemoteDescription(): Promise<void> {
    this.#remote = true;
  }
  getTransceivers = () => [];
  close(): void {
    this.closed = true;
  }
}

export let session: Session;

/** To be called before each test. */
export function openSession(): void {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("RTCPeerConnection", StubConnection);
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("navigator", { userAgent: "" });
  vi.stubGlobal("addEventListener", () => undefined);
  FakeSocket.all = [];
  StubConnection.all = [];
  session = new Session("r", { socketUrl: () => "ws://server/", ticket: async () => null });
  session.start();
}

/** To be called after each: nothing is left behind. */
export async function closeSession(): Promise<void> {
  session.lifetime.finish();
  await settled();
  expect(StubConnection.all.filter(({ closed }) => !closed)).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
}

export async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** The socket of attempt number `index`. */
export async function socket(index: number): Promise<FakeSocket> {
  await settled();
  const found = FakeSocket.all[index];
  if (!found) throw new Error(`there is no socket ${index}`);
  return found;
}

export async function joined(participants: Participant[] = []): Promise<FakeSocket> {
  const first = await socket(0);
  first.open();
  first.say(welcome("token-1", { participants }));
  return first;
}

export const person = (
  id: string,
  channels: Record[] = [],
  kind: Participant["kind"] = "browser",
): Participant => ({
  id,
  name: id.toUpperCase(),
  kind,
  user: id,
  channels,
});
export const spectra = { name: "spectra" };
export const log = { name: "log", ordered: false };

export const is =
  <T extends ClientMessage["type"]>(type: T) =>
  (message: ClientMessage): message is Extract<ClientMessage, { type: T }> =>
    message.type === type;
export const updates = (from: FakeSocket) => from.sent.filter(is("room.updated"));
export const newest = (from: FakeSocket) => updates(from).at(-1);
export const told = (from: FakeSocket) => newest(from)?.channels?.map(({ name }) => name);
export const ping = (from: FakeSocket) => from.sent.filter(is("ping")).at(-1) as Message<"ping">;

export function refuse(from: FakeSocket, code = "channel-options", message = "the server's words"): void {
  from.say({ type: "error", code, message, reply_to: newest(from)?.id ?? "" });
}

export async function opened(on: FakeSocket, name: string, options = {}): Promise<Channel> {
  const channel = session.openChannel(name, options);
  await settled();
  on.answer(ping(on));
  return channel;
}
