/** The signaling client against a WebSocket that does what the test says. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { backoff } from "../../src/backoff";
import type { ClientMessage, Message } from "../../src/protocol";
import { type Access, Signaling, type SignalingHandlers } from "../../src/signaling";
import { FakeSocket, welcome } from "./fake_socket";

let started: Signaling[] = [];

function start(access: Partial<Access> = {}) {
  const on = {
    introduce: vi.fn<SignalingHandlers["introduce"]>(() => ({ owners: ["k1"], streams: [] })),
    state: vi.fn<SignalingHandlers["state"]>(),
    welcome: vi.fn<SignalingHandlers["welcome"]>(),
    message: vi.fn<SignalingHandlers["message"]>(),
    refused: vi.fn<SignalingHandlers["refused"]>(),
  };
  const ticket = vi.fn<Access["ticket"]>(async (_room, force) => (force ? "ticket-1" : null));
  const signaling = new Signaling("r", { socketUrl: () => "ws://server/", ticket, ...access }, on);
  signaling.start();
  started.push(signaling);
  return { signaling, on, ticket };
}

/** The socket of attempt number `index`, once it is made. */
async function socket(index: number): Promise<FakeSocket> {
  await vi.advanceTimersByTimeAsync(0);
  const found = FakeSocket.all[index];
  if (!found) throw new Error(`there is no socket ${index}`);
  return found;
}

async function joined() {
  const parts = start();
  const first = await socket(0);
  first.open();
  first.say(welcome());
  return { ...parts, first };
}

