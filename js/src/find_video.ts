/** Which stream a page's author means by a name; pure, runs in the browser tab. As `forge_rtc_nb/kernel/selectors.py` has it. */

import type { Participant, Stream } from "./protocol";

export interface Found {
  participant: string;
  stream: string;
}

/** A video of those whom `who` names: the named one, else the camera that was switched on last, else the only one. */
export function findVideo(people: readonly Participant[], who: string, name?: string): Found | null {
  const videos = named(people, who)
    .flatMap(({ id, streams = [] }) => streams.map((stream) => ({ id, stream })))
    .filter(({ stream }) => stream.kind === "video" && isMeant(stream, name));
  const cameras = videos.filter(({ stream }) => stream.source === "camera");
  const newest = cameras.toSorted((a, b) => (b.stream.started ?? 0) - (a.stream.started ?? 0))[0];
  const found = newest ?? (videos.length === 1 ? videos[0] : undefined);
  return found ? { participant: found.id, stream: found.stream.id } : null;
}

const isMeant = ({ id, name }: Stream, wanted: string | undefined) =>
  wanted === undefined || wanted === id || wanted === name;

/** Those of that id, else of that name, else of that user; with a notebook the tabs that show it. */
function named(people: readonly Participant[], who: string): Participant[] {
  for (const field of ["id", "name", "user"] as const) {
    const found = people.filter((person) => person[field] === who);
    if (found.length === 0) continue;
    const kernels = new Set(found.filter(({ kind }) => kind === "kernel").map(({ id }) => id));
    const shows = ({ owners = [] }: Participant) => owners.some((owner) => kernels.has(owner));
    return people.filter((person) => found.includes(person) || shows(person));
  }
  return [];
}
