/** JSON that is nested deeper than a page has memory for is refused before it is parsed. */

import { describe, expect, test, vi } from "vitest";
import { isNestedDeeper } from "../../src/data/nesting";
import { unpack } from "../../src/data/values";
import { DecodeError } from "../../src/schema";
import { dice, utf8 } from "./data_ends";

const deepest = (json: string) => {
  let most = 0;
  while (isNestedDeeper(utf8(json), most)) most++;
  return most;
};

describe("how deep JSON is nested", () => {
  test.each<[string, number]>([
    ["1", 0],
    ["[]", 1],
    ["[[],[],{}]", 2],
    ['{"a":{"b":[]}}', 3],
    ['["[[[", "\\"[[", "\\\\", []]', 2],
    ['"[', 0],
    ['"\\', 0],
    ["]]]", 0],
  ])("%s", (json, depth) => expect(deepest(json)).toBe(depth));

  test.each(Array.from({ length: 50 }, (_, seed) => seed))("of random values (%i)", (seed) => {
    const roll = dice(seed);
    const strings = ["", "[", '"]', "\\", "é{", '\\"[[', "\u0000"];
    let most = 0;
    const value = (depth: number): unknown => {
      most = Math.max(most, depth);
      const items = () =>
        Array.from({ length: roll(4) }, () => (roll(2) ? value(depth + 1) : strings[roll(7)]));
      return roll(2) ? items() : Object.fromEntries(items().map((item) => [strings[roll(7)], item]));
    };
    const made = value(1);
    // Items of an object that had the same key are gone.
    const depthOf = (some: unknown): number =>
      typeof some === "object" && some ? 1 + Math.max(0, ...Object.values(some).map(depthOf)) : 0;
    expect(deepest(JSON.stringify(made))).toBe(depthOf(made));
    expect(depthOf(made)).toBeLessThanOrEqual(most);
  });
});

test("a message of nothing but opening brackets is not parsed", () => {
  const parse = vi.spyOn(JSON, "parse");
  const body = new Uint8Array(10_000_000).fill("[".charCodeAt(0));
  expect(() => unpack({ kind: "json", time: 1 }, body)).toThrow(DecodeError);
  expect(parse).not.toHaveBeenCalled();
  parse.mockRestore();
});