const hello = (from: FakeSocket) => from.sent[0] as Message<"room.hello">;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  FakeSocket.all = [];
  started = [];
});
afterEach(() => {
  for (const signaling of started) signaling.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("joining", () => {
  test("says hello first, and is joined with the welcome", async () => {
    const { signaling, on, first } = await joined();
    expect(first.sent).toEqual([{ type: "room.hello", version: 1, kind: "browser", owners: ["k1"] }]);
    expect(signaling.state).toBe("joined");
    expect(on.welcome).toHaveBeenCalledOnce();
  });

  test("the hello says what there is to say of this tab, and nothing of what there is not", async () => {
    start().on.introduce.mockReturnValue({ name: "Ann", owners: [], streams: [], channels: [{ name: "a" }] });
    const first = await socket(0);
    const sent = vi.spyOn(first, "send");
    first.open();
    const head = { type: "room.hello", version: 1, kind: "browser" };
    expect(sent).toHaveBeenCalledWith(JSON.stringify({ ...head, name: "Ann", channels: [{ name: "a" }] }));
  });

  test("buys a ticket where the cookie was refused, once", async () => {
    const { signaling, on } = start();
    (await socket(0)).open();
    (await socket(0)).end(4401);
    const second = await socket(1);
    second.open();
    expect(hello(second).ticket).toBe("ticket-1");
    second.end(4401);
    expect(signaling.state).toBe("closed");
    expect(on.state).toHaveBeenLastCalledWith("closed", expect.objectContaining({ code: "unauthorized" }));
  });

  test("no ticket to be had is the end, with the reason", async () => {
    const ticket = () => Promise.reject({ code: "unauthorized", message: "no" });
    const { on } = start({ ticket });
    await vi.advanceTimersByTimeAsync(0);
    expect(on.state).toHaveBeenLastCalledWith("closed", { code: "unauthorized", message: "no" });
  });

  const refused = { code: "other-server", message: "It lets no page in.", advice: "Ask." };

  test("no socket that opens is the end, where that has a meaning", async () => {
    const { on } = start({ unreached: () => refused });
    (await socket(0)).end(1006);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(on.state.mock.calls).toEqual([["closed", refused]]);
    expect(FakeSocket.all.length).toBe(1);
  });

  test("nor is one waited for that says nothing, where that has a meaning", async () => {
    const { on } = start({ unreached: () => refused });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(on.state).toHaveBeenLastCalledWith("closed", refused);
  });

  test("a socket that opened once is tried again", async () => {
    const { signaling } = start({ unreached: () => refused });
    (await socket(0)).open();
    (await socket(0)).end(1013);
    await vi.advanceTimersByTimeAsync(250);
    (await socket(1)).end(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(signaling.state).not.toBe("closed");
    expect(FakeSocket.all.length).toBe(3);
  });

  test("a socket that the browser forbids is the end", async () => {
    vi.stubGlobal("WebSocket", function forbidden() {
      throw new Error("insecure");
    });
    const plain = start();
    const other = start({ unreached: () => refused });
    await vi.advanceTimersByTimeAsync(0);
    expect(plain.on.state).toHaveBeenLastCalledWith("closed", {
      code: "signaling",
      message: "Error: insecure",
    });
    expect(other.on.state).toHaveBeenLastCalledWith("closed", refused);
  });

  test.each([4009, 4010, 4400, 4403, 4404, 4413, 4429])("close code %i is final", async (code) => {
    const { signaling, first } = await joined();
    first.end(code);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(signaling.state).toBe("closed");
    expect(FakeSocket.all.length).toBe(1);
  });

  test("the server's own words are the reason, where it gave some", async () => {
    const { on } = start();
    const first = await socket(0);
    first.open();
    first.say({ type: "error", code: "room-full", message: "64 are here already" });
    first.end(4429);
    expect(on.state).toHaveBeenLastCalledWith("closed", {
      code: "room-full",
      message: "64 are here already",
    });
  });
});

describe("reconnecting", () => {
  test("resumes with the token of the last welcome", async () => {
    const { signaling, first } = await joined();
    first.end(1006);
    expect(signaling.state).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(250);
    const second = await socket(1);
    second.open();
    expect(hello(second)).toMatchObject({ resume: "token-1", owners: ["k1"] });
    second.say(welcome("token-2"));
    second.end(1006);
    await vi.advanceTimersByTimeAsync(250);
    (await socket(2)).open();
    expect(hello(await socket(2)).resume).toBe("token-2");
  });

  test("says hello afresh, once, where the resume is refused", async () => {
    const { signaling, first } = await joined();
    first.end(1006);
    await vi.advanceTimersByTimeAsync(250);
    const second = await socket(1);
    second.open();
    second.say({ type: "error", code: "unauthorized", message: "expired" });
    second.end(4401);
    const third = await socket(2);
    third.open();
    expect(hello(third).resume).toBeUndefined();
    third.say(welcome());
    expect(signaling.state).toBe("joined");
  });

  test("keeps trying at intervals that grow to 5 s, and at once when the network is back", async () => {
    const { signaling, first } = await joined();
    first.end(1006);
    for (let attempt = 1; attempt <= 8; attempt++) {
      await vi.advanceTimersByTimeAsync(5_000);
      (await socket(attempt)).end(1006);
    }
    const before = FakeSocket.all.length;
    signaling.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(FakeSocket.all.length).toBe(before + 1);
  });

  test("what is sent meanwhile arrives afterwards, in order", async () => {
    const { signaling, first } = await joined();
    first.end(1006);
    signaling.send({ type: "stream.subscribe", to: "b", stream: "s1" });
    signaling.send({ type: "stream.subscribe", to: "b", stream: "s2" });
    await vi.advanceTimersByTimeAsync(250);
    const second = await socket(1);
    second.open();
    expect(second.sent.length).toBe(1);
    second.say(welcome());
    expect(second.sent.slice(1).map((message) => "stream" in message && message.stream)).toEqual([
      "s1",
      "s2",
    ]);
  });

  test("a server that says nothing for 30 s is given up, without leaving the room", async () => {
    const { signaling, first } = await joined();
    await vi.advanceTimersByTimeAsync(29_000);
    expect(first.sent.filter(({ type }) => type === "ping").length).toBe(2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(first.closedWith).toBe(4000); // 1000 would mean that this tab left
    expect(signaling.state).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(250);
    expect(FakeSocket.all.length).toBe(2);
  });

  test("a welcome that does not come is waited for 10 s", async () => {
    start();
    (await socket(0)).open();
    await vi.advanceTimersByTimeAsync(10_500);
    expect(FakeSocket.all.length).toBe(2);
  });
});

describe("talking", () => {
  test("keeps below the server's rate, and loses nothing", async () => {
    const { signaling, first } = await joined();
    first.answersPings = true;
    for (let i = 0; i < 200; i++) signaling.send({ type: "stream.subscribe", to: "b", stream: `s${i}` });
    const sent = () => first.sent.filter(({ type }) => type === "stream.subscribe").length;
    expect(sent()).toBeLessThanOrEqual(100);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent()).toBeLessThanOrEqual(150);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent()).toBe(200);
  });

  const answer = (to: string, sdp = "v=0\r\n"): ClientMessage => ({
    type: "webrtc.answer",
    to,
    id: `${to}/1`,
    sdp: { type: "answer", sdp },
  });

  test("whoever makes it say much delays only what it says to them", async () => {
    const { signaling, first } = await joined();
    first.answersPings = true;
    for (let tenth = 0; tenth < 200; tenth++) {
      for (let i = 0; i < 9; i++) signaling.send({ type: "webrtc.ice_candidate", to: "eve" });
      if (tenth % 10 === 9) signaling.send({ type: "stream.subscribe", to: "ann", stream: `s${tenth}` });
      await vi.advanceTimersByTimeAsync(100);
      const wishes = first.sent.filter(({ to }) => to === "ann").length;
      expect(wishes).toBe(Math.floor((tenth + 1) / 10));
    }
    void signaling.iceServers();
    await vi.advanceTimersByTimeAsync(100);
    expect(first.sent.some(({ type }) => type === "ice.request")).toBe(true);
  });

  test("no more is under way than the server takes at once, however long it reads nothing", async () => {
    const { signaling, first } = await joined();
    for (let i = 0; i < 120; i++) signaling.send({ type: "stream.subscribe", to: "b", stream: `s${i}` });
    await vi.advanceTimersByTimeAsync(9_000);
    expect(first.sent.length).toBeLessThan(90);
    first.say({ type: "pong" });
    await vi.advanceTimersByTimeAsync(2_000);
    first.say({ type: "pong" });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(first.sent.filter(({ type }) => type === "stream.subscribe").length).toBe(120);
  });

  test("coming back is no new beginning of the rate", async () => {
    const { signaling, first } = await joined();
    const wishes = (socket: FakeSocket) =>
      socket.sent.filter(({ type }) => type === "stream.subscribe").length;
    for (let i = 0; i < 200; i++) signaling.send({ type: "stream.subscribe", to: "b", stream: `s${i}` });
    first.end(1006);
    await vi.advanceTimersByTimeAsync(250);
    const second = await socket(1);
    second.open();
    second.say(welcome());
    expect(wishes(first)).toBeGreaterThan(70);
    expect(wishes(first) + wishes(second)).toBeLessThan(100);
  });

  test("what the server would refuse is not sent, and all else is", async () => {
    const { signaling, first } = await joined();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    for (let i = 0; i < 30; i++)
      expect(signaling.send(answer("eve", `v=0${"x".repeat(70_000)}`))).toBe(false);
    expect(signaling.send(answer("ann"))).toBe(true);
    expect(first.sent.slice(1)).toEqual([answer("ann")]);
    expect(warn).toHaveBeenCalledTimes(30);
  });

  test("what a slow reader did not get is reported by its id, other errors are not", async () => {
    const { on, first } = await joined();
    first.say({ type: "error", code: "slow-reader", message: "too much waits", reply_to: "ann/1" });
    first.say({ type: "error", code: "rate-limited", message: "too fast", reply_to: "ann/2" });
    first.say({ type: "error", code: "peer-not-found", message: "who?", reply_to: "ann/3" });
    first.say({ type: "error", code: "slow-reader", message: "too much waits" });
    expect(on.refused.mock.calls).toEqual([["ann/1"], ["ann/2"]]);
    expect(on.message).toHaveBeenCalledTimes(4);
  });

  test("so is what was dropped because too much waits for one receiver", async () => {
    const { signaling, on, first } = await joined();
    first.end(1006);
    signaling.send(answer("ann"));
    for (let i = 0; i < 256; i++) signaling.send({ type: "stream.subscribe", to: "ann", stream: "s" });
    await vi.advanceTimersByTimeAsync(0);
    expect(on.refused.mock.calls).toEqual([["ann/1"]]);
  });

  test("an error about one message is not the reason of a later close", async () => {
    const { on, first } = await joined();
    first.say({ type: "error", code: "slow-reader", message: "too much waits" });
    first.end(4010);
    expect(on.state).toHaveBeenLastCalledWith("closed", expect.objectContaining({ code: "room-deleted" }));
  });

  test("a pong with an id is an answer to somebody's own ping, and tells nothing of the flow", async () => {
    const { signaling, on, first } = await joined();
    for (let i = 0; i < 120; i++) signaling.send({ type: "stream.subscribe", to: "b", stream: `s${i}` });
    await vi.advanceTimersByTimeAsync(9_000);
    const sent = vi.spyOn(first, "send");
    first.say({ type: "pong", id: "mine" });
    await vi.advanceTimersByTimeAsync(500);
    expect(sent).not.toHaveBeenCalled();
    expect(on.message.mock.calls).toEqual([[{ type: "pong", id: "mine" }]]);
  });

  test("answers a ping with its id", async () => {
    const { first } = await joined();
    first.say({ type: "ping", id: "7" });
    expect(first.sent.at(-1)).toEqual({ type: "pong", id: "7" });
  });

  test("a frame that it does not understand is ignored", async () => {
    const { signaling, on, first } = await joined();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    for (const data of ["{", '{"type": "room.explode"}', new ArrayBuffer(3)]) first.onmessage?.({ data });
    expect(on.message).not.toHaveBeenCalled();
    expect(signaling.state).toBe("joined");
    expect(warn).toHaveBeenCalledTimes(2);
  });

  test("asks for ICE servers once for several connections", async () => {
    const { signaling, first } = await joined();
    const both = Promise.all([signaling.iceServers(), signaling.iceServers()]);
    expect(first.sent.filter(({ type }) => type === "ice.request").length).toBe(1);
    const servers = [{ urls: ["stun:stun.example.com"] }];
    first.say({ type: "ice.servers", servers });
    expect(await both).toEqual([servers, servers]);
    expect(await signaling.iceServers()).toEqual(servers);
    expect(first.sent.filter(({ type }) => type === "ice.request").length).toBe(1);
    await vi.advanceTimersByTimeAsync(3_000);
    void signaling.iceServers(); // the settings may have changed
    expect(first.sent.filter(({ type }) => type === "ice.request").length).toBe(2);
  });

  test("goes on without ICE servers where there is no answer", async () => {
    const { signaling } = await joined();
    const servers = signaling.iceServers();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await servers).toEqual([]);
  });

  test("closing leaves the room at once and for good", async () => {
    const { signaling, first } = await joined();
    signaling.close();
    expect(first.closedWith).toBe(1000);
    signaling.send({ type: "ping" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all.length).toBe(1);
  });

  test("closing while a ticket is awaited opens no socket", async () => {
    const { signaling } = start();
    signaling.close();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(FakeSocket.all.length).toBe(0);
  });
});

test("the backoff doubles up to its most, with a jitter of half of it", () => {
  expect(backoff(0, 250, 5_000, () => 0)).toBe(125);
  expect(backoff(0, 250, 5_000, () => 1)).toBe(250);
  expect(backoff(3, 250, 5_000, () => 1)).toBe(2_000);
  expect(backoff(1_000, 250, 5_000, () => 1)).toBe(5_000);
});
