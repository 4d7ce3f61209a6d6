/** Frames of data channels as bytes and back, and their limits; pure, runs in the browser tab.
 *
 * Mirrors `forge_rtc_nb/frames.py`; `tests/wire/data/frames.json` holds the examples that both must read alike.
 */

/** Bytes in one message of a data channel. */
export const MAX_FRAME = 262144;
/** Bytes in a frame that a sender fills. */
export const CHUNK = 64512;
export const MAX_HEADER = 16384;
/** Bytes of `{}`. */
export const MIN_HEADER = 2;
export const INITIAL_CREDIT = 262144;
/** What a message costs of the credit besides its body. */
export const MESSAGE_COST = 1024;
/** The largest size, offset or credit: numbers are exact up to here. */
export const MAX_SIZE = Number.MAX_SAFE_INTEGER;
/** Bytes of a BEGIN or MORE before the header and the body. */
export const BEGIN_BYTES = 16;
export const MORE_BYTES = 16;

const SHORT_BYTES = 8;
const MAX_U32 = 2 ** 32 - 1;
const TYPES = { begin: 1, more: 2, abort: 3, taken: 4, credit: 5 } as const;

/** The first frame of a message: how long its body is, what it is, and as much of it as fits. */
export interface Begin {
  type: "begin";
  number: number;
  /** Bytes of the whole body. */
  size: number;
  header: Uint8Array;
  /** The first part of the body; may be empty. */
  body: Uint8Array;
}

/** The part of a message's body that begins at `offset`. */
export interface More {
  type: "more";
  number: number;
  offset: number;
  body: Uint8Array;
}

/** The sender will not finish this message. */
export interface Abort {
  type: "abort";
  number: number;
}

/** The receiver has the whole message in its queue. */
export interface Taken {
  type: "taken";
  number: number;
}

/** How much the sender may spend, over all messages of this data channel. */
export interface Credit {
  type: "credit";
  total: number;
}

export type Frame = Begin | More | Abort | Taken | Credit;

/** Not a frame; the text says why. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** A frame as one binary message. `FrameError` where it would not be read again. */
export function encode(frame: Frame): Uint8Array<ArrayBuffer> {
  check(frame);
  const header = frame.type === "begin" ? frame.header : undefined;
  const body = frame.type === "begin" || frame.type === "more" ? frame.body : undefined;
  const fixed = frame.type === "abort" || frame.type === "taken" ? SHORT_BYTES : BEGIN_BYTES;
  const start = fixed + (header?.length ?? 0);
  const bytes = new Uint8Array(start + (body?.length ?? 0));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, TYPES[frame.type]);
  view.setUint16(2, header?.length ?? 0, true);
  if (frame.type !== "credit") view.setUint32(4, frame.number, true);
  if (fixed === BEGIN_BYTES) setUint53(view, 8, countOf(frame));
  if (header) bytes.set(header, fixed);
  if (body) bytes.set(body, start);
  return bytes;
}

/** The frame that a binary message is; header and body are views of it, not copies. `FrameError` for anything else. */
export function decode(data: ArrayBuffer | Uint8Array | string): Frame {
  if (typeof data === "string") throw new FrameError("a frame is a binary message, this one is text");
  const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < BEGIN_BYTES && bytes.length !== SHORT_BYTES) {
    throw new FrameError(`no frame has ${bytes.length} bytes`);
  }
  const length = view.getUint16(2, true);
  if (view.getUint8(1) !== 0 || (length !== 0 && bytes[0] !== TYPES.begin)) {
    throw new FrameError("a reserved byte of the frame is not 0");
  }
  const frame = typed(bytes, view, length);
  check(frame);
  return frame;
}

function typed(bytes: Uint8Array, view: DataView, length: number): Frame {
  const type = bytes[0];
  const long = bytes.length >= BEGIN_BYTES;
  const number = view.getUint32(4, true);
  const start = BEGIN_BYTES + length;
  if (type === TYPES.more && long) {
    return { type: "more", number, offset: getUint53(view, 8), body: bytes.subarray(start) };
  }
  if (type === TYPES.begin && start <= bytes.length) {
    const header = bytes.subarray(BEGIN_BYTES, start);
    return { type: "begin", number, size: getUint53(view, 8), header, body: bytes.subarray(start) };
  }
  if (type === TYPES.credit && bytes.length === BEGIN_BYTES && number === 0) {
    return { type: "credit", total: getUint53(view, 8) };
  }
  if (type === TYPES.abort && !long) return { type: "abort", number };
  if (type === TYPES.taken && !long) return { type: "taken", number };
  throw new FrameError(`no frame of type ${type} has ${bytes.length} bytes like these`);
}

/** What holds for frames that come and for those that go. */
function check(frame: Frame): void {
  if (
    frame.type !== "credit" &&
    !(Number.isInteger(frame.number) && frame.number >= 1 && frame.number <= MAX_U32)
  ) {
    throw new FrameError("messages are numbered from 1");
  }
  if (frame.type === "begin") checkBegin(frame);
  if (frame.type === "more") {
    if (frame.body.length === 0) throw new FrameError("a MORE frame has no body");
    checkLength(MORE_BYTES + frame.body.length);
  }
  const end = countOf(frame) + (frame.type === "more" ? frame.body.length : 0);
  if (!Number.isSafeInteger(end) || end < 0) {
    throw new FrameError(`${end} bytes are not what a frame can count`);
  }
}

function checkBegin({ header, body, size }: Begin): void {
  if (header.length < MIN_HEADER || header.length > MAX_HEADER) {
    throw new FrameError(`a header has ${MIN_HEADER} to ${MAX_HEADER} bytes, this one has ${header.length}`);
  }
  if (body.length > size) {
    throw new FrameError(`a body of ${size} bytes begins with ${body.length} bytes`);
  }
  checkLength(BEGIN_BYTES + header.length + body.length);
}

function checkLength(bytes: number): void {
  if (bytes > MAX_FRAME) throw new FrameError(`a frame may have ${MAX_FRAME} bytes, this one has ${bytes}`);
}

function countOf(frame: Frame): number {
  if (frame.type === "begin") return frame.size;
  if (frame.type === "more") return frame.offset;
  return frame.type === "credit" ? frame.total : 0;
}

function getUint53(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}

function setUint53(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value, true); // modulo 2^32
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}
