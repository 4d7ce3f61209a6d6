/** The module as a page's author uses it: rooms, channels and videos on real connections, with a hub for a server. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type Channel,
  type JoinOptions,
  joinRoom,
  NdArray,
  type RoomHandle,
  RTCError,
} from "../../src/module";
import type { Session } from "../../src/session";
import { paint, showsColour } from "./pair";
import { closePage, invite, openPage, refusing, requests, sockets } from "./room";

const made: RTCPeerConnection[] = [];
const Real = globalThis.RTCPeerConnection;
const rooms: RoomHandle[] = [];

beforeEach(() => {
  openPage();
  made.length = 0;
  vi.stubGlobal(
    "RTCPeerConnection",
    class extends Real {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        made.push(this);
      }
    },
  );
});
afterEach(() => {
  for (const room of rooms.splice(0)) room.leave();
  vi.unstubAllGlobals();
  closePage();
});

async function join(name: string, options: JoinOptions = {}): Promise<RoomHandle> {
  const room = await joinRoom("r", { name, ...options });
  rooms.push(room);
  return room;
}

/** Two pages with the same channel. */
async function pair(name = "spectra"): Promise<[Channel, Channel, RoomHandle, RoomHandle]> {
  const [ann, bob] = [await join("Ann"), await join("Bob")];
  return [await ann.channel(name), await bob.channel(name), ann, bob];
}

const limit = { timeout: 10 };

describe("channels", () => {
  test("take arrays both ways, between two who have nothing else to do with each other", async () => {
    const [a, b] = await pair();
    const there = Float32Array.from({ length: 100_000 }, (_, i) => i / 3);
    await a.send(there, limit);
    const { value, sender } = await b.receive(limit);
    expect(sender.name).toBe("Ann");
    expect(value).toBeInstanceOf(NdArray);
    expect(value).toMatchObject({ dtype: "<f4", shape: [100_000] });
    expect((value as NdArray).data).toEqual(there);
    await b.send(new NdArray("<i2", [2, 2], new Uint8Array([1, 0, 2, 0, 3, 0, 4, 0])), limit);
    const back = (await a.recv(limit)) as NdArray;
    expect([back.shape, back.data]).toEqual([[2, 2], Int16Array.of(1, 2, 3, 4)]);
    expect(made.length).toBe(2);
  });

  test("go on over a new connection when the first one breaks", async () => {
    const [a, b] = await pair();
    await a.send("before", limit);
    expect(await b.recv(limit)).toBe("before");
    made[0]?.close();
    made[1]?.close();
    // The page that is closed this way notices by its heartbeat.
    await a.send("after", { timeout: 30 });
    expect(await b.recv(limit)).toBe("after");
    await b.send("and back", { timeout: 30 });
    expect(await a.recv(limit)).toBe("and back");
  }, 60_000);

  test("with other options are refused, in the server's words", async () => {
    const [, , , bob] = await pair();
    const refused = await bob.channel("spectra", { maxsize: 3 }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RTCError);
    const carol = await join("Carol");
    await expect(carol.channel("spectra", { maxsize: 3 })).rejects.toMatchObject({
      name: "ChannelOptions",
      code: "channel-options",
      message: "channel 'spectra' is open with other options",
    });
    await expect(carol.channel("two  spaces")).rejects.toMatchObject({ code: "invalid-message" });
  });

  test("that one closes go to nobody; others go on", async () => {
    const [a, b, , bob] = await pair();
    const carol = await (await join("Carol")).channel("spectra");
    b.close();
    await expect.poll(() => bob.me.channels).toEqual([]);
    await a.send("x", limit);
    expect(await carol.recv(limit)).toBe("x");
    await expect(b.receive()).rejects.toMatchObject({ name: "ChannelClosed" });
  });

  test("use the connection that is there for a video", async () => {
    const ada = invite("Ada");
    const ann = await join("Ann");
    const video = document.body.appendChild(document.createElement("video"));
    await withCamera(ada, "#00f");
    ann.show(video, "Ada");
    await showsColour(video, 2);
    const channel = await ann.channel("spectra");
    const theirs = await ada.openChannel("spectra");
    await theirs.send("hello", limit);
    expect(await channel.recv(limit)).toBe("hello");
    expect(made.length).toBe(2);
  });
});

