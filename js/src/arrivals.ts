/** The media that came, by participant and stream; runs in the browser tab. */

import type { Participant } from "./protocol";

export class Arrivals {
  readonly #streams = new Map<string, MediaStream>();

  get(participant: string, stream: string): MediaStream | null {
    return this.#streams.get(key(participant, stream)) ?? null;
  }

  /** False for a track that is there already. */
  put(participant: string, stream: string, track: MediaStreamTrack): boolean {
    if (this.get(participant, stream)?.getTracks()[0] === track) return false;
    // An m-line that carried another stream before: that one's picture must not go on with this one's.
    this.#drop((place) => this.#streams.get(place)?.getTracks()[0] === track);
    this.#streams.set(key(participant, stream), new MediaStream([track]));
    return true;
  }

  /** Forget what this participant, as they are now, does not send any more. */
  dropEnded({ id, streams = [] }: Participant): void {
    const live = new Set(streams.map((stream) => key(id, stream.id)));
    this.#drop((place) => place.startsWith(`${id}/`) && !live.has(place));
  }

  forget(participant: string): void {
    this.#drop((place) => place.startsWith(`${participant}/`));
  }

  #drop(which: (place: string) => boolean): void {
    for (const place of this.#streams.keys()) if (which(place)) this.#streams.delete(place);
  }
}

/** Neither id has a slash. */
export function key(participant: string, stream: string): string {
  return `${participant}/${stream}`;
}
