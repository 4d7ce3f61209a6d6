/** Which video a page's author means: the same answers as `room.video` in a notebook gives. */

import { expect, test } from "vitest";
import { findVideo } from "../../src/find_video";
import type { Participant, Stream } from "../../src/protocol";

const video = (id: string, source: Stream["source"] = "other", started = 0): Stream => ({
  id,
  name: `${id}'s name`,
  kind: "video",
  source,
  started,
});
const sound: Stream = { id: "microphone-1", name: "microphone", kind: "audio", source: "microphone" };
const person = (id: string, streams: Stream[], changes: Partial<Participant> = {}): Participant => ({
  id,
  name: `name of ${id}`,
  kind: "browser",
  user: `user of ${id}`,
  streams,
  ...changes,
});

const ann = person("ann", [sound, video("a1", "camera", 5), video("a2", "screen", 9)]);
const bob = person("bob", [video("b1")]);
const eve = person("eve", [video("e1"), video("e2")], { name: "bob" });
const notebook = person("k1", [], { kind: "kernel", name: "spectrometer", user: "user of ann" });
const tab = person("tab", [video("t1", "camera", 7)], { owners: ["k1"], user: "user of ann" });
const room = [ann, bob, eve, notebook, tab];

const found = (...wanted: [who: string, stream?: string]) => findVideo(room, ...wanted)?.stream ?? null;

test.each([
  ["ann", "a1"],
  ["name of ann", "a1"],
  ["bob", "b1"], // the id goes before Eve's name
  ["user of bob", "b1"],
  ["user of ann", "t1"], // of two cameras the one that was switched on last
  ["spectrometer", "t1"], // a notebook's name stands for the tabs that show it
])("without a name of the stream %s sends the camera, else the only video", (who, stream) => {
  expect(found(who)).toBe(stream);
});

test("a named stream is found by its id or its name", () => {
  expect(found("ann", "a2")).toBe("a2");
  expect(found("ann", "a2's name")).toBe("a2");
});

test("sound is no video, several without a camera are none to choose, and nobody is found by chance", () => {
  expect(found("ann", "microphone-1")).toBeNull();
  expect(found("eve")).toBeNull();
  expect(found("eve", "e2")).toBe("e2");
  expect(found("nobody")).toBeNull();
  expect(found("ann", "b1")).toBeNull();
});