describe("people", () => {
  const events = (room: RoomHandle) => {
    const seen: string[] = [];
    for (const type of ["joined", "left", "updated"] as const) {
      room.addEventListener(type, ({ detail }) => seen.push(`${type} ${detail.name}`));
    }
    return seen;
  };

  test("are listed, oneself first, and their coming, changing and going is told", async () => {
    const ann = await join("Ann");
    const seen = events(ann);
    const bob = await join("Bob");
    await expect.poll(() => seen).toEqual(["joined Bob"]);
    await bob.channel("spectra");
    await expect.poll(() => seen).toEqual(["joined Bob", "updated Bob"]);
    expect(ann.participants.map(({ name, kind, channels }) => [name, kind, channels])).toEqual([
      ["Ann", "browser", []],
      ["Bob", "browser", ["spectra"]],
    ]);
    expect(bob.me).toMatchObject({ name: "Bob", channels: ["spectra"], streams: [], state: "connected" });
    bob.leave();
    await expect.poll(() => seen.at(-1)).toBe("left Bob");
  });

  test("each joinRoom is one of its own, and hears nobody by itself", async () => {
    const ada = invite("Ada");
    await expect.poll(() => ada.status).toBe("joined");
    await ada.media.switchOn("microphone");
    const [one, two] = [await join("Ann"), await join("Ann")];
    expect(one.me.id).not.toBe(two.me.id);
    await expect.poll(() => one.participants.length).toBe(3);
    expect(made).toEqual([]);
  });
});

/** Switch on a camera that sees one colour. */
async function withCamera(session: Session, colour: string): Promise<void> {
  await expect.poll(() => session.status).toBe("joined");
  const track = paint(colour);
  const spy = vi.spyOn(navigator.mediaDevices, "getUserMedia").mockResolvedValue(new MediaStream([track]));
  await session.media.switchOn("camera");
  spy.mockRestore();
}

describe("videos", () => {
  function element(): HTMLVideoElement {
    return document.body.appendChild(document.createElement("video"));
  }

  test("are shown when they come, and again after the camera was off, or the connection broke", async () => {
    const ada = invite("Ada");
    const room = await join("Ann");
    const video = element();
    const stop = room.show(video, "Ada");
    expect(video.srcObject).toBeNull();
    await withCamera(ada, "#f00");
    await showsColour(video, 0);
    ada.media.switchOff("camera");
    await expect.poll(() => video.srcObject).toBeNull();
    await withCamera(ada, "#00f");
    await showsColour(video, 2);
    const first = video.srcObject;
    for (const connection of made) connection.close();
    await expect
      .poll(() => video.srcObject !== first && video.srcObject !== null, { timeout: 20_000 })
      .toBe(true);
    await showsColour(video, 2);
    stop();
    expect(video.srcObject).toBeNull();
    const sender = () => ada.connection(room.me.id)?.getSenders()[0]?.track ?? null;
    await expect.poll(sender).toBeNull(); // nothing flows that nobody asked for
  }, 60_000);

  test("in one element follow the last wish, and stop with the room", async () => {
    const [ada, emmy] = [invite("Ada"), invite("Emmy")];
    const room = await join("Ann");
    await withCamera(ada, "#f00");
    await withCamera(emmy, "#00f");
    const video = element();
    const stopFirst = room.show(video, "Ada");
    await showsColour(video, 0);
    room.show(video, "Emmy", "camera");
    await showsColour(video, 2);
    stopFirst();
    expect(video.srcObject).not.toBeNull();
    room.leave();
    expect(video.srcObject).toBeNull();
    expect(() => room.show(video, "Ada")).toThrow(/was left/);
  });
});

