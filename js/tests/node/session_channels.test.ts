/** How a session tells its room of channels, against a socket that does what the test says. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeSocket, me, welcome } from "./fake_socket";
import {
  closeSession,
  joined,
  log,
  newest,
  opened,
  openSession,
  person,
  ping,
  refuse,
  session,
  settled,
  socket,
  spectra,
  told,
  updates,
} from "./session_stub";

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

beforeEach(openSession);
afterEach(closeSession);

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
    expect(events).toEqual(["The room was closed. Join again to open it anew.", "close"]);
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
  const state = outcome(session.openChannel("a"));
  await settled();
  const before = ping(first);
  refuse(first, "rate-limited", "too fast");
  first.answer(before); // this one got through, the update did not
  await vi.advanceTimersByTimeAsync(2_000);
  expect(state.is).toBe("pending");
  expect(updates(first).length).toBe(2);
  first.answer(ping(first));
  await settled();
  expect(state.is).toBe("kept");
});
