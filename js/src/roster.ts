/** Who is in the room, as the server tells; pure but for a timer, runs in the browser tab. */

import type { Participant } from "./protocol";

/** After a server restart, how long somebody who has not come back yet still counts as present: media flows on. */
export const RESTART_GRACE = 10_000;
/** After an ordinary resume: a long list of people does not fit into the welcome, the others follow at once. */
export const RESUME_GRACE = 2_000;

export class Roster {
  readonly #left: (id: string) => void;
  readonly #people = new Map<string, Participant>();
  readonly #missing = new Map<string, ReturnType<typeof setTimeout>>();

  /** `left` is called for everybody who goes, after they were removed. */
  constructor(left: (id: string) => void) {
    this.#left = left;
  }

  get all(): Participant[] {
    return [...this.#people.values()];
  }

  get(id: string): Participant | undefined {
    return this.#people.get(id);
  }

  /** Everybody in a welcome. Who is missing from it counts as present for `grace` milliseconds more. */
  welcome(participants: Participant[], grace: number): void {
    const present = new Set(participants.map(({ id }) => id));
    for (const person of this.all) if (!present.has(person.id)) this.#wait(person, grace);
    for (const person of participants) this.put(person);
  }

  /** Somebody new, or known with something changed. Returns true if they were missing since a welcome. */
  put(person: Participant): boolean {
    const missing = this.isMissing(person.id);
    this.#stopWaiting(person.id);
    this.#people.set(person.id, person);
    return missing;
  }

  /** True while somebody counts as present though the server does not know them. */
  isMissing(id: string): boolean {
    return this.#missing.has(id);
  }

  remove(id: string): void {
    this.#stopWaiting(id);
    if (this.#people.delete(id)) this.#left(id);
  }

  clear(): void {
    for (const { id } of this.all) this.remove(id);
  }

  #wait(person: Participant, grace: number): void {
    this.#people.set(person.id, { ...person, state: "reconnecting" });
    this.#stopWaiting(person.id);
    this.#missing.set(
      person.id,
      setTimeout(() => this.remove(person.id), grace),
    );
  }

  #stopWaiting(id: string): void {
    clearTimeout(this.#missing.get(id));
    this.#missing.delete(id);
  }
}
