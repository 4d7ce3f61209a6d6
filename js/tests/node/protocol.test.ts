/** The wire protocol against the examples that pytest reads too. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CHANNEL_DEFAULTS, checkChannelName } from "../../src/channel";
import { decodeClient, decodeServer, encode, FINAL_CLOSE_CODES, MAX_MESSAGE } from "../../src/protocol";
import { DecodeError } from "../../src/schema";

interface Example {
  from: "client" | "server";
  frame: string;
}
interface Golden {
  valid: (Example & { message: object })[];
  invalid: (Example & { code: string })[];
}

const FOLDER = new URL("../../../tests/wire/", import.meta.url);
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
const read = (name: string) => JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as Golden;
const decode = ({ from, frame }: Example) => (from === "client" ? decodeClient(frame) : decodeServer(frame));

function codeOf(example: Example): string {
  try {
    return `decoded as ${JSON.stringify(decode(example))}`;
  } catch (error) {
    if (error instanceof DecodeError) return error.code;
    throw error;
  }
}

test("there are examples of every message type", () => {
  expect(files.length).toBeGreaterThanOrEqual(15);
});

describe.each(files)("%s", (name) => {
  const { valid, invalid } = read(name);

  test("valid frames are read, and written as Python writes them", () => {
    for (const example of valid) {
      expect(JSON.parse(encode(decode(example))), example.frame.slice(0, 500)).toEqual(example.message);
    }
  });

  test("invalid frames are refused with the same code", () => {
    for (const example of invalid) {
      expect(codeOf(example), example.frame.slice(0, 500)).toBe(example.code);
    }
  });
});

test("a frame over the limit is refused before it is parsed", () => {
  const frame = JSON.stringify({ type: "ping", id: "x".repeat(MAX_MESSAGE) });
  expect(() => decodeServer(frame)).toThrow(/bytes/);
});

test("an error names the field that is wrong", () => {
  const frame = JSON.stringify({
    type: "room.joined",
    participant: { id: "a", name: 3, kind: "browser", user: "u" },
  });
  expect(() => decodeServer(frame)).toThrow(/participant\.name/);
});

test("what has its default is left out, so that equal options read equal", () => {
  const said = { ordered: true, reliable: true, policy: "block", maxsize: 64, maxbytes: 268435456 };
  const frame = { type: "room.updated", channels: [{ name: "log", ...said }] };
  expect(decodeClient(JSON.stringify(frame))).toEqual({ type: "room.updated", channels: [{ name: "log" }] });
  expect(CHANNEL_DEFAULTS).toEqual(said);
});

test("a channel name that is refused is named shortly and with what would do", () => {
  const name = `two\nlines${"x".repeat(1000)}`;
  expect(() => checkChannelName(name)).toThrow(
    /^"two\\nlinesx{1,64}" is no channel name: use 1 to 64 visible/,
  );
  expect(() => checkChannelName("spectra 2")).not.toThrow();
});

test("a field called like a property of every object is not taken for one of ours", () => {
  expect(decodeServer('{"type": "ping", "constructor": 1, "__proto__": {"id": "x"}}')).toEqual({
    type: "ping",
  });
});

test("only a slow reader may come back by itself", () => {
  expect(FINAL_CLOSE_CODES.has(4008)).toBe(false);
  expect([...FINAL_CLOSE_CODES].sort()).toEqual([4009, 4010, 4400, 4401, 4403, 4404, 4413, 4429]);
});
