/** Whom this tab listens to: asks for their sound and plays what comes; runs in the browser tab. */

import { key } from "./arrivals";
import type { AudioSink } from "./audio";
import type { Participant } from "./protocol";

/** Who listens: the person at this tab, and the kernels whose notebooks it shows. */
export interface Listener {
  user: string | undefined;
  owners: readonly string[];
}

export interface HearingHost {
  /** Ask for a stream until the returned function is called. */
  watch(participant: string, stream: string): () => void;
  arrived(participant: string, stream: string): MediaStream | null;
}

export class Hearing {
  readonly #host: HearingHost;
  readonly #audio: AudioSink;
  /** Sound that we listen to: what ends the wish for each. */
  readonly #heard = new Map<string, () => void>();
  /** What was chosen, by participant. */
  readonly #chosen = new Map<string, boolean>();

  constructor(audio: AudioSink, host: HearingHost) {
    this.#audio = audio;
    this.#host = host;
  }

  /** Whether a participant is heard. By default not what another tab of the same person says, nor what that tab plays of
   * their kernel (echo). */
  hears(participant: Participant, me: Listener, people: readonly Participant[]): boolean {
    const chosen = this.#chosen.get(participant.id);
    if (chosen !== undefined) return chosen;
    if (participant.user !== me.user) return true;
    return (
      participant.kind === "kernel" && (me.owners.includes(participant.id) || !isPlayed(participant, people))
    );
  }

  choose(participant: string, hears: boolean): void {
    this.#chosen.set(participant, hears);
  }

  /** Listen to all that is to be heard, and to nothing else. */
  tuneIn(people: readonly Participant[], me: Listener): void {
    const audible = new Set<string>();
    for (const person of people) {
      if (!this.hears(person, me, people)) continue;
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

/** Whether another tab of that person shows the kernel's notebook, and so plays its sound. */
function isPlayed(kernel: Participant, people: readonly Participant[]): boolean {
  return people.some(
    ({ kind, user, owners }) => kind === "browser" && user === kernel.user && owners?.includes(kernel.id),
  );
}
