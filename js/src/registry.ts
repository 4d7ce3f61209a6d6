/** The sessions of this tab, one for each server and room; runs in the browser tab.
 *
 * They hang on `globalThis`, since anywidget loads a copy of this module for each model: a cell that is run again, or a
 * second notebook, finds the session of the first.
 */

import { Session } from "./session";
import type { Access } from "./signaling";

/** Raised with every change of what a view may call on a session, as views of different copies of this module share it. */
const API = 1;
const REGISTRY = Symbol.for("forge_rtc_nb");
type Registry = Map<string, Session>;

function registry(): Registry {
  const place = globalThis as { [REGISTRY]?: Registry };
  place[REGISTRY] ??= new Map();
  return place[REGISTRY];
}

/** The tab's session in the room of that server: the one that is there, or a new one. */
export function openSession(server: string, room: string, access: Access): Session {
  const sessions = registry();
  const name = JSON.stringify([API, server, room]);
  const existing = sessions.get(name);
  if (existing) {
    existing.access = access;
    existing.rejoin(); // a view that is shown anew is a wish to be in the room
    return existing;
  }
  const session = new Session(room, access);
  sessions.set(name, session);
  session.addEventListener("end", () => sessions.delete(name), { once: true });
  session.start();
  return session;
}
