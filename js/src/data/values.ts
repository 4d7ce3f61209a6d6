/** Arrays, bytes, text and JSON as a header and a body, and back; pure, runs in the browser tab.
 *
 * Mirrors `forge_rtc_nb/arrays.py`; `tests/wire/data/values.json` holds the examples that both must read alike. What comes
 * from others is checked before any memory is taken for it.
 */

import {
  DecodeError,
  integer,
  list,
  number,
  oneOf,
  optional,
  type Reader,
  record,
  required,
  text,
} from "../schema";
import { RTCError } from "./errors";
import { MAX_HEADER } from "./frames";
import { DTYPES, type Dtype, MAX_DIMS, NdArray, type Order, sizeOf } from "./ndarray";
import { isNestedDeeper } from "./nesting";

/** Bytes of a message's body. */
export const MAX_MESSAGE = 2 ** 30;
/** Lists and objects inside each other in a JSON value. */
export const MAX_DEPTH = 256;
const MAX_ID = 64;

/** What every header has. */
interface Stamp {
  /** The sender's clock at `send`, Unix seconds. */
  time: number;
  /** The sender's name of this message, by which one that is sent again is known. */
  id?: string;
}

export interface ArrayHeader extends Stamp {
  kind: "array";
  dtype: Dtype;
  shape: number[];
  order?: Order;
}

export interface OtherHeader extends Stamp {
  kind: "bytes" | "str" | "json" | "table" | "frame";
}

export type ValueHeader = ArrayHeader | OtherHeader;

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A table of Arrow, or a pandas `DataFrame` as one: an IPC stream, for a library that reads those. */
export class ArrowStream {
  constructor(
    readonly kind: "table" | "frame",
    readonly bytes: Uint8Array,
  ) {}
}

/** What can be sent: a typed array as an array of one dimension, `DataView` and `ArrayBuffer` as bytes. */
export type Sendable = NdArray | ArrowStream | ArrayBuffer | ArrayBufferView | Json;

/** What arrives. */
export type Value = NdArray | ArrowStream | ArrayBuffer | Json;

export interface Packed {
  header: Uint8Array<ArrayBuffer>;
  /** A copy of its own. */
  body: Uint8Array<ArrayBuffer>;
}

/** A message has more bytes than the server's settings allow. */
export class MessageTooLarge extends RTCError {
  override readonly name = "MessageTooLarge";
  override readonly code = "message-too-large";
}

// ---- headers ----

const ARRAY: Reader<ArrayHeader> = record<ArrayHeader>({
  kind: required(oneOf("array")),
  dtype: required(oneOf(...DTYPES)),
  shape: required(list(integer(0, Number.MAX_SAFE_INTEGER), MAX_DIMS)),
  order: optional(oneOf("C", "F"), "C"),
  time: required(number),
  id: optional(text({ max: MAX_ID }), ""),
});

const OTHER: Reader<OtherHeader> = record<OtherHeader>({
  kind: required(oneOf("bytes", "str", "json", "table", "frame")),
  time: required(number),
  id: optional(text({ max: MAX_ID }), ""),
});

/** The header of a value as part of some JSON. */
export const valueHeader: Reader<ValueHeader> = (value, path) => {
  const array = typeof value === "object" && value !== null && "kind" in value && value.kind === "array";
  return array ? ARRAY(value, path) : OTHER(value, path);
};

/** Read and validate the header of a value; unknown fields are dropped. Throws a `DecodeError`. */
export function parseHeader(data: Uint8Array): ValueHeader {
  if (data.length > MAX_HEADER) throw new DecodeError(`a header may have ${MAX_HEADER} bytes`);
  return valueHeader(
    refusing("the header of a value", () => JSON.parse(utf8Text(data))),
    "",
  );
}

/** See whether a body of `size` bytes is one of this header and at most `limit`, before memory is taken for it.
 *
 * Throws a `MessageTooLarge`, or a `DecodeError` where the two do not fit together.
 */
export function check(header: ValueHeader, size: number, limit: number): void {
  checkSize(size, limit);
  if (header.kind !== "array") return;
  const expected = refusing("an array", () => sizeOf(header.dtype, header.shape));
  if (size !== expected) {
    throw new DecodeError(
      `shape [${header.shape}] of ${header.dtype} takes ${expected} bytes, the body has ${size}`,
    );
  }
}

function checkSize(size: number, limit: number): void {
  if (size > limit) throw new MessageTooLarge(`a message may have ${limit} bytes, this one has ${size}`);
}

// ---- values ----

/** A value as header and body; `time` is Unix seconds.
 *
 * Throws a `MessageTooLarge`, or a `TypeError` or `RangeError` that says what cannot be sent.
 */
