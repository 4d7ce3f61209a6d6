/** With which codes the server closes the signaling WebSocket; pure, runs in the browser tab. */

/** Close codes of the signaling WebSocket (RFC 6455 section 7.4.2). */
export const Close = {
  slowReader: 4008,
  replaced: 4009,
  roomDeleted: 4010,
  badHello: 4400,
  unauthorized: 4401,
  forbidden: 4403,
  roomNotFound: 4404,
  abuse: 4413,
  full: 4429,
} as const;

/** After one of these a client does not reconnect by itself: everything but the slow reader. */
export const FINAL_CLOSE_CODES: ReadonlySet<number> = new Set(
  Object.values(Close).filter((code) => code !== Close.slowReader),
);
