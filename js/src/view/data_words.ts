/** What the widget says of data: what it is, how large, how old; pure. */

import type { Dtype } from "../data/ndarray";
import type { ValueHeader } from "../data/values";

const NUMPY: ReadonlyMap<string, string> = new Map([
  ["b", "bool"],
  ["i", "int"],
  ["u", "uint"],
  ["f", "float"],
  ["c", "complex"],
]);
const KIND: Record<Exclude<ValueHeader["kind"], "array">, string> = {
  bytes: "bytes",
  str: "text",
  json: "JSON",
  table: "table",
  frame: "DataFrame",
};
const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];
/** Seconds; what is younger than the first is now. */
const NOW = 5;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "(1024, 1024) float64", "text". */
export function whatWords(value: ValueHeader): string {
  if (value.kind !== "array") return KIND[value.kind];
  const { shape } = value;
  return `(${shape.join(", ")}${shape.length === 1 ? "," : ""}) ${dtypeWords(value.dtype)}`;
}

/** As numpy shows it: by name, where the bytes are in the usual order. */
function dtypeWords(dtype: Dtype): string {
  const name = NUMPY.get(dtype.charAt(1));
  if (dtype.startsWith(">") || name === undefined) return dtype;
  return name === "bool" ? name : `${name}${8 * Number(dtype.slice(2))}`;
}

/** "512 B", "1.5 KiB", "8 MiB". */
export function sizeWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let [size, unit] = [bytes / 1024, 0];
  while (Number(short(size)) >= 1024 && unit < UNITS.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${short(size)} ${UNITS[unit]}`;
}

/** One digit behind the point of small numbers, none where it is 0. */
function short(size: number): string {
  return size < 9.95 ? size.toFixed(1).replace(/\.0$/, "") : size.toFixed(0);
}

/** "now", "12 s", "3 min"; seconds. */
export function ageWords(age: number): string {
  if (age < NOW) return "now";
  if (age < MINUTE) return `${Math.floor(age)} s`;
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h`;
  const days = Math.floor(age / DAY);
  return days === 1 ? "1 day" : `${days} days`;
}

/** Milliseconds after which words of an age may be other ones. */
export function untilOlder(age: number): number {
  if (age < MINUTE) return 1_000;
  return age < HOUR ? 15_000 : 300_000;
}

/** "2 channels, 5 shared values"; `values` is null where it is not known how many there are. */
export function dataWords(channels: number, values: number | null): string {
  const parts = channels > 0 ? [count(channels, "channel")] : [];
  if (values === null) parts.push("shared values");
  else if (values > 0) parts.push(count(values, "shared value"));
  return parts.join(", ") || "no shared values";
}

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
