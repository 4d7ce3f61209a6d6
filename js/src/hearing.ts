/** Whom this tab listens to: asks for their microphones and plays what comes; runs in the browser tab. */

import { key } from "./arrivals";
import type { AudioSink } from "./audio";
import type { Participant } from "./protocol";

export interface HearingHost {
  /** Ask for a stream until the returned function is called. */
  watch(participant: string, stream: string): () => void;
  arrived(participant: string, stream: string): MediaStream | null;
}

export class Hearing {
  readonly #host: HearingHost;
  readonly #audio: AudioSink;
  /** Microphones we listen to: what ends the wish for each. */
  readonly #heard = new Map<string, () => void>();
  /** What was chosen, by participant. */
  readonly #chosen = new Map<string, boolean>();

  constructor(audio: AudioSink, host: HearingHost) {
    this.#audio = audio;
    this.#host = host;
  }

  /** Whether a participant is heard: by default not what another tab of the same person says (echo). */
  hears(participant: Participant, user: string | undefined): boolean {
    return this.#chosen.get(participant.id) ?? participant.user !== user;
  }

  choose(participant: string, hears: boolean): void {
    this.#chosen.set(participant, hears);
  }

  /** Listen to every microphone that is to be heard, and to no other. */
  tuneIn(people: Participant[], user: string | undefined): void {
    const audible = new Set<string>();
    for (const person of people) {
      if (person.kind !== "browser" || !this.hears(person, user)) continue;
      for (const { id, kind } of person.streams ?? []) {
        if (kind !== "audio") continue;
        audible.add(key(person.id, id));
        this.#listen(person.id, id);
      }
    }
    for (const id of this.#heard.keys()) if (!audible.has(id)) this.#stop(id);
  }

  /** A stream arrived, or arrived anew. */
  arrived(participant: string, stream: string): void {
    if (this.#heard.has(key(participant, stream))) this.#play(participant, stream);
  }

  forget(participant: string): void {
    this.#chosen.delete(participant);
  }

  #listen(participant: string, stream: string): void {
    const id = key(participant, stream);
    if (!this.#heard.has(id)) this.#heard.set(id, this.#host.watch(participant, stream));
    this.#play(participant, stream);
  }

  #play(participant: string, stream: string): void {
    const media = this.#host.arrived(participant, stream);
    if (media) this.#audio.play(key(participant, stream), media);
  }

  #stop(id: string): void {
    const stop = this.#heard.get(id);
    this.#heard.delete(id);
    this.#audio.stop(id);
    stop?.();
  }
}
