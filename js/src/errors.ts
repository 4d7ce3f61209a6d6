/** Errors about rooms, for the authors of pages: a code, and a sentence that says what to do; pure, runs in the browser tab. */

import { RTCError } from "./data/errors";

/** The names are those of Python's exceptions, the codes also those of `error` messages (docs/protocol.md). */
export class RoomError extends RTCError {
  override readonly name: string;
  readonly code: string;

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