export function pack(
  value: Sendable,
  time: number,
  { id = "", limit = MAX_MESSAGE }: { id?: string; limit?: number } = {},
): Packed {
  const stamp: Stamp = id === "" ? { time } : { time, id };
  if (typeof value === "string") return packed({ kind: "str", ...stamp }, utf8Bytes(value), limit);
  if (value instanceof NdArray) {
    return packed(headerOf(value, stamp), copyOf(value.bytes, limit), limit);
  }
  if (value instanceof ArrowStream) {
    return packed({ kind: value.kind, ...stamp }, copyOf(value.bytes, limit), limit);
  }
  if (ArrayBuffer.isView(value)) return packed(viewHeader(value, stamp), copyOf(value, limit), limit);
  if (tagOf(value) === "ArrayBuffer") {
    const bytes = new Uint8Array(value as ArrayBuffer);
    return packed({ kind: "bytes", ...stamp }, copyOf(bytes, limit), limit);
  }
  checkJson(value, MAX_DEPTH);
  return packed({ kind: "json", ...stamp }, utf8Bytes(JSON.stringify(value)), limit);
}

/** The value of a header that was checked, and of its body, over whose memory it may lie. Throws a `DecodeError`. */
export function unpack(header: ValueHeader, body: Uint8Array): Value {
  check(header, body.length, body.length);
  switch (header.kind) {
    case "array":
      return new NdArray(header.dtype, header.shape, body, header.order);
    case "bytes":
      return bufferOf(body);
    case "str":
      return refusing("text", () => utf8Text(body));
    case "json":
      return refusing("a JSON value", () => {
        if (isNestedDeeper(body, MAX_DEPTH)) throw new RangeError(`it is nested more than ${MAX_DEPTH} deep`);
        const value: unknown = JSON.parse(utf8Text(body));
        checkJson(value, MAX_DEPTH);
        return value;
      });
    default:
      return new ArrowStream(header.kind, body);
  }
}

function packed(header: ValueHeader, body: Uint8Array<ArrayBuffer>, limit: number): Packed {
  checkSize(body.length, limit);
  return { header: utf8Bytes(JSON.stringify(header)), body };
}

function headerOf({ dtype, shape, order }: NdArray, stamp: Stamp): ArrayHeader {
  return { kind: "array", dtype, shape: [...shape], ...(order === "F" && { order }), ...stamp };
}

/** By name, as not every browser has each of them, and those of another frame are of other classes. */
const DTYPE_OF: ReadonlyMap<string, Dtype> = new Map([
  ["Int8Array", "|i1"],
  ["Uint8Array", "|u1"],
  ["Uint8ClampedArray", "|u1"],
  ["Int16Array", "<i2"],
  ["Uint16Array", "<u2"],
  ["Int32Array", "<i4"],
  ["Uint32Array", "<u4"],
  ["BigInt64Array", "<i8"],
  ["BigUint64Array", "<u8"],
  ["Float16Array", "<f2"],
  ["Float32Array", "<f4"],
  ["Float64Array", "<f8"],
]);

function viewHeader(view: ArrayBufferView, stamp: Stamp): ValueHeader {
  const dtype = DTYPE_OF.get(tagOf(view));
  if (dtype === undefined) return { kind: "bytes", ...stamp };
  return { kind: "array", dtype, shape: [(view as Uint8Array).length], ...stamp };
}

const tagOf = (value: unknown) => Object.prototype.toString.call(value).slice("[object ".length, -1);

/** Throws a `MessageTooLarge` before any memory is taken. */
function copyOf(
  { buffer, byteOffset, byteLength }: ArrayBufferView,
  limit = Number.POSITIVE_INFINITY,
): Uint8Array<ArrayBuffer> {
  checkSize(byteLength, limit);
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

function bufferOf(body: Uint8Array): ArrayBuffer {
  const { buffer, byteLength } = body;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? buffer : copyOf(body).buffer;
}

// ---- text and JSON ----

/** A byte order mark is a character of the text, as in Python. */
const utf8Text = (bytes: Uint8Array) =>
  new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

function utf8Bytes(text: string): Uint8Array<ArrayBuffer> {
  checkText(text);
  return new TextEncoder().encode(text);
}

function checkText(text: string): void {
  if (/\p{Surrogate}/u.test(text)) {
    throw new RangeError("text with half a character (a lone surrogate) cannot be sent, UTF-8 has none");
  }
}

/** Refuse what `JSON.stringify` would leave out or change, and endless nesting. */
function checkJson(value: unknown, depth: number): asserts value is Json {
  if (value === null || typeof value === "boolean") return;
  if (typeof value === "string") return checkText(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) {
      throw new RangeError(`JSON has no ${value}: send null, or the number in a typed array`);
    }
  } else if (depth === 0) {
    throw new RangeError(`a value nested more than ${MAX_DEPTH} deep, or in itself, cannot be sent`);
  } else if (Array.isArray(value)) {
    for (const item of value) checkJson(item, depth - 1);
  } else if (isPlain(value)) {
    for (const [key, item] of Object.entries(value)) {
      checkText(key);
      checkJson(item, depth - 1);
    }
  } else {
    throw new TypeError(
      `a value of type ${typeof value === "object" ? tagOf(value) : typeof value} cannot be sent: what can be are NdArray, ` +
        "typed arrays, DataView, ArrayBuffer, strings, and JSON (null, booleans, numbers, strings, arrays, plain objects)",
    );
  }
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Also that of another frame, whose Object is another one.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function refusing<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new DecodeError(`not ${what}: ${error instanceof Error ? error.message : error}`);
  }
}
