/** With whom a session connects for its channels, and for how long. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { FakeSocket } from "./fake_socket";
import {
  closeSession,
  is,
  joined,
  log,
  opened,
  openSession,
  person,
  refuse,
  StubConnection,
  session,
  settled,
  spectra,
} from "./session_stub";

beforeEach(openSession);
afterEach(closeSession);

const labels = () => StubConnection.all.map((connection) => connection.labels);
const offers = (from: FakeSocket) => from.sent.filter(is("webrtc.offer")).map(({ to }) => to);

async function withIce(on: FakeSocket): Promise<void> {
  on.say({ type: "ice.servers", servers: [] });
  await settled();
}

test("those who have a channel get a connection, made by the lower id, and by a tab to a kernel; others do not", async () => {
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

test("whose id is lower makes the connection, and opens the data channels", async () => {
  const first = await joined([person("0000", [spectra])]);
  await opened(first, "spectra");
  await withIce(first);
  expect(offers(first)).toEqual([]);
  first.say({ type: "webrtc.offer", from: "0000", epoch: 5, sdp: { type: "offer", sdp: "v=0\r\n" } });
  await withIce(first);
  expect(first.sent.some(({ type }) => type === "webrtc.answer")).toBe(true);
  expect(labels()).toEqual([["control"]]); // the other opens it
});

test("who opens a channel later, or closes it, or leaves, begins or ceases to have it", async () => {
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

test("nobody is connected with while the server's answer may be no", async () => {
  const first = await joined([person("zoe", [{ ...spectra, ordered: false }])]);
  const opening = session.openChannel("spectra");
  await settled();
  refuse(first);
  await expect(opening).rejects.toThrow();
  expect(StubConnection.all).toEqual([]);
});

test("a connection that does not come about is tried again, until the channel is closed", async () => {
  vi.spyOn(console, "debug").mockImplementation(() => undefined);
  const first = await joined([person("zoe", [spectra])]);
  first.answersPings = true;
  const channel = await opened(first, "spectra");
  await withIce(first);
  expect(labels().length).toBe(1);
  await vi.advanceTimersByTimeAsync(16_000);
  await withIce(first);
  expect(labels()).toEqual(Array(2).fill(["control", "c/spectra"]));
  channel.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(labels().length).toBe(2);
});
