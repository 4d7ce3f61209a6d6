/** The queues to each receiver: their turns, their bounds, and what never gets in. */

import { expect, test } from "vitest";
import { Outbox } from "../../src/outbox";
import type { ClientMessage, Message } from "../../src/protocol";
import { DecodeError } from "../../src/schema";

const wish = (to: string, stream: string): Message<"stream.subscribe"> => ({
  type: "stream.subscribe",
  to,
  stream,
});
const sdp = (type: "offer" | "answer", text = "v=0\r\n") => ({ type, sdp: text });
const offer = (to: string, epoch: number): ClientMessage => ({
  type: "webrtc.offer",
  to,
  epoch,
  sdp: sdp("offer"),
});
const answer = (to: string, epoch: number): ClientMessage => ({
  type: "webrtc.answer",
  to,
  epoch,
  sdp: sdp("answer"),
});
const candidate = (to: string, epoch: number): ClientMessage => ({ type: "webrtc.ice_candidate", to, epoch });

function drain(outbox: Outbox): ClientMessage[] {
  const messages: ClientMessage[] = [];
  for (let next = outbox.take(); next; next = outbox.take()) messages.push(next);
  return messages;
}

test("receivers have their turns, each in order; the server is served first", () => {
  const outbox = new Outbox();
  for (const stream of ["a1", "a2", "a3"]) outbox.put(wish("a", stream));
  outbox.put(wish("b", "b1"));
  expect(outbox.take()).toEqual(wish("a", "a1"));
  outbox.put({ type: "ice.request" });
  expect(drain(outbox).map((message) => ("stream" in message ? message.stream : message.type))).toEqual([
    "ice.request",
    "b1",
    "a2",
    "a3",
  ]);
  expect(outbox.empty).toBe(true);
});

test("beyond the bound one receiver's queue is dropped, and no other's", () => {
  const outbox = new Outbox();
  outbox.put(wish("ann", "camera"));
  const dropped = Array.from({ length: 257 }, (_, i) => outbox.put(wish("eve", `s${i}`)));
  expect(dropped.map(({ length }) => length)).toEqual([...Array(256).fill(0), 256]);
  expect(drain(outbox)).toEqual([wish("ann", "camera"), wish("eve", "s256")]);
});

test("of a pair's answers the newest waits, before the candidates that belong to it", () => {
  const outbox = new Outbox();
  for (const message of [answer("b", 1), candidate("b", 1), answer("b", 2), candidate("b", 2)])
    outbox.put(message);
  outbox.put(answer("c", 1));
  expect(drain(outbox)).toEqual([answer("b", 2), answer("c", 1), candidate("b", 1), candidate("b", 2)]);
});

test("an answer makes an offer void that still waits, but not the other way round", () => {
  const outbox = new Outbox();
  for (const message of [offer("b", 1), answer("b", 2), offer("b", 2), offer("b", 3)]) outbox.put(message);
  expect(drain(outbox)).toEqual([answer("b", 2), offer("b", 3)]);
});

test("whoever is gone is told nothing more", () => {
  const outbox = new Outbox();
  outbox.put(wish("a", "s"));
  outbox.put(wish("b", "s"));
  outbox.forget("a");
  expect(drain(outbox)).toEqual([wish("b", "s")]);
});

const answering = (text: string): ClientMessage => ({
  type: "webrtc.answer",
  to: "b",
  sdp: sdp("answer", text),
});

test.each<[string, ClientMessage]>([
  ["an answer that leaves no room for the sender's id", answering(`v=0${"x".repeat(65_400)}`)],
  ["one whose UTF-8 is too long, though its characters are few", answering(`v=0${"€".repeat(22_000)}`)],
  ["one of 33 m-lines", answering(`v=0\r\n${"m=video 9\r\n".repeat(33)}`)],
  ["one of 129 candidates", answering(`v=0\r\n${"a=candidate:1\r\n".repeat(129)}`)],
  [
    "a candidate of an m-line that the other gave a long name",
    { type: "webrtc.ice_candidate", to: "b", candidate: { candidate: "", sdpMid: "m".repeat(300) } },
  ],
])("what the server would refuse does not get in: %s", (_, message) => {
  const outbox = new Outbox();
  expect(() => outbox.put(message)).toThrow(DecodeError);
  expect(outbox.empty).toBe(true);
});

test("what the server takes gets in, and its own limit counts", () => {
  const outbox = new Outbox();
  outbox.put(answering(`v=0${"x".repeat(65_000)}`));
  outbox.put({ ...answering(`v=0\r\n${"m=video 9\r\n".repeat(32)}`), to: "c" });
  outbox.limit(2_000);
  expect(() => outbox.put(answering(`v=0${"x".repeat(2_000)}`))).toThrow(/1872 bytes/);
  expect(drain(outbox).length).toBe(2);
});
