/** Errors about rooms, for the authors of pages: a code, and a sentence that says what to do; pure, runs in the browser tab. */

import { RTCError } from "./data/errors";
import type { Failure } from "./failure";

/** The names are those of Python's exceptions, the codes also those of `error` messages (docs/protocol.md). */
export class RoomError extends RTCError {
  override readonly name: string;
  override readonly code: string;

  constructor(name: string, code: string, message: string) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

export const notInRoom = (message: string) => new RoomError("NotInRoom", "not-in-room", message);
/** The server's words, or ours where it said nothing. */
export const otherOptions = (message: string) => new RoomError("ChannelOptions", "channel-options", message);
export const signalingError = (code: string, message: string) =>
  new RoomError("SignalingError", code, message);
/** What was asked for cannot be, whatever the server says. */
export const invalid = (message: string) => new RoomError("InvalidMessage", "invalid-message", message);
export const invalidConfig = (message: string) => new RoomError("InvalidConfig", "invalid-config", message);
export const invalidRoomId = (message: string) => new RoomError("InvalidRoomId", "invalid-room-id", message);

/** The names of what the server may refuse a tab for. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ["unauthorized", "Unauthorized"],
  ["forbidden", "Forbidden"],
  ["room-not-found", "RoomNotFound"],
  ["room-full", "RoomFull"],
  ["invalid-room-id", "InvalidRoomId"],
]);

const ADVICE: ReadonlyMap<string, string> = new Map([
  ["unauthorized", "Give joinRoom the server's token or a ticket, or log in to Jupyter and reload the page."],
  ["forbidden", "Ask whoever runs this Jupyter server for the permission."],
  ["room-not-found", "Check the room's id, or ask for the room to be created."],
  ["room-full", "Leave other rooms and close other tabs, or try again when somebody left."],
  ["room-deleted", "Join again to open it anew."],
  ["bad-version", "Import the module from the server that you join."],
  ["signaling", "See that the Jupyter server runs and has forge_rtc_nb enabled, and join again."],
]);

/** Why a room was not joined, or is lost: what happened, and what to do. */
export function roomFailure({ code, message, advice }: Failure): RoomError {
  const what = /[.!?]$/.test(message) ? message : `${message}.`;
  const todo = advice ?? ADVICE.get(code) ?? "Join again.";
  return new RoomError(NAMES.get(code) ?? "SignalingError", code, `${what} ${todo}`);
}
