/** An array as numpy has it: dtype, shape, order and the elements' bytes; pure, runs in the browser tab. */

type OneByte = "b1" | "i1" | "u1";
type MoreBytes = "i2" | "u2" | "i4" | "u4" | "i8" | "u8" | "f2" | "f4" | "f8" | "c8" | "c16";

/** numpy's `dtype.str`. */
export type Dtype = `|${OneByte}` | `${"<" | ">"}${MoreBytes}`;
export type Order = "C" | "F";

export type TypedArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

type Constructor = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => TypedArray;

/** What holds the elements, and how many bytes make one of its numbers: half an element where that is complex. */
const STORES: { [K in OneByte | MoreBytes]: [Constructor, unit: number] } = {
  b1: [Uint8Array, 1],
  i1: [Int8Array, 1],
  u1: [Uint8Array, 1],
  i2: [Int16Array, 2],
  u2: [Uint16Array, 2],
  i4: [Int32Array, 4],
  u4: [Uint32Array, 4],
  i8: [BigInt64Array, 8],
  u8: [BigUint64Array, 8],
  f2: [Uint16Array, 2], // bit patterns: not every browser has Float16Array
  f4: [Float32Array, 4],
  f8: [Float64Array, 8],
  c8: [Float32Array, 4],
  c16: [Float64Array, 8],
};

type Code = keyof typeof STORES;

export const DTYPES: readonly Dtype[] = (Object.keys(STORES) as Code[]).flatMap((code) =>
  code.endsWith("1") ? [`|${code}` as Dtype] : [`<${code}` as Dtype, `>${code}` as Dtype],
);

export const MAX_DIMS = 32;

const codeOf = (dtype: Dtype) => dtype.slice(1) as Code;
const itemSize = (dtype: Dtype) => Number(dtype.slice(2));

/** Bytes of the elements; `RangeError` for a shape that no array can have. */
export function sizeOf(dtype: Dtype, shape: readonly number[]): number {
  if (shape.length > MAX_DIMS) throw new RangeError(`an array may have ${MAX_DIMS} dimensions`);
  // numpy computes strides from the dimensions that are not 0, so those of an empty array must not overflow either.
  const span = shape.reduce((product, n) => (n === 0 ? product : product * n), itemSize(dtype));
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || !Number.isSafeInteger(span)) {
    throw new RangeError(`[${shape}] is no shape of an array`);
  }
  return shape.includes(0) ? 0 : span;
}

/** The array as it came, or to be sent.
 *
 * ```ts
 * const pixels = new Float32Array(6);
 * const array = new NdArray("<f4", [2, 3], new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength));
 * ```
 */
export class NdArray {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** How the elements lie in `bytes`: the last dimension closest together, or the first one ("F", Fortran). */
  readonly order: Order;
  /** The elements, in the byte order of `dtype`. */
  readonly bytes: Uint8Array;
  #data: TypedArray | undefined;

  constructor(dtype: Dtype, shape: readonly number[], bytes: Uint8Array, order: Order = "C") {
    if (!DTYPES.includes(dtype)) throw new TypeError(`an array of dtype ${dtype} cannot be sent`);
    const size = sizeOf(dtype, shape);
    if (bytes.length !== size) {
      throw new RangeError(`shape [${shape}] of ${dtype} takes ${size} bytes, there are ${bytes.length}`);
    }
    this.dtype = dtype;
    this.shape = [...shape];
    this.order = order;
    this.bytes = bytes;
  }

  /** The elements as numbers, in the order in which they lie; docs/protocol.md says in which typed array.
   *
   * Over `bytes`, or over a copy made once, where those are big-endian or not aligned.
   */
  get data(): TypedArray {
    this.#data ??= this.#view();
    return this.#data;
  }

  /** The elements of an array of float16. */
  toFloat32(): Float32Array<ArrayBuffer> {
    if (codeOf(this.dtype) !== "f2") throw new TypeError(`toFloat32() is for float16, this is ${this.dtype}`);
    return Float32Array.from(this.data as Uint16Array, half);
  }

  #view(): TypedArray {
    const [Store, unit] = STORES[codeOf(this.dtype)];
    let { bytes } = this;
    const swapped = this.dtype.startsWith(">"); // typed arrays have the byte order of the machine: "<" wherever browsers run
    if (swapped || bytes.byteOffset % unit !== 0) bytes = bytes.slice();
    if (swapped) swap(bytes, unit);
    return new Store(bytes.buffer, bytes.byteOffset, bytes.byteLength / unit);
  }
}

/** Turns the bytes of each number round, in place. */
function swap(bytes: Uint8Array, unit: number): void {
  for (let start = 0; start < bytes.length; start += unit) {
    for (let low = start, high = start + unit - 1; low < high; low++, high--) {
      const byte = bytes[low] as number;
      bytes[low] = bytes[high] as number;
      bytes[high] = byte;
    }
  }
}

/** The steps between float16 numbers (IEEE 754 binary16), by exponent. */
const STEPS = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (STEPS[exponent] as number) * (exponent === 0 ? fraction : 1024 + fraction);
}
