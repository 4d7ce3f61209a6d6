/** What the widget says, and whose state it shows. */

import { describe, expect, test } from "vitest";
import { roomState } from "../../src/attachment";
import type { Participant } from "../../src/protocol";
import { countWords, failureWords, initials, statusWords } from "../../src/view/words";

const kernel = (status: "joined" | "waiting" | "reconnecting" | "left" | "error", detail = "") => ({
  status,
  detail,
});
const tab = (status: "connecting" | "joined" | "reconnecting" | "left" | "error", message = "") => ({
  status,
  failure: message ? { code: "signaling", message } : null,
});

describe("the state", () => {
  test.each([
    [kernel("joined"), null, "connecting", "Connecting…"],
    [kernel("joined"), tab("joined"), "joined", "In the room"],
    [kernel("waiting"), tab("joined"), "waiting", "Waiting for the kernel"],
    [kernel("waiting"), tab("connecting"), "connecting", "Connecting…"],
    [kernel("reconnecting"), tab("joined"), "reconnecting", "The kernel is reconnecting…"],
    [kernel("joined"), tab("reconnecting"), "reconnecting", "Reconnecting…"],
    [kernel("left"), tab("joined"), "left", "The kernel left the room"],
    [kernel("error"), tab("joined"), "error", "The kernel is not in the room"],
    [kernel("joined"), tab("error", "full"), "error", "Not in the room"],
  ])("of %j and %j is %s", (one, other, name, words) => {
    const state = roomState(one, other, null);
    expect(state.name).toBe(name);
    expect(statusWords(state)).toBe(words);
  });

  test("a server that was not found is an error of the tab, with its reason", () => {
    const failure = { code: "no-kernel", message: "The kernel is gone." };
    expect(roomState(kernel("joined"), null, failure)).toEqual({
      name: "error",
      of: "tab",
      detail: failure.message,
    });
  });
});

test("every failure comes with something to do", () => {
  for (const code of ["replaced", "unauthorized", "forbidden", "room-not-found", "room-full", "unheard-of"]) {
    const { what, advice } = failureWords({ code, message: "it is so" });
    expect(what).toBe("it is so.");
    expect(advice).toMatch(/\.$/);
  }
});

test("a failure that knows what to do says that", () => {
  expect(failureWords({ code: "signaling", message: "no", advice: "Ask Ann." }).advice).toBe("Ask Ann.");
});

test("people and kernels are counted apart", () => {
  const browser: Participant = { id: "a", name: "a", kind: "browser", user: "u" };
  const python: Participant = { ...browser, kind: "kernel" };
  expect(countWords([browser])).toBe("1 person");
  expect(countWords([browser, browser, python])).toBe("2 people · 1 kernel");
  expect(countWords([python, python])).toBe("0 people · 2 kernels");
});

test.each([
  ["Ada Lovelace", "AL"],
  ["emmy", "E"],
  ["  «Grace»  B. Hopper ", "GB"],
  ["𝒜da", "𝒜"],
  ["", "?"],
  ["…", "?"],
])("%j is shown as %j", (name, letters) => {
  expect(initials(name)).toBe(letters);
});
