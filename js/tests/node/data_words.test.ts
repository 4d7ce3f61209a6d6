/** What the widget says of data, and the lines it draws. */

import { describe, expect, test } from "vitest";
import type { ValueHeader } from "../../src/data/values";
import { ageWords, dataWords, sizeWords, untilOlder, whatWords } from "../../src/view/data_words";
import { pathOf } from "../../src/view/preview";

const array = (dtype: string, shape: number[]) => ({ kind: "array", dtype, shape, time: 1 }) as ValueHeader;

describe("what it is", () => {
  test.each([
    [array("<f8", [1024, 1024]), "(1024, 1024) float64"],
    [array("|u1", [480, 640, 3]), "(480, 640, 3) uint8"],
    [array("<c16", [7]), "(7,) complex128"],
    [array("<i8", []), "() int64"],
    [array("<f2", [0, 3]), "(0, 3) float16"],
    [array("|b1", [2]), "(2,) bool"],
    [array("|i1", [2]), "(2,) int8"],
    [array(">u4", [2]), "(2,) >u4"],
    [{ kind: "str", time: 1 }, "text"],
    [{ kind: "bytes", time: 1 }, "bytes"],
    [{ kind: "json", time: 1 }, "JSON"],
    [{ kind: "table", time: 1 }, "table"],
    [{ kind: "frame", time: 1 }, "DataFrame"],
  ] as [ValueHeader, string][])("%j is %s", (value, words) => {
    expect(whatWords(value)).toBe(words);
  });
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1 KiB"],
  [1536, "1.5 KiB"],
  [10_188, "9.9 KiB"],
  [10_189, "10 KiB"],
  [900 * 1024, "900 KiB"],
  [2 ** 20 - 1, "1 MiB"],
  [8 * 2 ** 20, "8 MiB"],
  [2 ** 30, "1 GiB"],
  [2 ** 53 - 1, "8 PiB"],
])("%i bytes are %s", (bytes, words) => {
  expect(sizeWords(bytes)).toBe(words);
});

test.each([
  [0, "now"],
  [4.9, "now"],
  [5, "5 s"],
  [59.9, "59 s"],
  [60, "1 min"],
  [3_599, "59 min"],
  [3_600, "1 h"],
  [86_399, "23 h"],
  [86_400, "1 day"],
  [10 * 86_400, "10 days"],
])("after %f seconds it is %s old", (age, words) => {
  expect(ageWords(age)).toBe(words);
});

test("ages are looked at as often as their words change, and seldom when they are great", () => {
  expect([0, 59, 60, 3_599, 3_600].map(untilOlder)).toEqual([1_000, 1_000, 15_000, 15_000, 300_000]);
});

test.each([
  [2, 5, "2 channels, 5 shared values"],
  [1, 1, "1 channel, 1 shared value"],
  [0, 3, "3 shared values"],
  [2, 0, "2 channels"],
  [2, null, "2 channels, shared values"],
  [0, null, "shared values"],
  [0, 0, "no shared values"],
])("%i channels and %j values are %s", (channels, values, words) => {
  expect(dataWords(channels, values)).toBe(words);
});

describe("a line", () => {
  test("goes from the lowest to the highest value, through all the width", () => {
    expect(pathOf([0, 5, 10])).toBe("M0 61h0.01L64 32L128 3");
  });

  test("of equal values is in the middle", () => {
    expect(pathOf([7, 7])).toBe("M0 32h0.01L128 32");
  });

  test("has gaps where there is nothing to show, and dots", () => {
    expect(pathOf([Number.NaN, 0, Number.NaN, 1, 1])).toBe("M32 61h0.01M96 3h0.01L128 3");
    expect(pathOf([3])).toBe("M0 32h0.01");
    expect(pathOf([Number.NaN])).toBe("");
  });

  test("is one of numbers, also of the greatest", () => {
    const most = 3.4028234663852886e38;
    expect(pathOf([-most, most])).toBe("M0 61h0.01L128 3");
  });
});
