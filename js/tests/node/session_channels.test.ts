/** How a session tells its room of channels, against a socket that does what the test says. Browser parts are stubs. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Channel as Record } from "../../src/channel";
import type { Channel } from "../../src/data/channel";
import type { ClientMessage, Message, Participant } from "../../src/protocol";
import { Session } from "../../src/session";
import { FakeSocket, me, welcome } from "./fake_socket";

/** An RTCPeerConnection that connects to nothing, and remembers its data channels. */
class StubConnection extends EventTarget {
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

let session: Session;

async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** The socket of attempt number `index`. */
async function socket(index: number): Promise<FakeSocket> {
  await settled();
  const found = FakeSocket.all[index];
  if (!found) throw new Error(`there is no socket ${index}`);
  return found;
}

async function joined(participants: Participant[] = []): Promise<FakeSocket> {
  const first = await socket(0);
  first.open();
  first.say(welcome("token-1", { participants }));
  return first;
}

const person = (id: string, channels: Record[] = [], kind: Participant["kind"] = "browser"): Participant => ({
  id,
  name: id.toUpperCase(),
  kind,
  user: id,
  channels,
});
const spectra = { name: "spectra" };
const log = { name: "log", ordered: false };

const is =
  <T extends ClientMessage["type"]>(type: T) =>
  (message: ClientMessage): message is Extract<ClientMessage, { type: T }> =>
    message.type === type;
const updates = (from: FakeSocket) => from.sent.filter(is("room.updated"));
const newest = (from: FakeSocket) => updates(from).at(-1);
const told = (from: FakeSocket) => newest(from)?.channels?.map(({ name }) => name);
const ping = (from: FakeSocket) => from.sent.filter(is("ping")).at(-1) as Message<"ping">;

function refuse(from: FakeSocket, code = "channel-options", message = "the server's words"): void {
  from.say({ type: "error", code, message, reply_to: newest(from)?.id ?? "" });
}

async function opened(on: FakeSocket, name: string, options = {}): Promise<Channel> {
  const channel = session.openChannel(name, options);
  await settled();
  on.answer(ping(on));
  return channel;
}

/** What became of a promise so far. */
function outcome(promise: Promise<unknown>): { is: "pending" | "kept" | "broken"; why?: unknown } {
  const state: ReturnType<typeof outcome> = { is: "pending" };
  promise.then(
    () => {
      state.is = "kept";
    },
    (why) => {
      Object.assign(state, { is: "broken", why });
    },
  );
  return state;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("RTCPeerConnection", StubConnection);
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("addEventListener", () => undefined);
  FakeSocket.all = [];
  StubConnection.all = [];
  session = new Session("r", { socketUrl: () => "ws://server/", ticket: async () => null });
  session.start();
});
afterEach(async () => {
  session.lifetime.finish();
  await settled();
  expect(StubConnection.all.filter(({ closed }) => !closed)).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("opening", () => {
  test("is an update and a ping, and done with the pong of that ping", async () => {
    const first = await joined();
    const channel = session.openChannel("log", { ordered: false, maxsize: 64 });
    const state = outcome(channel);
    await settled();
    expect(newest(first)).toEqual({ type: "room.updated", id: "/1", channels: [log] });
    expect(first.sent.at(-1)).toEqual({ type: "ping", id: "/1" });
    first.say({ type: "pong" });
    first.say({ type: "pong", id: "/0" });
    await settled();
    expect(state.is).toBe("pending");
    first.say({ type: "pong", id: "/1" });
    expect((await channel).name).toBe("log");
  });

  test("is refused by an error about the update, in the server's words", async () => {
    const first = await joined();
    const channel = session.openChannel("spectra");
    await settled();
    refuse(first);
    first.answer(ping(first));
    await expect(channel).rejects.toMatchObject({
      name: "ChannelOptions",
      code: "channel-options",
      message: "the server's words",
    });
    expect(told(first)).toEqual([]);
  });

  test("asks for one after the other, so that a refusal is about one", async () => {
    const first = await joined();
    const states = ["a", "b", "c"].map((name) => outcome(session.openChannel(name)));
    await settled();
    expect(told(first)).toEqual(["a"]);
    first.answer(ping(first));
    expect(told(first)).toEqual(["a", "b"]);
    refuse(first);
    expect(told(first)).toEqual(["a", "c"]);
    first.answer(ping(first));
    await settled();
    expect(states.map((state) => state.is)).toEqual(["kept", "broken", "kept"]);
  });

  test("goes with the hello where the tab is not in the room yet", async () => {
    const channel = session.openChannel("spectra");
    const first = await socket(0);
    first.open();
    expect(first.sent[0]).toMatchObject({ type: "room.hello", channels: [spectra] });
    first.say(welcome("token-1", { participant: { ...me, channels: [spectra] } }));
    expect((await channel).name).toBe("spectra");
    expect(updates(first)).toEqual([]);
  });

  test("comes after the welcome where the hello is under way", async () => {
    const first = await socket(0);
    first.open();
    const channel = session.openChannel("spectra");
    await settled();
    first.say(welcome());
    expect(told(first)).toEqual(["spectra"]);
    first.answer(ping(first));
    await channel;
  });

  test("twice gives the same channel; with other options it is refused here", async () => {
    const first = await joined();
    const channel = session.openChannel("spectra");
    const again = session.openChannel("spectra", { ordered: true });
    const other = session.openChannel("spectra", { reliable: false });
    await expect(other).rejects.toMatchObject({ name: "ChannelOptions", code: "channel-options" });
    first.answer(ping(first));
    expect(await again).toBe(await channel);
    expect(updates(first).length).toBe(1);
  });

  test.each([
    ["", {}, /"" is no channel name/],
    ["two  spaces", {}, /no channel name/],
    ["x".repeat(65), {}, /no channel name/],
    ["a", { maxsize: 0 }, /maxsize is to be an integer from 1 to 65536/],
    ["a", { maxsize: 65_537 }, /maxsize/],
    ["a", { maxbytes: 2 ** 40 + 1 }, /maxbytes/],
    ["a", { maxbytes: 0.5 }, /maxbytes/],
    ["a", { policy: "newest" }, /policy is to be one of block, drop_oldest/],
    ["a", { ordered: 1 }, /ordered is to be true or false/],
    ["a", { maxSize: 3 }, /no option maxSize: there are ordered, /],
  ])("what cannot be is refused here: %j %j", async (name, options, words) => {
    const first = await joined();
    await expect(session.openChannel(name, options as object)).rejects.toThrow(words);
    await expect(session.openChannel(name, options as object)).rejects.toMatchObject({
      code: "invalid-message",
    });
    expect(updates(first)).toEqual([]);
  });

  test("ends at 64", async () => {
    const first = await joined();
    first.answersPings = true;
    const all = Array.from({ length: 64 }, (_, i) => session.openChannel(`channel ${i}`));
    await vi.advanceTimersByTimeAsync(5_000);
    await Promise.all(all);
    await expect(session.openChannel("one more")).rejects.toThrow(/64 channels are open.*close one first/);
    expect(newest(first)?.channels?.length).toBe(64);
  });

  test("stops with its signal, before it is open and after", async () => {
    const first = await joined();
    const [early, late, gone] = [new AbortController(), new AbortController(), new AbortController()];
    gone.abort(new Error("gone"));
    await expect(session.openChannel("gone", { signal: gone.signal })).rejects.toThrow("gone");
    const opening = session.openChannel("early", { signal: early.signal });
    await settled();
    early.abort(new Error("never mind"));
    await expect(opening).rejects.toThrow("never mind");
    expect(told(first)).toEqual([]);
    const channel = await opened(first, "late", { signal: late.signal });
    late.abort();
    expect(channel.closed).toBe(true);
    expect(told(first)).toEqual([]);
  });
});

describe("closing", () => {
  test("tells the room, and the name is free again at once", async () => {
    const first = await joined();
    const channel = await opened(first, "spectra");
    channel.close();
    const next = session.openChannel("spectra", { ordered: false });
    await settled();
    expect(updates(first).map(({ channels }) => channels)).toEqual([
      [spectra],
      [],
      [{ ...spectra, ordered: false }],
    ]);
    first.answer(ping(first));
    expect((await next).options.ordered).toBe(false);
  });

  test("of one while another is asked for leaves that question open", async () => {
    const first = await joined();
    const channel = await opened(first, "a");
    const state = outcome(session.openChannel("b"));
    await settled();
    const before = ping(first);
    channel.close();
    await settled();
    expect(told(first)).toEqual(["b"]);
    first.answer(before);
    await settled();
    expect(state.is).toBe("pending");
    refuse(first);
    await settled();
    expect(state.is).toBe("broken");
    expect(told(first)).toEqual([]);
  });

  test("happens to all when the room is left, and to those that are not open yet", async () => {
    const first = await joined();
    const channel = await opened(first, "a");
    const waits = channel.receive();
    const opening = session.openChannel("b");
    await settled();
    session.lifetime.finish();
    await expect(waits).rejects.toMatchObject({ name: "ChannelClosed" });
    await expect(opening).rejects.toMatchObject({ name: "NotInRoom", code: "not-in-room" });
    await expect(session.openChannel("c")).rejects.toMatchObject({ code: "not-in-room" });
  });

  test("happens to all when the room is lost for good, with the reason", async () => {
    const first = await joined();
    const channel = await opened(first, "a");
    const events: string[] = [];
    channel.addEventListener("error", ({ detail }) => events.push(detail.message));
    channel.addEventListener("close", () => events.push("close"));
    first.end(4010);
    await settled();
    expect(events).toEqual(["The room was closed.", "close"]);
    session.rejoin();
    const second = await socket(1);
    second.open();
    expect(second.sent[0]).not.toHaveProperty("channels");
  });
});

describe("after the connection to the server broke", () => {
  async function again(): Promise<FakeSocket> {
    FakeSocket.all[0]?.end(1006);
    await vi.advanceTimersByTimeAsync(250);
    const second = await socket(1);
    second.open();
    return second;
  }

  test("the hello says what is open; what is missing in its answer is closed", async () => {
    const first = await joined();
    const [kept, lost] = [await opened(first, "spectra"), await opened(first, "log", { ordered: false })];
    const events: string[] = [];
    lost.addEventListener("error", ({ detail }) => events.push(detail.message));
    lost.addEventListener("close", () => events.push("close"));
    const second = await again();
    expect(second.sent[0]).toMatchObject({ channels: [spectra, log] });
    second.say(welcome("token-2", { participant: { ...me, channels: [spectra] } }));
    await settled();
    expect([kept.closed, lost.closed]).toEqual([false, true]);
    expect(events).toEqual([expect.stringMatching(/"log" is open with other options/), "close"]);
    expect(updates(second)).toEqual([]);
  });

  test("what was asked for is answered by the welcome", async () => {
    const first = await joined();
    const states = ["a", "b"].map((name) => outcome(session.openChannel(name)));
    await settled();
    expect(told(first)).toEqual(["a"]);
    const second = await again();
    second.say(welcome("token-2", { participant: { ...me, channels: [{ name: "b" }] } }));
    await settled();
    expect(states).toEqual([
      { is: "broken", why: expect.objectContaining({ code: "channel-options" }) },
      { is: "kept" },
    ]);
  });

  test("an update that is older than the hello, but was sent after it, is made good", async () => {
    const first = await joined([person("zoe")]);
    for (let i = 0; i < 100; i++) session.watch("zoe", `s${i}`); // more to say than may be said at once
    const both = [session.openChannel("a")];
    await settled();
    expect(updates(first)).toEqual([]);
    first.end(1006);
    both.push(session.openChannel("b"));
    await vi.advanceTimersByTimeAsync(250);
    const second = await socket(1);
    second.answersPings = true;
    second.open();
    second.say(welcome("token-2", { participant: { ...me, channels: [{ name: "a" }, { name: "b" }] } }));
    await Promise.all(both);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(updates(second).map(({ channels }) => channels?.length)).toEqual([1, 2]);
  });

  test("what changed between hello and welcome is told afterwards", async () => {
    const first = await joined();
    const channel = await opened(first, "a");
    const second = await again();
    channel.close();
    await settled();
    second.say(welcome("token-2", { participant: { ...me, channels: [{ name: "a" }] } }));
    expect(told(second)).toEqual([]);
  });
});

test("an announcement that the server did not take for its rate is said again", async () => {
  const first = await joined();
  const channel = session.openChannel("a");
  await settled();
  const before = ping(first);
  refuse(first, "rate-limited", "too fast");
  first.answer(before); // this one got through, the update did not
  await vi.advanceTimersByTimeAsync(2_000);
  expect(updates(first).length).toBe(2);
  first.answer(ping(first));
  await channel;
});

describe("those who have it, too", () => {
  const labels = () => StubConnection.all.map((connection) => connection.labels);
  const offers = (from: FakeSocket) => from.sent.filter(is("webrtc.offer")).map(({ to }) => to);

  async function withIce(on: FakeSocket): Promise<void> {
    on.say({ type: "ice.servers", servers: [] });
    await settled();
  }

  test("get a connection, made by the lower id, and from a tab to a kernel; others do not", async () => {
    const people = [
      person("zoe", [spectra]),
      person("abe", [spectra]),
      person("other", [log]),
      person("00kernel", [spectra], "kernel"),
      person("idle", [{ ...spectra, ordered: false }]),
    ];
    const first = await joined(people);
    await opened(first, "spectra");
    await withIce(first);
    expect(offers(first)).toEqual(["zoe", "abe", "00kernel"]);
    expect(labels()).toEqual(Array(3).fill(["control", "c/spectra"]));
  });

  test("wait for an offer where their id is the lower one", async () => {
    const first = await joined([person("0000", [spectra])]);
    await opened(first, "spectra");
    await withIce(first);
    expect(offers(first)).toEqual([]);
    first.say({ type: "webrtc.offer", from: "0000", epoch: 5, sdp: { type: "offer", sdp: "v=0\r\n" } });
    await withIce(first);
    expect(first.sent.some(({ type }) => type === "webrtc.answer")).toBe(true);
    expect(labels()).toEqual([["control"]]); // the other opens it
  });

  test("who opens it later, or closes it, or leaves", async () => {
    const first = await joined([person("zoe")]);
    const channel = await opened(first, "spectra");
    const tied = vi.spyOn(channel, "addReceiver");
    const parted = vi.spyOn(channel, "removeReceiver");
    first.say({ type: "room.updated", participant: person("zoe", [log, spectra]) });
    first.say({ type: "room.updated", participant: person("zoe", [spectra]) });
    expect(tied.mock.calls.map(([id, name]) => [id, name])).toEqual([["zoe", "ZOE"]]);
    first.say({ type: "room.updated", participant: person("zoe") });
    expect(parted.mock.calls).toContainEqual(["zoe"]);
    first.say({ type: "room.joined", participant: person("yan", [spectra]) });
    first.say({ type: "room.left", participant_id: "yan" });
    expect(tied.mock.calls.length).toBe(2);
    expect(parted.mock.lastCall).toEqual(["yan"]);
  });

  test("are not tried for while the server's answer may be no", async () => {
    const first = await joined([person("zoe", [{ ...spectra, ordered: false }])]);
    const opening = session.openChannel("spectra");
    await settled();
    refuse(first);
    await expect(opening).rejects.toThrow();
    expect(StubConnection.all).toEqual([]);
  });
});
