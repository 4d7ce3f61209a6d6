/** A peer in trouble with the server: what it would refuse, and what it refused. The browser's part is a stub. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Peer, receiverOf } from "../../src/peer";
import type { RoutedMessage, Stream } from "../../src/protocol";

const camera: Stream = { id: "camera-1", name: "camera", kind: "video", source: "camera" };

/** An RTCPeerConnection that answers everything and connects to nothing. */
class StubConnection {
  static made = 0;
  static taken: string[] = [];
  localDescription: RTCSessionDescriptionInit | null = null;
  #remote = false;

  constructor() {
    StubConnection.made += 1;
  }
  async setRemoteDescription({ sdp }: RTCSessionDescriptionInit): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 50));
    StubConnection.taken.push(sdp ?? "");
    this.#remote = true;
  }
  async setLocalDescription(): Promise<void> {
    this.localDescription = { type: this.#remote ? "answer" : "offer", sdp: "v=0\r\n" };
  }
  createDataChannel = () => ({});
  addEventListener(): void {}
  addTransceiver = () => ({
    mid: "0",
    sender: { getParameters: () => ({}), setParameters: async () => undefined },
  });
  getTransceivers = () => [];
  close(): void {}
}

let peer: Peer;
let sent: RoutedMessage[];
/** What the server would refuse. */
let unfit: (message: RoutedMessage) => boolean;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("RTCPeerConnection", StubConnection);
  vi.stubGlobal("navigator", { userAgent: "" });
  vi.spyOn(console, "debug").mockImplementation(() => undefined);
  StubConnection.made = 0;
  StubConnection.taken = [];
  sent = [];
  unfit = () => false;
  peer = new Peer({
    me: "a",
    id: "b",
    kind: "browser",
    send: (message) => {
      sent.push(message);
      return !unfit(message);
    },
    iceServers: async () => [],
    track: () => null,
    received: () => undefined,
    changed: () => undefined,
    fault: () => undefined,
  });
});
afterEach(() => {
  peer.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const offered = (epoch: number, sdp = "v=0\r\n") =>
  peer.receive({ type: "webrtc.offer", from: "b", epoch, sdp: { type: "offer", sdp } });
const count = (type: RoutedMessage["type"]) => sent.filter((message) => message.type === type).length;
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const lastId = () => sent.at(-1)?.id ?? "";

describe("what the server would refuse", () => {
  test("an answer that does not fit ends its connection", async () => {
    unfit = ({ type }) => type === "webrtc.answer";
    offered(5);
    await pass(100);
    expect(count("webrtc.answer")).toBe(1);
    expect([peer.pc, peer.state]).toEqual([null, "idle"]);
    await pass(60_000);
    expect(sent.length).toBe(1);
  });

  test("nor does an offer make a storm: the next ones wait longer and longer", async () => {
    unfit = ({ type }) => type === "webrtc.offer";
    peer.subscribe(camera);
    await pass(60_000);
    expect(count("webrtc.offer")).toBeGreaterThan(5);
    expect(count("webrtc.offer")).toBeLessThan(20);
    expect(peer.state).toBe("reconnecting");
  });

  test("nor do two who cannot come together ask each other without a pause", async () => {
    unfit = ({ type }) => type === "webrtc.answer";
    peer.want("camera-9");
    let epoch = 1;
    for (let i = 0; i < 600; i++) {
      const before = count("webrtc.negotiate");
      if (i === 0) offered(epoch++);
      await pass(100);
      if (count("webrtc.negotiate") > before) offered(epoch++);
    }
    await pass(50); // the stand-in for the browser takes so long with a description, also where nobody waits for it any more
    expect(count("webrtc.negotiate")).toBeGreaterThan(5);
    expect(count("webrtc.negotiate")).toBeLessThan(20);
  });
});

describe("what the server did not pass on", () => {
  test("a wish is repeated after 1 to 2 s, and at intervals that grow to 8 s while it is refused", async () => {
    peer.want("camera-9");
    const at: number[] = [];
    for (let ms = 0; ms < 60_000; ms += 100) {
      const before = sent.length;
      if (ms === 0) peer.refused(lastId());
      await pass(100);
      if (sent.length === before) continue;
      at.push(ms);
      peer.refused(lastId());
    }
    expect(sent.every(({ type }) => type === "stream.subscribe")).toBe(true);
    expect(at[0]).toBeGreaterThanOrEqual(900);
    expect(at[0]).toBeLessThanOrEqual(2_000);
    expect(at.length).toBeGreaterThanOrEqual(7);
    expect(at.length).toBeLessThanOrEqual(17);
  });

  test("many refusals are one repetition, and after a while of peace the first wait is short again", async () => {
    peer.want("camera-9");
    for (let i = 0; i < 100; i++) peer.refused(lastId());
    await pass(2_000);
    expect(sent.length).toBe(2);
    peer.refused(lastId());
    await pass(4_000);
    expect(sent.length).toBe(3);
    await pass(20_000);
    peer.refused(lastId());
    await pass(2_000);
    expect(sent.length).toBe(4);
  });

  test("an offer is repeated while nobody answered it", async () => {
    peer.subscribe(camera);
    await pass(10);
    peer.refused(lastId());
    await pass(2_000);
    const offers = sent.filter(({ type }) => type === "webrtc.offer");
    expect(offers.map((offer) => ({ ...offer, id: "" }))).toEqual(Array(2).fill({ ...offers[0], id: "" }));
    expect(receiverOf(lastId())).toBe("b");
  });

  test("an answer is repeated, unless there was another offer since", async () => {
    offered(5);
    await pass(100);
    peer.refused(lastId());
    await pass(2_000);
    expect(count("webrtc.answer")).toBe(2);
    const old = lastId();
    offered(5);
    await pass(100);
    expect(count("webrtc.answer")).toBe(3);
    peer.refused(old);
    await pass(8_000);
    expect(count("webrtc.answer")).toBe(3);
  });

  test("whoever is gone is told nothing more", async () => {
    peer.want("camera-9");
    peer.refused(lastId());
    peer.close();
    peer.refused(lastId());
    offered(5);
    await pass(10_000);
    expect(sent.length).toBe(1);
  });
});

test("of a flood of offers few are taken as a description, the newest last, and each is answered once", async () => {
  for (let i = 1; i <= 500; i++) {
    offered(5, `v=0 ${i}`);
    await pass(20);
  }
  await pass(2_000);
  expect(StubConnection.taken.length).toBeLessThanOrEqual(18);
  expect(StubConnection.taken.at(-1)).toBe("v=0 500");
  expect(count("webrtc.answer")).toBeLessThanOrEqual(StubConnection.taken.length);
  expect(StubConnection.made).toBe(1);
});
