/** Small readers that check JSON values and leave out what has its default; pure, used by the protocol only. */

export type DecodeCode = "invalid-message" | "invalid-sdp" | "invalid-candidate";

/** A frame that is not what the protocol allows; `code` is the one of the `error` message that answers it. */
export class DecodeError extends Error {
  readonly code: DecodeCode;

  constructor(message: string, code: DecodeCode = "invalid-message") {
    super(message);
    this.name = "DecodeError";
    this.code = code;
  }
}

/** Returns the value, typed, or throws a `DecodeError` that names `path`. */
export type Reader<T> = (value: unknown, path: string) => T;

interface Field<T> {
  read: Reader<T>;
  /** False where an absent field is an error. */
  optional: boolean;
  /** True for a value that stands for absence, so that it is left out. */
  isDefault: (value: unknown) => boolean;
}

/** One reader a field; the compiler sees to it that they fit the interface. */
export type Fields<T> = { [K in keyof T]-?: Field<Exclude<T[K], undefined>> };

export function required<T>(read: Reader<T>): Field<T> {
  return { read, optional: false, isDefault: () => false };
}

/** May be absent; a value equal to `standard` (or an empty list) is left out. */
export function optional<T>(read: Reader<T>, standard: NoInfer<T>): Field<T> {
  const isDefault = (value: unknown) =>
    Array.isArray(standard) ? Array.isArray(value) && value.length === 0 : value === standard;
  return { read, optional: true, isDefault };
}

/** May be absent or null, which mean the same. */
export function orNull<T>(read: Reader<T>): Field<T> {
  return { read, optional: true, isDefault: (value) => value === null };
}

/** An object; unknown fields are dropped, so that a later version may add some. */
export function record<T extends object>(fields: Fields<T>): Reader<T> {
  const entries = Object.entries(fields) as [string, Field<unknown>][];
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) fail(path, "an object");
    const source = value as Record<string, unknown>;
    const result: Record<string, unknown> = {};
    for (const [name, field] of entries) {
      const where = path ? `${path}.${name}` : name;
      if (!Object.hasOwn(source, name)) {
        if (!field.optional) fail(where, "present");
      } else if (!field.isDefault(source[name])) {
        result[name] = field.read(source[name], where);
      }
    }
    return result as T;
  };
}

export function list<T>(read: Reader<T>, max = Number.POSITIVE_INFINITY): Reader<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return fail(path, "a list");
    if (value.length > max) fail(path, `at most ${max} long`);
    return value.map((item, index) => read(item, `${path}[${index}]`));
  };
}

/** A string; lengths are in code points, as Python counts them. */
export function text(limits: { min?: number; max?: number; pattern?: RegExp }): Reader<string> {
  const { min = 0, max = Number.POSITIVE_INFINITY, pattern } = limits;
  return (value, path) => {
    if (typeof value !== "string") return fail(path, "a string");
    if (/\p{Surrogate}/u.test(value)) fail(path, "well-formed Unicode"); // half a character, which UTF-8 cannot say
    const length = [...value].length;
    if (length < min || length > max) fail(path, `${min} to ${max} characters`);
    if (pattern && !pattern.test(value)) fail(path, "made of A-Z a-z 0-9 . _ -");
    return value;
  };
}

export function oneOf<T extends string>(...choices: T[]): Reader<T> {
  return (value, path) => {
    if (!choices.includes(value as T)) fail(path, `one of ${choices.join(", ")}`);
    return value as T;
  };
}

export function integer(min = -(2 ** 53), max = 2 ** 53): Reader<number> {
  return (value, path) => {
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
      fail(path, `an integer from ${min} to ${max}`);
    }
    return value as number;
  };
}

export const number: Reader<number> = (value, path) =>
  typeof value === "number" && Number.isFinite(value) ? value : fail(path, "a number");

export const flag: Reader<boolean> = (value, path) =>
  typeof value === "boolean" ? value : fail(path, "true or false");

function fail(path: string, expected: string): never {
  throw new DecodeError(`${path || "the message"} is to be ${expected}`);
}