describe("the end", () => {
  test.each(["leave", "signal", "page"])("by %s leaves nothing behind", async (how) => {
    const abort = new AbortController();
    const bob = await (await join("Bob")).channel("spectra");
    const room = await join("Ann", { signal: abort.signal });
    const states: string[] = [];
    room.addEventListener("state", ({ detail }) => states.push(detail.state));
    const channel = await room.channel("spectra");
    await channel.send("x", limit);
    expect(await bob.recv(limit)).toBe("x");
    if (how === "leave") room.leave();
    if (how === "signal") abort.abort();
    if (how === "page") dispatchEvent(new Event("pagehide"));
    await expect.poll(() => states).toEqual(["left"]);
    expect([room.state, channel.closed]).toEqual(["left", true]);
    expect(sockets().at(-1)?.readyState).toBe(3);
    await expect.poll(() => made.filter(({ connectionState }) => connectionState !== "closed")).toEqual([]);
    expect(() => room.me).toThrow(RTCError);
    await expect(room.channel("other")).rejects.toMatchObject({ code: "not-in-room" });
    room.leave();
  });

  test("by the server is told with its reason", async () => {
    const room = await join("Ann");
    const channel = await room.channel("spectra");
    const told = new Promise<CustomEvent>((resolve) =>
      room.addEventListener("state", resolve, { once: true }),
    );
    sockets()[0]?.onclose?.({ code: 4010 });
    const { state, error } = (await told).detail;
    expect([state, error.code]).toEqual(["closed", "room-deleted"]);
    expect(error.message).toMatch(/The room was closed. Join again/);
    expect(channel.closed).toBe(true);
  });
});

describe("joining", () => {
  const refusal = (id: string, options?: JoinOptions) =>
    joinRoom(id, options).then(
      () => Promise.reject(new Error("it was let in")),
      (error: RTCError & { code?: string }) => error,
    );

  test("goes by the page's own login where it is Jupyter's", async () => {
    await join("Ann");
    expect(requests).toEqual([]);
    expect(sockets()[0]?.url).toMatch(/^ws:.*\/user\/ada\/forge-rtc\/ws\/webrtc\?room=r$/);
  });

  test("goes by a token, which stands in no URL and buys a ticket each time", async () => {
    closePage();
    openPage({ jupyter: false });
    await join("", { server: "http://elsewhere:8888/base?token=secret" });
    expect(requests.map(({ url }) => url)).toEqual(["http://elsewhere:8888/base/forge-rtc/api/tickets"]);
    expect(requests[0]?.headers.get("Authorization")).toBe("token secret");
    expect(sockets()[0]?.url).toBe("ws://elsewhere:8888/base/forge-rtc/ws/webrtc?room=r");
  });

  test("goes by a ticket, once", async () => {
    const room = await join("", { server: "http://elsewhere:8888", ticket: "Grace" });
    expect(room.me.name).toBe("Grace");
    expect(requests).toEqual([]);
  });

  test.each([
    ["no room!", {}, "invalid-room-id", /is no room id/],
    ["r", { token: "secret" }, "invalid-config", /token goes with server/],
    ["r", { server: "http://elsewhere/" }, "invalid-config", /not this page's own: .*token/],
    ["r", { server: "http://" }, "invalid-config", /server is no http/],
    ["r", { server: "ftp://secret.example" }, "invalid-config", /server is no http/],
  ])("that cannot come about is refused at once, in words: %j %j", async (id, options, code, words) => {
    const error = await refusal(id, options);
    expect(error).toBeInstanceOf(RTCError);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(words);
    expect(error.message).not.toContain("secret");
    expect(sockets()).toEqual([]);
  });

  test("on a page that is not Jupyter's says what is missing", async () => {
    closePage();
    openPage({ jupyter: false });
    expect(await refusal("r")).toMatchObject({ code: "invalid-config", message: /not a Jupyter server's/ });
  });

  test("is refused for the server's reason, with what to do", async () => {
    closePage();
    openPage({ extension: false });
    const error = await refusal("r", { server: "http://elsewhere", token: "secret" });
    expect(error).toMatchObject({ name: "SignalingError", code: "signaling" });
    refusing.add("elsewhere");
    const other = await refusal("r", { server: "http://elsewhere", ticket: "Ada" });
    expect(other.code).toBe("other-server");
    expect(other.message).toContain(`c.ServerApp.allow_origin = "${location.origin}"`);
  });

  test("does not wait for ever, nor longer than its signal", async () => {
    refusing.add(location.host);
    expect(await refusal("r", { timeout: 0.2 })).toMatchObject({ name: "RTCTimeout", code: "timeout" });
    const signal = AbortSignal.timeout(100);
    expect(await refusal("r", { signal })).toBe(signal.reason);
    expect(await refusal("r", { signal })).toBe(signal.reason);
    const tried = sockets().length;
    expect(tried).toBeGreaterThan(1);
  });
});
