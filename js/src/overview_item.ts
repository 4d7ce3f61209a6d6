/** What a kernel says of its data, read strictly; pure, runs in the browser tab. docs/protocol.md, The overview. */

import { MAX_NAME } from "./channel";
import { check, type ValueHeader, valueHeader } from "./data/values";
import { DecodeError, integer, list, number, oneOf, orNull, record, required, text } from "./schema";

/** Rows and columns of a picture, points of a line. */
const MAX_PIXELS = 128;
const MAX_KEY = 256;
const MAX_ID = 64;

export type Of = "channel" | "shared";

/** `|u1` of `[h, w]` or `[h, w, 3]` is a picture, `<f4` of `[n]` a line, with NaN where there is nothing to show. */
interface Shown {
  dtype: "|u1" | "<f4";
  shape: number[];
}

export interface Preview extends Shown {
  /** The elements in C order. */
  body: Uint8Array<ArrayBuffer>;
}

export interface ItemHeader {
  kind: "item";
  of: Of;
  name: string;
  /** When it was sent or written, by the writer's clock; Unix seconds. */
  time: number;
  /** A participant's id. */
  writer: string;
  value: ValueHeader;
  /** Bytes of the value's body. */
  size: number;
  preview?: Shown;
}

export interface GoneHeader {
  kind: "gone";
  of: Of;
  name: string;
}

const name = text({ min: 1, max: MAX_KEY });
const of = oneOf<Of>("channel", "shared");
const size = integer(0, Number.MAX_SAFE_INTEGER);

const ITEM = record<ItemHeader>({
  kind: required(oneOf("item")),
  of: required(of),
  name: required(name),
  time: required(number),
  writer: required(text({ min: 1, max: MAX_ID })),
  value: required(valueHeader),
  size: required(size),
  preview: orNull(
    record<Shown>({
      dtype: required(oneOf("|u1", "<f4")),
      shape: required(list(integer(1, MAX_PIXELS), 3)),
    }),
  ),
});

const GONE = record<GoneHeader>({
  kind: required(oneOf("gone")),
  of: required(of),
  name: required(name),
});

/** Read the header of a message whose body has `bytes`. Throws a `DecodeError` or a `MessageTooLarge`. */
export function readTold(header: Uint8Array, bytes: number): ItemHeader | GoneHeader {
  const told = parse(header);
  if (told.of === "channel" && [...told.name].length > MAX_NAME) {
    throw new DecodeError(`a channel's name has at most ${MAX_NAME} characters`);
  }
  const expected = told.kind === "item" ? checkItem(told) : 0;
  if (bytes !== expected) throw new DecodeError(`the preview takes ${expected} bytes, the body has ${bytes}`);
  return told;
}

function parse(header: Uint8Array): ItemHeader | GoneHeader {
  const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header));
  const gone = typeof value === "object" && value !== null && "kind" in value && value.kind === "gone";
  return gone ? GONE(value, "") : ITEM(value, "");
}

/** Returns the bytes of the preview. */
function checkItem({ value, size, preview, time }: ItemHeader): number {
  if (time < 0) throw new DecodeError("time is to be in Unix seconds");
  check(value, size, Number.MAX_SAFE_INTEGER);
  if (!preview) return 0;
  const { dtype, shape } = preview;
  const dimensions = shape.length;
  const fits = dtype === "<f4" ? dimensions === 1 : dimensions === 2 || (dimensions === 3 && shape[2] === 3);
  if (!fits) throw new DecodeError(`[${shape}] of ${dtype} is no preview`);
  return shape.reduce((product, n) => product * n, dtype === "<f4" ? 4 : 1);
}
