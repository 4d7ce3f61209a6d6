/** Frames of data channels against the examples that pytest reads too. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decode, encode, type Frame, FrameError, MAX_FRAME } from "../../src/data/frames";

interface Case {
  hex: string;
  zeros?: number;
}
interface Vectors {
  valid: (Case & { name: string; frame: Record<string, unknown> })[];
  invalid: (Case & { why: string })[];
}

const FILE = new URL("../../../tests/wire/data/frames.json", import.meta.url);
const { valid, invalid } = JSON.parse(readFileSync(FILE, "utf8")) as Vectors;

function fromHex(hex: string, zeros = 0): Uint8Array {
  const head = Buffer.from(hex, "hex");
  const bytes = new Uint8Array(head.length + zeros);
  bytes.set(head);
  return bytes;
}

/** Bytes as text: to compare a quarter of a million of them one by one takes seconds. */
const inWords = (fields: object) =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
    ]),
  );

/** The frame as the vector spells it out; zeros that would fill pages are counted only. */
function frameOf({ frame, zeros }: Vectors["valid"][number]): Frame {
  const { zeros_in: filled, ...fields } = frame;
  for (const name of ["header", "body"]) {
    const hex = fields[name];
    if (typeof hex === "string") fields[name] = fromHex(hex, name === filled ? zeros : 0);
  }
  return fields as unknown as Frame;
}

test.each(valid)("$name", (example) => {
  const bytes = fromHex(example.hex, example.zeros);
  expect(inWords(decode(bytes))).toEqual(inWords(frameOf(example)));
  expect(inWords({ bytes: encode(frameOf(example)) })).toEqual(inWords({ bytes }));
});

test.each(invalid)("refused: $why", ({ hex, zeros }) => {
  expect(() => decode(fromHex(hex, zeros))).toThrow(FrameError);
});

describe("a frame", () => {
  test("is not text", () => {
    expect(() => decode("\x03\x00\x00\x00\x01\x00\x00\x00")).toThrow(FrameError);
  });

  test("is read out of the middle of a buffer, without a copy", () => {
    const frame = encode({ type: "more", number: 1, offset: 8, body: new Uint8Array([1, 2, 3]) });
    const buffer = new Uint8Array(frame.length + 10);
    buffer.set(frame, 7);
    const read = decode(buffer.subarray(7, 7 + frame.length));
    expect(read).toEqual(decode(frame));
    expect(read.type === "more" && read.body.buffer === buffer.buffer).toBe(true);
  });

  test.each<Frame>([
    { type: "abort", number: 0 },
    { type: "abort", number: 2 ** 32 },
    { type: "taken", number: 1.5 },
    { type: "credit", total: -1 },
    { type: "credit", total: 2 ** 53 },
    { type: "more", number: 1, offset: 0, body: new Uint8Array() },
    { type: "more", number: 1, offset: 2 ** 53 - 1, body: new Uint8Array(1) },
    { type: "more", number: 1, offset: 0, body: new Uint8Array(MAX_FRAME) },
    { type: "begin", number: 1, size: 0, header: new Uint8Array(1), body: new Uint8Array() },
    { type: "begin", number: 1, size: 0, header: new Uint8Array(2), body: new Uint8Array(1) },
  ])("that would not be read is not written: %o", (frame) => {
    expect(() => encode(frame)).toThrow(FrameError);
  });
});
