/** Peers on real RTCPeerConnections: media really flows, and stops, and comes back. */

import { afterEach, describe, expect, test, vi } from "vitest";
import type { Message } from "../../src/protocol";
import { arrival, Pair, paint, screen, showsColour } from "./pair";

let pair: Pair | null = null;
afterEach(() => {
  pair?.close();
  pair = null;
  document.body.replaceChildren();
});

function newPair(): Pair {
  pair = new Pair();
  return pair;
}

const framesOf = async (pc: RTCPeerConnection | null) => {
  let frames = 0;
  for (const report of (await pc?.getStats())?.values() ?? []) {
    if (report.type === "inbound-rtp" && report.kind === "video") frames += report.framesReceived ?? 0;
  }
  return frames;
};

describe("two browsers", () => {
  test("what one subscribes to, it sees, at the bitrate and size that we ask for", async () => {
    const { a, b } = newPair();
    const camera = a.publish("camera", paint("#d00", 1280, 720));
    b.peer.want(camera.id);
    const video = screen(await arrival(b, camera.id));
    await showsColour(video, 0);
    const sender = a.peer.pc?.getSenders()[0];
    expect(sender?.getParameters().encodings[0]?.maxBitrate).toBe(4_000_000);
    expect(a.peer.state).toBe("connected");
    expect(JSON.stringify(a.sent.find(({ type }) => type === "webrtc.offer"))).toContain(
      "a=x-forge-packet-size:2040",
    );
    expect(a.peer.pc?.getTransceivers().map(({ direction }) => direction)).toEqual(["sendonly"]);
  });

  test("both at once: the glare ends in one connection that carries both", async () => {
    const { a, b } = newPair();
    const red = a.publish("camera", paint("#d00"));
    const blue = b.publish("camera", paint("#00d"));
    a.peer.want(blue.id);
    b.peer.want(red.id);
    await showsColour(screen(await arrival(b, red.id)), 0);
    await showsColour(screen(await arrival(a, blue.id)), 2);
    const epochs = [a, b].map(({ sent }) => new Set(sent.map(({ epoch }) => epoch).filter(Boolean)));
    expect(a.peer.pc?.connectionState).toBe("connected");
    expect(Math.max(...epochs.map(({ size }) => size))).toBeLessThanOrEqual(2);
  });

  test("nothing flows after unsubscribing, and it flows again without a new offer", async () => {
    const { a, b } = newPair();
    const camera = a.publish("camera", paint("#0c0"));
    b.peer.want(camera.id);
    const video = screen(await arrival(b, camera.id));
    await showsColour(video, 1);
    const offers = () => a.sent.filter(({ type }) => type === "webrtc.offer").length;
    const before = offers();
    b.peer.unwant(camera.id);
    await expect.poll(() => a.peer.pc?.getSenders()[0]?.track).toBeNull();
    const stopped = await framesOf(b.peer.pc);
    b.peer.want(camera.id);
    await expect.poll(() => framesOf(b.peer.pc), { timeout: 5_000 }).toBeGreaterThan(stopped + 5);
    expect(offers()).toBe(before);
  });

  test("a camera that is switched off and on uses the same m-line again", async () => {
    const { a, b } = newPair();
    const first = a.publish("camera", paint("#d00"));
    b.peer.want(first.id);
    await showsColour(screen(await arrival(b, first.id)), 0);
    b.peer.unwant(first.id);
    a.peer.ended(first.id);
    const second = a.publish("camera", paint("#00d"));
    b.peer.want(second.id);
    await showsColour(screen(await arrival(b, second.id)), 2);
    expect(a.peer.pc?.getTransceivers().length).toBe(1);
  });

  test("another camera under the same stream needs no new offer", async () => {
    const { a, b } = newPair();
    const camera = a.publish("camera", paint("#d00"));
    b.peer.want(camera.id);
    const video = screen(await arrival(b, camera.id));
    await showsColour(video, 0);
    a.streams.set(camera.id, { info: camera, track: paint("#00d") });
    a.peer.retrack(camera);
    await showsColour(video, 2);
    expect(a.sent.filter(({ type }) => type === "webrtc.offer").length).toBe(1);
  });

  test("a microphone and a camera share the connection", async () => {
    const { a, b } = newPair();
    const camera = a.publish("camera", paint("#0c0"));
    const audio = new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
    if (!audio) throw new Error("no audio track");
    const microphone = a.publish("microphone", audio);
    b.peer.want(microphone.id);
    b.peer.want(camera.id);
    await showsColour(screen(await arrival(b, camera.id)), 1);
    expect((await arrival(b, microphone.id)).kind).toBe("audio");
    expect(b.peer.pc?.getTransceivers().length).toBe(2);
  });
});

describe("trouble", () => {
  test("a connection whose other end goes is made anew by the sender", async () => {
    const { a, b } = newPair();
    vi.spyOn(console, "debug").mockImplementation(() => undefined);
    const camera = a.publish("camera", paint("#d00"));
    b.peer.want(camera.id);
    await showsColour(screen(await arrival(b, camera.id)), 0);
    const old = b.peer.pc;
    b.received.clear();
    old?.close();
    await expect.poll(() => a.peer.state, { interval: 10 }).toBe("reconnecting");
    await showsColour(screen(await arrival(b, camera.id)), 0);
    expect(b.peer.pc).not.toBe(old);
    expect(a.peer.state).toBe("connected");
  });

  test("an offer that was lost is sent again when signaling is back", async () => {
    const both = newPair();
    const { a, b } = both;
    const camera = a.publish("camera", paint("#d00"));
    both.connected = false;
    a.peer.subscribe(camera);
    await expect.poll(() => a.sent.length).toBeGreaterThan(0);
    await new Promise(requestAnimationFrame);
    both.connected = true;
    a.peer.resync();
    await showsColour(screen(await arrival(b, camera.id)), 0);
  });

  test("a description that the browser refuses ends the connection, not the page", async () => {
    const { a } = newPair();
    const said = vi.spyOn(console, "debug").mockImplementation(() => undefined);
    a.peer.receive({
      type: "webrtc.offer",
      from: "b",
      epoch: 5,
      sdp: { type: "offer", sdp: "v=0 nonsense" },
    });
    expect(a.peer.state).toBe("connecting");
    await expect.poll(() => said.mock.calls.some(([text]) => /accept-offer/.test(String(text)))).toBe(true);
    expect(a.peer.pc).toBeNull();
    expect(a.peer.state).toBe("idle");
  });

  test("a candidate that is no use is ignored", async () => {
    const { a, b } = newPair();
    const camera = a.publish("camera", paint("#0c0"));
    b.peer.want(camera.id);
    const track = await arrival(b, camera.id);
    const epoch = (a.sent[0] as Message<"webrtc.offer">).epoch ?? 0;
    const candidate = { candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host", sdpMid: "99" };
    b.peer.receive({ type: "webrtc.ice_candidate", from: "a", epoch, candidate });
    await showsColour(screen(track), 1);
  });

  test("a closed peer holds no connection and sends nothing more", async () => {
    const { a, b } = newPair();
    const camera = a.publish("camera", paint("#d00"));
    b.peer.want(camera.id);
    await arrival(b, camera.id);
    const pc = a.peer.pc;
    a.peer.close();
    expect(pc?.connectionState).toBe("closed");
    const sent = a.sent.length;
    a.peer.want("x");
    a.peer.resync();
    expect(a.sent.length).toBe(sent);
  });
});
