/** How a page's author enters a room: as a participant of its own, whatever widgets the page shows; runs in the browser tab. */

import { type Patience, patience } from "./data/patience";
import { invalidRoomId, notInRoom, RoomError, roomFailure } from "./errors";
import { RoomHandle } from "./room_handle";
import { Session } from "./session";
import { type Server, wayIn } from "./way_in";

/** Seconds. */
const TIMEOUT = 10;

export interface JoinOptions extends Server, Patience {
  /** What others see; the server makes it unique. By default the name of the user. */
  name?: string;
}

/** Enter a room. It is left with `leave()`, with the signal, and with the page.
 *
 * ```ts
 * const room = await joinRoom("meeting-123");
 * const channel = await room.channel("spectra");
 * await channel.send(Float32Array.of(1, 2, 3));
 * ```
 *
 * `timeout` is in seconds, 10 where it is absent. Errors: `RTCError`, the signal's reason.
 */
export async function joinRoom(roomId: string, options: JoinOptions = {}): Promise<RoomHandle> {
  const { name, signal, timeout = TIMEOUT } = options;
  signal?.throwIfAborted();
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(roomId)) {
    throw invalidRoomId(
      `${JSON.stringify(roomId)} is no room id: use 1 to 64 characters out of A-Z a-z 0-9 . _ -`,
    );
  }
  const access = await wayIn(roomId, options);
  signal?.throwIfAborted();
  const session = new Session(roomId, access, { ...(name !== undefined && { name }), deaf: true });
  await entered(session, { timeout, signal });
  return new RoomHandle(session, signal);
}

/** Start the session, and wait until it is in the room; where that does not come about it has ended. */
function entered(session: Session, { timeout, signal }: Patience): Promise<void> {
  const watching = new AbortController();
  return new Promise<void>((resolve, reject) => {
    const look = () => {
      const { status, failure } = session;
      if (status === "joined") resolve();
      else if (failure && (status === "error" || status === "left")) reject(roomFailure(failure));
      else if (status === "left") reject(notInRoom("the page went away before the room was joined"));
    };
    const stop = patience({ timeout, signal }, () => reject(late(session, timeout)), reject);
    watching.signal.addEventListener("abort", stop);
    session.addEventListener("change", look, { signal: watching.signal });
    session.start();
  })
    .catch((error: unknown) => {
      session.lifetime.finish();
      throw error;
    })
    .finally(() => watching.abort());
}

function late({ room, failure }: Session, timeout = TIMEOUT): RoomError {
  const last = failure ? ` ${roomFailure(failure).message}` : "";
  return new RoomError("RTCTimeout", "timeout", `Room ${room} was not joined within ${timeout} s.${last}`);
}
