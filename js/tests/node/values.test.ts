/** Values as header and body against the examples that pytest reads too, and JavaScript's own kinds of arrays. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { NdArray } from "../../src/data/ndarray";
import {
  ArrowStream,
  check,
  MessageTooLarge,
  pack,
  parseHeader,
  type Sendable,
  unpack,
} from "../../src/data/values";
import { DecodeError } from "../../src/schema";

type Numbers = number | string | boolean | Numbers[];
interface Vectors {
  valid: {
    name: string;
    header: object;
    body: string;
    elements?: Numbers[];
    text?: string;
    json?: unknown;
  }[];
  headers: { name: string; header: string; reads: object }[];
  refused_headers: { why: string; header?: string; hex?: string; size: number; error?: string }[];
  refused_bodies: { why: string; header: object; body: string }[];
}

const FILE = new URL("../../../tests/wire/data/values.json", import.meta.url);
const vectors = JSON.parse(readFileSync(FILE, "utf8")) as Vectors;
const LIMIT = 2 ** 30;

const fromHex = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
const utf8 = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const through = (value: Sendable) => {
  const { header, body } = pack(value, 1.5);
  return unpack(parseHeader(header), body);
};

describe("the examples", () => {
  test.each(vectors.valid)("$name", ({ header, body, text, json }) => {
    const bytes = fromHex(body);
    const read = parseHeader(utf8(JSON.stringify(header)));
    check(read, bytes.length, LIMIT);
    const value = unpack(read, bytes);
    const again = pack(value as Sendable, read.time);
    if (read.kind === "json") {
      expect(value).toEqual(json);
      expect(JSON.parse(textOf(again.body))).toEqual(json);
    } else {
      if (text !== undefined) expect(value).toBe(text);
      expect(again.body).toEqual(bytes);
    }
  });

  test.each(vectors.valid.filter(({ elements }) => elements))("elements: $name", (example) => {
    const array = unpack(parseHeader(utf8(JSON.stringify(example.header))), fromHex(example.body));
    if (!(array instanceof NdArray)) throw new Error("no array");
    const data = array.dtype.endsWith("f2") ? array.toFloat32() : array.data;
    const numbers = inMemory(example.elements ?? [], array).flat();
    expect([...data]).toEqual(numbers.map((element) => numberOf(element, array.dtype)));
  });

  test.each(vectors.headers)("a header: $name", ({ header, reads }) => {
    expect(parseHeader(utf8(header))).toEqual(reads);
  });

  test.each(vectors.refused_headers)("refused: $why", ({ header, hex, size, error }) => {
    const bytes = hex === undefined ? utf8(header ?? "") : fromHex(hex);
    const read = () => check(parseHeader(bytes), size, LIMIT);
    expect(read).toThrow(error === "too-large" ? MessageTooLarge : DecodeError);
  });

  test.each(vectors.refused_bodies)("refused: $why", ({ header, body }) => {
    expect(() => unpack(parseHeader(utf8(JSON.stringify(header))), fromHex(body))).toThrow(DecodeError);
  });
});

/** The elements, which the example has in C order, as they lie in the array's memory. */
function inMemory<T>(elements: T[], { shape, order }: NdArray): T[] {
  if (order === "C") return elements;
  const places = elements.map((_, place) => {
    const index: number[] = [];
    for (const length of [...shape].reverse()) {
      index.unshift(place % length);
      place = Math.floor(place / length);
    }
    return index.reduceRight((sum, at, axis) => sum * (shape[axis] ?? 1) + at, 0);
  });
  const laid: T[] = [];
  for (const [at, place] of places.entries()) laid[place] = elements[at] as T;
  return laid;
}

/** An element as its typed array has it. */
function numberOf(element: unknown, dtype: string): number | bigint {
  if (/[iu]8$/.test(dtype)) return BigInt(String(element));
  const text = String(element).replace("inf", "Infinity").replace("nan", "NaN");
  const number = typeof element === "boolean" ? Number(element) : Number(text);
  return /(f4|c8)$/.test(dtype) ? Math.fround(number) : number;
}

describe("what JavaScript sends", () => {
  test("a typed array that begins in the middle of a buffer", () => {
    const all = Float64Array.from([1, 2, 3, 4, 5]);
    const arrived = through(all.subarray(1, 4));
    expect(arrived).toMatchObject({ dtype: "<f8", shape: [3] });
    expect((arrived as NdArray).data).toEqual(Float64Array.from([2, 3, 4]));
  });

  test("arrays of every type that numpy has too", () => {
    const kinds = [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
    ];
    for (const Kind of [...kinds, Float32Array, Float64Array]) {
      expect([...(through(Kind.from([1, 2, 3])) as NdArray).data]).toEqual([1, 2, 3]);
    }
    expect((through(BigInt64Array.from([-1n])) as NdArray).data).toEqual(BigInt64Array.from([-1n]));
  });

  test("bytes, as an ArrayBuffer or a DataView", () => {
    const { buffer } = Uint8Array.from([1, 2, 3, 4]);
    expect(through(buffer)).toEqual(buffer);
    expect(new Uint8Array(through(new DataView(buffer, 1, 2)) as ArrayBuffer)).toEqual(
      Uint8Array.from([2, 3]),
    );
  });

  test("a copy: what changes afterwards is not sent", () => {
    const array = Float32Array.from([1]);
    const { body } = pack(array, 1.5);
    array[0] = 2;
    expect(new Float32Array(body.buffer)[0]).toBe(1);
  });

  test("a big-endian array as it came", () => {
    const array = new NdArray(">i2", [2], Uint8Array.from([0, 1, 0, 2]));
    expect(array.data).toEqual(Int16Array.from([1, 2]));
    expect((through(array) as NdArray).bytes).toEqual(array.bytes);
    expect(array.bytes).toEqual(Uint8Array.from([0, 1, 0, 2]));
  });

  test("an Arrow stream as it came", () => {
    expect(through(new ArrowStream("table", Uint8Array.from([1])))).toEqual(
      new ArrowStream("table", Uint8Array.from([1])),
    );
  });

  test.each<[string, unknown]>([
    ["NaN", Number.NaN],
    ["undefined inside", { a: undefined }],
    ["a function", () => 1],
    ["a Map", new Map()],
    ["half a character", "\ud800"],
  ])("not %s", (_, value) => {
    expect(() => pack(value as Sendable, 1.5)).toThrow(/cannot be sent|JSON has no/);
  });

  test("not what holds itself", () => {
    const value: unknown[] = [];
    value.push(value);
    expect(() => pack(value as Sendable, 1.5)).toThrow(/nested/);
  });
});
