/** What the server refuses costs the others nothing: a whole session against the hub, on real connections. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Session } from "../../src/session";
import { closePage, invite, openPage, sockets } from "./room";

beforeEach(() => openPage());
afterEach(() => closePage());

type Frame = Record<string, unknown> & { type: string };

/** The socket of a guest, with what it sends; `refuse` may take a message before the hub gets it. */
function tap(index: number, refuse: (message: Frame) => boolean = () => false) {
  const socket = sockets()[index];
  if (!socket) throw new Error("there is no such socket");
  const pass = socket.send.bind(socket);
  const sent: Frame[] = [];
  socket.send = (frame) => {
    const message = JSON.parse(frame) as Frame;
    sent.push(message);
    if (!refuse(message)) return pass(frame);
    const error = { type: "error", code: "slow-reader", message: "not passed on", reply_to: message.id };
    queueMicrotask(() => socket.onmessage?.({ data: JSON.stringify(error) }));
  };
  const say = (message: object) => socket.onmessage?.({ data: JSON.stringify(message) });
  return { sent, say };
}

async function guest(name: string): Promise<Session> {
  const session = invite(name);
  await expect.poll(() => session.status, { interval: 5 }).toBe("joined");
  return session;
}

test("a stream starts though its subscription, its offer and its answer were each refused once", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const [ann, bob] = [await guest("Ann"), await guest("Bob")];
  const refused = new Set<string>();
  const once = ({ type }: Frame) => {
    if (!/subscribe|offer|answer/.test(type) || refused.has(type)) return false;
    refused.add(type);
    return true;
  };
  tap(0, once);
  tap(1, once);
  await ann.media.switchOn("camera");
  const camera = ann.media.streams[0]?.id ?? "";
  const id = ann.me?.id ?? "";
  await expect.poll(() => bob.others[0]?.streams?.length).toBe(1);
  bob.watch(id, camera);
  await expect.poll(() => bob.arrived(id, camera) !== null, { timeout: 12_000 }).toBe(true);
  await expect.poll(() => bob.peerState(id), { timeout: 12_000 }).toBe("connected");
  expect([...refused]).toEqual(["stream.subscribe", "webrtc.offer", "webrtc.answer"]);
}, 30_000);

/** An offer of 32 m-lines that is just short enough to be passed on; Chromium's answer to it is not. */
async function hugeOffer(): Promise<string> {
  const pc = new RTCPeerConnection();
  for (let i = 0; i < 32; i++) pc.addTransceiver("video", { direction: "sendonly" });
  await pc.setLocalDescription();
  const [head = "", ...sections] = (pc.localDescription?.sdp ?? "").split(/^m=/m);
  pc.close();
  const transport = sections[0]?.match(/^a=(ice-ufrag|ice-pwd|fingerprint|setup).*\r\n/gm)?.join("") ?? "";
  const slim = (section: string, codecs: number) => {
    const [first = "", ...lines] = section.split("\r\n");
    const words = first.split(" ").slice(0, 3 + codecs);
    const keep = lines.filter((line) => {
      const [, type] = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+)/.exec(line) ?? [];
      return !/^a=(ice-|fingerprint|setup|ssrc|msid|candidate)/.test(line) && (!type || words.includes(type));
    });
    return `m=${[words.join(" "), ...keep].join("\r\n")}`;
  };
  const make = (codecs: number) =>
    head + transport + sections.map((section) => slim(section, codecs)).join("");
  let codecs = 1;
  while (make(codecs + 1).length < 62_000) codecs += 1;
  return make(codecs);
}

test("an offer whose answer would be too long to send ends that connection, and nothing else", async () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  vi.spyOn(console, "debug").mockImplementation(() => undefined);
  const bob = await guest("Bob");
  const { sent, say } = tap(0);
  const eve = { id: "eve", name: "Eve", kind: "browser", user: "eve" };
  say({ type: "room.joined", participant: eve });
  const sdp = { type: "offer", sdp: await hugeOffer() };
  say({ type: "webrtc.offer", from: "eve", epoch: 5, sdp });
  expect(bob.peerState("eve")).toBe("connecting");
  await expect.poll(() => bob.peerState("eve"), { timeout: 8_000 }).toBe("idle");
  expect(warn.mock.calls.join()).toMatch(/did not send a webrtc.answer: more than 65408 bytes/);
  expect(sent.some(({ type }) => type === "webrtc.answer")).toBe(false);
  expect(bob.connection("eve")).toBeNull();
  expect(bob.status).toBe("joined");
});
