/** Why signaling ended, in words; pure, runs in the browser tab. */

import { Close } from "./protocol";

/** Why signaling ended or does not come about; `code` is that of an `error` message or of the close. */
export interface Failure {
  code: string;
  message: string;
  /** What to do about it, where that depends on more than the code. */
  advice?: string;
}

/** What a close code means, where the server said no more. */
export const CLOSE_WORDS: ReadonlyMap<number, Failure> = new Map([
  [Close.replaced, { code: "replaced", message: "Another connection took this tab's place in the room." }],
  [Close.roomDeleted, { code: "room-deleted", message: "The room was closed." }],
  [Close.badHello, { code: "bad-version", message: "This page and the server do not fit together." }],
  [Close.unauthorized, { code: "unauthorized", message: "The server did not accept this page's login." }],
  [Close.forbidden, { code: "forbidden", message: "You may not join this room." }],
  [Close.roomNotFound, { code: "room-not-found", message: "There is no such room." }],
  [Close.abuse, { code: "abuse", message: "The server closed the connection: too many bad messages." }],
  [Close.full, { code: "room-full", message: "The room is full." }],
]);

export function isFailure(value: unknown): value is Failure {
  return typeof value === "object" && value !== null && "code" in value && "message" in value;
}
