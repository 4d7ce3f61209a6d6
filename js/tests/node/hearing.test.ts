/** Whom a tab hears: everybody but itself, and nothing twice. */

import { expect, test } from "vitest";
import type { AudioSink } from "../../src/audio";
import { Hearing, type Listener } from "../../src/hearing";
import type { Participant, Stream } from "../../src/protocol";

const sound: Stream = { id: "s", name: "sound", kind: "audio", source: "other" };
const picture: Stream = { id: "p", name: "plot", kind: "video", source: "other" };
const someone = (id: string, kind: Participant["kind"], user: string, changes: Partial<Participant> = {}) =>
  ({ id, name: id, kind, user, streams: [sound, picture], ...changes }) as Participant;

const me: Listener = { user: "ann", owners: ["mine"] };
const mine = someone("mine", "kernel", "ann");
const script = someone("script", "kernel", "ann");
const elsewhere = someone("elsewhere", "kernel", "ann");
const second = someone("second tab", "browser", "ann", { owners: ["elsewhere"] });
const bob = someone("bob", "browser", "bob", { owners: ["bob's"] });
const bobs = someone("bob's", "kernel", "bob");
const room = [mine, script, elsewhere, second, bob, bobs];

function listening() {
  const wanted = new Set<string>();
  const played: string[] = [];
  const sink = {
    play: (key: string) => played.push(key),
    stop: (key: string) => played.splice(played.indexOf(key), 1),
  };
  const hearing = new Hearing(sink as unknown as AudioSink, {
    watch: (participant, stream) => {
      wanted.add(`${participant} ${stream}`);
      return () => wanted.delete(`${participant} ${stream}`);
    },
    arrived: () => ({}) as MediaStream,
  });
  return { hearing, wanted, played };
}

test("the others are heard, and of one's own what no other tab plays", () => {
  const { hearing, wanted, played } = listening();
  hearing.tuneIn(room, me);
  expect([...wanted].sort()).toEqual(["bob s", "bob's s", "mine s", "script s"]);
  expect(played).toHaveLength(4);
});

test("a kernel that another tab has taken over is let go", () => {
  const { hearing, wanted } = listening();
  hearing.tuneIn(room, me);
  const third = someone("third tab", "browser", "ann", { owners: ["script"] });
  hearing.tuneIn([...room, third], me);
  expect(wanted.has("script s")).toBe(false);
  expect(wanted.has("mine s")).toBe(true);
});

test("what a person chooses goes before that, until the participant is gone", () => {
  const { hearing, wanted } = listening();
  hearing.choose("second tab", true);
  hearing.choose("bob", false);
  hearing.tuneIn(room, me);
  expect(wanted.has("second tab s")).toBe(true);
  expect(wanted.has("bob s")).toBe(false);
  expect(hearing.hears(bob, me, room)).toBe(false);
  hearing.forget("bob");
  expect(hearing.hears(bob, me, room)).toBe(true);
});
